#include "identity/jwt.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/time_format.h"
#include "identity/test_tokens.h"

namespace mayfly::identity {
namespace {

std::string number_bytes(EVP_PKEY* key, const char* name, int size) {
  BIGNUM* number = nullptr;
  EXPECT_EQ(EVP_PKEY_get_bn_param(key, name, &number), 1);
  const int length = size > 0 ? size : BN_num_bytes(number);
  std::string out(static_cast<std::size_t>(length), '\0');
  // SAFETY: the same bytes, as OpenSSL names them.
  BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()), length);
  BN_free(number);
  return out;
}

// A key pair of an issuer.
class Issuer {
 public:
  explicit Issuer(std::string kind) : kind_(std::move(kind)) {
    EVP_PKEY* key = kind_.starts_with("RSA") ? EVP_RSA_gen(kind_ == "RSA-1024" ? 1024U : 2048U)
                                             : EVP_EC_gen(kind_ == "P-256"   ? "prime256v1"
                                                          : kind_ == "P-384" ? "secp384r1"
                                                                             : "secp521r1");
    key_.reset(key, EVP_PKEY_free);
  }

  [[nodiscard]] json::object jwk(std::string_view id) const {
    json::object out;
    out["kid"] = id;
    if (kind_.starts_with("RSA")) {
      out["kty"] = "RSA";
      out["n"] = base64url(number_bytes(key_.get(), OSSL_PKEY_PARAM_RSA_N, 0));
      out["e"] = base64url(number_bytes(key_.get(), OSSL_PKEY_PARAM_RSA_E, 0));
      return out;
    }
    out["kty"] = "EC";
    out["crv"] = kind_;
    out["x"] = base64url(number_bytes(key_.get(), OSSL_PKEY_PARAM_EC_PUB_X, size()));
    out["y"] = base64url(number_bytes(key_.get(), OSSL_PKEY_PARAM_EC_PUB_Y, size()));
    return out;
  }

  [[nodiscard]] std::string sign(std::string_view header, std::string_view claims, const EVP_MD* digest) const {
    const auto text = base64url(header) + "." + base64url(claims);
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EXPECT_EQ(EVP_DigestSignInit(context, nullptr, digest, nullptr, key_.get()), 1);
    std::size_t length = 0;
    // SAFETY: the same bytes, as OpenSSL names them.
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    EXPECT_EQ(EVP_DigestSign(context, nullptr, &length, bytes, text.size()), 1);
    std::string signature(length, '\0');
    auto* out = reinterpret_cast<unsigned char*>(signature.data());
    EXPECT_EQ(EVP_DigestSign(context, out, &length, bytes, text.size()), 1);
    signature.resize(length);
    EVP_MD_CTX_free(context);
    if (!kind_.starts_with("RSA")) signature = raw_signature(signature);
    return text + "." + base64url(signature);
  }

 private:
  [[nodiscard]] int size() const { return kind_ == "P-256" ? 32 : kind_ == "P-384" ? 48 : 66; }
  [[nodiscard]] std::string raw_signature(const std::string& der) const {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    std::string out(2U * static_cast<std::size_t>(size()), '\0');
    auto* bytes = reinterpret_cast<unsigned char*>(out.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), bytes, size());
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), bytes + size(), size());
    ECDSA_SIG_free(pair);
    return out;
  }

  std::string kind_;
  std::shared_ptr<EVP_PKEY> key_;
};

