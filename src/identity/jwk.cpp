// Public keys of JWK sets over OpenSSL: their reading, and the check of a signature by them.
#include <fmt/core.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "identity/jwt.h"

namespace mayfly::identity {
namespace {

constexpr std::size_t kMostSet = 1024UL * 1024;
constexpr std::size_t kMostKeys = 100;
constexpr int kLeastRsaBits = 2048;
constexpr int kMostRsaBits = 8192;

template <auto Free>
struct Freeing {
  template <typename T>
  void operator()(T* value) const {
    Free(value);
  }
};
using Number = std::unique_ptr<BIGNUM, Freeing<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freeing<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Freeing<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freeing<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freeing<EVP_MD_CTX_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, Freeing<ECDSA_SIG_free>>;

struct Curve {
  std::string_view name;       // in a JWK
  const char* group;           // in OpenSSL
  std::size_t bytes;           // of a coordinate
  std::string_view algorithm;  // the only one it is for
};
constexpr std::array<Curve, 3> kCurves = {
    {{"P-256", "prime256v1", 32, "ES256"}, {"P-384", "secp384r1", 48, "ES384"}, {"P-521", "secp521r1", 66, "ES512"}}};

const Curve* curve_of(std::string_view name) {
  const auto* found = std::ranges::find(kCurves, name, &Curve::name);
  return found == kCurves.end() ? nullptr : found;
}

std::string bytes_of(const json::object& document, std::string_view name) {
  std::string text(get_string(document, name));
  if (text.find_first_of("+/=") != std::string::npos) return {};
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return base64_decode(text).value_or("");
}

// SAFETY: the same bytes, as OpenSSL names them.
const unsigned char* raw(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

Number number_of(std::string_view bytes) {
  return Number(BN_bin2bn(raw(bytes), static_cast<int>(bytes.size()), nullptr));
}

Result<std::shared_ptr<void>> make_key(const char* kind, OSSL_PARAM* parameters) {
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
  EVP_PKEY* key = nullptr;
  const bool made = context && parameters != nullptr && EVP_PKEY_fromdata_init(context.get()) == 1 &&
                    EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) == 1;
  std::shared_ptr<void> owned(key, [](void* value) { EVP_PKEY_free(static_cast<EVP_PKEY*>(value)); });
  // A point that is not on its curve is refused here.
  const KeyContext check(made ? EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr) : nullptr);
  if (!check || EVP_PKEY_public_check(check.get()) != 1) {
    ERR_clear_error();
    return fail(ErrorCode::kInvalid, "the key is malformed");
  }
  return owned;
}

Result<std::shared_ptr<void>> rsa_key(const json::object& document) {
  const auto modulus = number_of(bytes_of(document, "n"));
  const auto exponent = number_of(bytes_of(document, "e"));
  if (!modulus || !exponent) return fail(ErrorCode::kInternal, "out of memory");
  const int bits = BN_num_bits(modulus.get());
  if (bits < kLeastRsaBits || bits > kMostRsaBits)
    return fail(ErrorCode::kInvalid, fmt::format("an RSA key of {} bits is not taken", bits));
  // Verification takes time with the exponent's length.
  if (BN_num_bits(exponent.get()) > 64 || !BN_is_odd(exponent.get()) || BN_is_one(exponent.get()))
    return fail(ErrorCode::kInvalid, "the RSA key's exponent is not taken");
  const Builder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  return make_key("RSA", parameters.get());
}

Result<std::shared_ptr<void>> curve_key(const Curve& curve, const json::object& document) {
  const auto x = bytes_of(document, "x");
  const auto y = bytes_of(document, "y");
  if (x.size() != curve.bytes || y.size() != curve.bytes)
    return fail(ErrorCode::kInvalid, "the key's coordinates have not the length of its curve");
  const std::string point = "\x04" + x + y;
  const Builder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.group, 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  return make_key("EC", parameters.get());
}

const EVP_MD* digest_of(std::string_view algorithm) {
  if (algorithm.ends_with("256")) return EVP_sha256();
  return algorithm.ends_with("384") ? EVP_sha384() : EVP_sha512();
}

// r and s one after the other (RFC 7518, 3.4) as OpenSSL wants them.
std::string der_signature(const Curve& curve, const std::string& signature) {
  if (signature.size() != 2 * curve.bytes) return {};
  const std::string_view all(signature);
  auto r = number_of(all.substr(0, curve.bytes));
  auto s = number_of(all.substr(curve.bytes));
  const Signature pair(ECDSA_SIG_new());
  if (!r || !s || !pair || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) return {};
  // They belong to the pair now.
  std::ignore = r.release();
  std::ignore = s.release();
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(pair.get(), &der);
  if (length <= 0) return {};
  // SAFETY: the bytes that OpenSSL has written, and their count.
  std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return out;
}

}  // namespace