constexpr std::string_view kClaims = R"({"iss":"https://i","aud":"a","exp":2000000000,"sub":"u"})";
const SystemTime kNow = from_epoch_seconds(1'900'000'000);

std::string header(std::string_view algorithm, std::string_view id = "k") {
  return std::string(R"({"alg":")") + std::string(algorithm) + R"(","kid":")" + std::string(id) + R"("})";
}

const Issuer& rsa() {
  static const Issuer kIssuer("RSA");
  return kIssuer;
}

Result<void> verified(const std::string& token, const json::object& key) {
  auto parsed = parse_jwt(token);
  if (!parsed) return std::unexpected(parsed.error());
  auto jwk = Jwk::read(key);
  if (!jwk) return std::unexpected(jwk.error());
  return jwk->verify(*parsed);
}

TEST(Jwt, EveryAlgorithmVerifiesItsOwnTokensAndNoOther) {
  struct Case {
    std::string_view algorithm;
    std::string kind;
    const EVP_MD* digest;
  };
  const std::array<Case, 6> cases = {{{"RS256", "RSA", EVP_sha256()},
                                      {"RS384", "RSA", EVP_sha384()},
                                      {"RS512", "RSA", EVP_sha512()},
                                      {"ES256", "P-256", EVP_sha256()},
                                      {"ES384", "P-384", EVP_sha384()},
                                      {"ES512", "P-521", EVP_sha512()}}};
  for (const auto& one : cases) {
    const Issuer issuer(one.kind);
    const auto token = issuer.sign(header(one.algorithm), kClaims, one.digest);
    EXPECT_TRUE(verified(token, issuer.jwk("k"))) << one.algorithm;
    EXPECT_FALSE(verified(token, Issuer(one.kind).jwk("k"))) << one.algorithm;
    EXPECT_FALSE(verified(token, issuer.jwk("other"))) << one.algorithm;
    // The signature covers the claims.
    auto forged = token;
    const auto dot = forged.find('.');
    forged.replace(dot + 1, forged.rfind('.') - dot - 1,
                   base64url(R"({"iss":"https://i","aud":"a","exp":2000000001})"));
    EXPECT_FALSE(verified(forged, issuer.jwk("k"))) << one.algorithm;
  }
}

TEST(Jwt, NoneIsNoAlgorithm) {
  for (const auto* name : {"none", "None", "NONE", "nOnE", "", "RS1", "PS256", "EdDSA"}) {
    const auto token = base64url(header(name)) + "." + base64url(kClaims) + ".";
    EXPECT_FALSE(parse_jwt(token)) << name;
    EXPECT_FALSE(parse_jwt(token + "AA")) << name;
  }
}

// The classic: a token "signed" with the public key as the secret of an HMAC.
TEST(Jwt, APublicKeyIsNoSecret) {
  const auto key = rsa().jwk("k");
  const auto text = base64url(header("HS256")) + "." + base64url(kClaims);
  const auto token = text + "." + base64url(hmac_sha256(to_json(key), text));
  const auto parsed = parse_jwt(token);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::kUnsupported);
}

TEST(Jwt, TheKeyDecidesTheAlgorithm) {
  auto key = rsa().jwk("k");
  const auto token = rsa().sign(header("RS384"), kClaims, EVP_sha384());
  EXPECT_TRUE(verified(token, key));
  key["alg"] = "RS256";
  EXPECT_FALSE(verified(token, key));
  // A token that names the algorithm of another kind of key.
  EXPECT_FALSE(verified(rsa().sign(header("ES256"), kClaims, EVP_sha256()), rsa().jwk("k")));
  const Issuer curve("P-256");
  EXPECT_FALSE(verified(curve.sign(header("RS256"), kClaims, EVP_sha256()), curve.jwk("k")));
  EXPECT_FALSE(verified(curve.sign(header("ES384"), kClaims, EVP_sha384()), curve.jwk("k")));
}

TEST(Jwt, KeysOfTheTokenItselfAreNotLookedAt) {
  const Issuer own("RSA");
  json::object head;
  head["alg"] = "RS256";
  head["kid"] = "k";
  head["jwk"] = own.jwk("k");
  head["jku"] = "https://evil.example/keys";
  const auto token = own.sign(to_json(head), kClaims, EVP_sha256());
  EXPECT_FALSE(verified(token, rsa().jwk("k")));
  head["crit"] = json::array{"exp"};
  EXPECT_FALSE(parse_jwt(own.sign(to_json(head), kClaims, EVP_sha256())));
}

TEST(Jwt, WeakAndForeignKeysAreRefused) {
  EXPECT_FALSE(Jwk::read(Issuer("RSA-1024").jwk("k")));
  auto encryption = rsa().jwk("k");
  encryption["use"] = "enc";
  EXPECT_FALSE(Jwk::read(encryption));
  auto one = rsa().jwk("k");
  one["e"] = base64url("\x01");
  EXPECT_FALSE(Jwk::read(one));
  auto off_curve = Issuer("P-256").jwk("k");
  off_curve["y"] = off_curve["x"];
  EXPECT_FALSE(Jwk::read(off_curve));
  json::object secret;
  secret["kid"] = "k";
  secret["kty"] = "oct";
  secret["k"] = "AAAA";
  EXPECT_FALSE(Jwk::read(secret));
  json::object set;
  set["keys"] = json::array{secret, rsa().jwk("good")};
  EXPECT_EQ(parse_jwks(to_json(set))->size(), 1U);
  EXPECT_FALSE(parse_jwks("[]") || parse_jwks("{\"keys\":{}}") || parse_jwks("{\"keys\":[1]}"));
}

TEST(Jwt, MalformedTokensAreRefused) {
  const auto good = rsa().sign(header("RS256"), kClaims, EVP_sha256());
  ASSERT_TRUE(parse_jwt(good));
  for (const auto& bad : std::array<std::string, 9>{"", "a", "a.b", "a.b.c.d", good + ".x", good + "=", " " + good,
                                                    "." + good, std::string(20'000, 'a')}) {
    EXPECT_FALSE(parse_jwt(bad)) << bad.substr(0, 20);
  }
  // The unused bits of the last character: one signature has one text.
  auto other = good;
  other.back() = other.back() == 'A' ? 'B' : static_cast<char>(other.back() + 1);
  EXPECT_FALSE(verified(other, rsa().jwk("k")));
  EXPECT_FALSE(parse_jwt(base64url(R"({"alg":"RS256"})") + "." + base64url(kClaims) + ".AA"));  // no kid
  EXPECT_FALSE(parse_jwt(base64url("[]") + "." + base64url(kClaims) + ".AA"));
}

Result<void> claims_checked(std::string_view text) {
  static const std::array<std::string, 2> kAudience = {"a", "b"};
  Jwt token;
  token.claims = parse_json(text)->get_object();
  return check_claims(token, {.issuer = "https://i", .audience = kAudience, .now = kNow});
}

TEST(Jwt, ClaimsDecide) {
  EXPECT_TRUE(claims_checked(kClaims));
  EXPECT_TRUE(claims_checked(R"({"iss":"https://i","aud":["x","b"],"exp":2000000000,"nbf":1,"iat":1})"));
  EXPECT_TRUE(claims_checked(R"({"iss":"https://i","client_id":"a","exp":2000000000.5})"));
  for (const auto* bad : {
           R"({"iss":"https://i/","aud":"a","exp":2000000000})",            // another issuer
           R"({"aud":"a","exp":2000000000})",                               // none
           R"({"iss":"https://i","aud":"c","exp":2000000000})",             // another audience
           R"({"iss":"https://i","aud":["c"],"client_id":"a","exp":2e9})",  // aud decides where it is
           R"({"iss":"https://i","exp":2000000000})",                       // none
           R"({"iss":"https://i","aud":"a"})",                              // never expires
           R"({"iss":"https://i","aud":"a","exp":1900000000})",             // expires now
           R"({"iss":"https://i","aud":"a","exp":"2000000000"})",           // no number
           R"({"iss":"https://i","aud":"a","exp":2000000000,"nbf":1900000001})",
           R"({"iss":"https://i","aud":"a","exp":2000000000,"iat":1900000001})",
           R"({"iss":"https://i","aud":"a","exp":2000000000,"nbf":"1"})",
       }) {
    EXPECT_FALSE(claims_checked(bad)) << bad;
  }
}

TEST(Jwt, ScopesAreWordsOrAList) {
  EXPECT_EQ(scopes_of(parse_json(R"({"scope":"a  b"})")->get_object()), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(scopes_of(parse_json(R"({"scp":["a","b"]})")->get_object()), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(claim_text(parse_json(R"(["a",1])").value()), "[a 1]");
}

}  // namespace
}  // namespace mayfly::identity