Result<Jwk> Jwk::read(const json::object& document) {
  Jwk out;
  out.id_ = get_string(document, "kid");
  out.algorithm_ = get_string(document, "alg");
  const auto use = get_string(document, "use");
  if (out.id_.empty()) return fail(ErrorCode::kUnsupported, "the key has no id");
  if (!use.empty() && use != "sig") return fail(ErrorCode::kUnsupported, "the key is not for signatures");
  const auto kind = get_string(document, "kty");
  Result<std::shared_ptr<void>> key = fail(ErrorCode::kUnsupported, fmt::format("keys of kind {} are not taken", kind));
  if (kind == "RSA") {
    out.kind_ = kind;
    key = rsa_key(document);
  } else if (const auto* curve = curve_of(get_string(document, "crv")); kind == "EC" && curve != nullptr) {
    out.kind_ = curve->name;
    key = curve_key(*curve, document);
  }
  if (!key) return std::unexpected(std::move(key.error()));
  out.key_ = std::move(*key);
  return out;
}

Result<void> Jwk::verify(const Jwt& token) const {
  const auto refuse = [](std::string_view why) { return fail(ErrorCode::kUnauthorized, std::string(why)); };
  if (token.key_id != id_) return refuse("the key is another one");
  if (!algorithm_.empty() && algorithm_ != token.algorithm) return refuse("the key is not for the token's algorithm");
  const auto* curve = curve_of(kind_);
  const bool fits = curve == nullptr ? token.algorithm.starts_with("RS") : token.algorithm == curve->algorithm;
  if (!fits) return refuse("the key is not for the token's algorithm");
  const auto signature = curve == nullptr ? token.signature : der_signature(*curve, token.signature);
  const DigestContext context(EVP_MD_CTX_new());
  auto* key = static_cast<EVP_PKEY*>(key_.get());
  const bool good = !signature.empty() && context &&
                    EVP_DigestVerifyInit(context.get(), nullptr, digest_of(token.algorithm), nullptr, key) == 1 &&
                    EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(token.signed_part),
                                     token.signed_part.size()) == 1;
  if (good) return {};
  ERR_clear_error();
  return refuse("the signature does not match");
}

Result<std::vector<Jwk>> parse_jwks(std::string_view text) {
  if (text.size() > kMostSet) return fail(ErrorCode::kTooLarge, "the key set is too large");
  const auto document = parse_json(text);
  const auto* keys = document ? find(*document, "keys") : nullptr;
  if (keys == nullptr || !keys->is_array()) return fail(ErrorCode::kInvalid, "the key set is no list of keys");
  if (keys->get_array().size() > kMostKeys) return fail(ErrorCode::kTooLarge, "the key set has too many keys");
  std::vector<Jwk> out;
  for (const auto& one : keys->get_array()) {
    if (!one.is_object()) return fail(ErrorCode::kInvalid, "the key set holds what is no key");
    auto key = Jwk::read(one.get_object());
    if (key) out.push_back(std::move(*key));
  }
  return out;
}

}  // namespace mayfly::identity
