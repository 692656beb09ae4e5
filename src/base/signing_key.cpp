#include "base/signing_key.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/ids.h"

namespace mayfly {
namespace {

constexpr unsigned kBits = 2048;

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());  // SAFETY: char and unsigned char may alias.
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

Owned<BIO> reader(std::string_view text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

const EVP_MD* digest_of(SigningKey::Hash hash) { return hash == SigningKey::Hash::kSha1 ? EVP_sha1() : EVP_sha256(); }

EVP_PKEY* key_of(const std::shared_ptr<void>& key) { return static_cast<EVP_PKEY*>(key.get()); }

// Null where something failed.
Owned<X509> self_signed(EVP_PKEY* key, std::string_view name, SystemTime now) {
  Owned<X509> certificate(X509_new());
  if (!certificate) return nullptr;
  const auto start = std::chrono::floor<std::chrono::seconds>(now) - std::chrono::days(1);
  const auto end = start + std::chrono::days(3653);
  const std::string serial = random_bytes(8);
  std::uint64_t number = 0;
  for (const char c : serial) number = (number << 8U) | static_cast<unsigned char>(c);
  auto* subject = X509_get_subject_name(certificate.get());
  const bool made =
      X509_set_version(certificate.get(), 2) == 1 &&
      ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), number >> 1U) == 1 &&
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), start.time_since_epoch().count()) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), end.time_since_epoch().count()) != nullptr &&
      X509_set_pubkey(certificate.get(), key) == 1 &&
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, octets(name), static_cast<int>(name.size()), -1, 0) ==
          1 &&
      X509_set_issuer_name(certificate.get(), subject) == 1 && X509_sign(certificate.get(), key, EVP_sha256()) != 0;
  return made ? std::move(certificate) : nullptr;
}

}  // namespace

Result<SigningKey> SigningKey::make(std::string_view name, SystemTime now) {
  Owned<EVP_PKEY> key(EVP_RSA_gen(kBits));
  if (!key) return fail(ErrorCode::kInternal, "an RSA key could not be made");
  const auto certificate = self_signed(key.get(), name, now);
  const Owned<BIO> private_key(BIO_new(BIO_s_mem()));
  const Owned<BIO> public_part(BIO_new(BIO_s_mem()));
  if (!certificate || !private_key || !public_part ||
      PEM_write_bio_PrivateKey(private_key.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_X509(public_part.get(), certificate.get()) != 1) {
    return fail(ErrorCode::kInternal, "a certificate could not be made");
  }
  SigningKey out;
  out.private_key_pem_ = text_of(private_key.get());
  out.certificate_pem_ = text_of(public_part.get());
  out.key_ = std::shared_ptr<void>(key.release(), [](void* raw) { EVP_PKEY_free(static_cast<EVP_PKEY*>(raw)); });
  return out;
}

Result<SigningKey> SigningKey::from_pem(std::string private_key_pem, std::string certificate_pem) {
  const auto bio = reader(private_key_pem);
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (!key) return fail(ErrorCode::kCorrupt, "the signing key cannot be read");
  SigningKey out;
  out.private_key_pem_ = std::move(private_key_pem);
  out.certificate_pem_ = std::move(certificate_pem);
  out.key_ = std::shared_ptr<void>(key.release(), [](void* raw) { EVP_PKEY_free(static_cast<EVP_PKEY*>(raw)); });
  return out;
}

std::string SigningKey::sign(Hash hash, std::string_view text) const {
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  std::size_t size = 0;
  MAYFLY_ASSERT(EVP_DigestSignInit(context.get(), nullptr, digest_of(hash), nullptr, key_of(key_)) == 1);
  MAYFLY_ASSERT(EVP_DigestSign(context.get(), nullptr, &size, octets(text), text.size()) == 1);
  std::string signature(size, '\0');
  // SAFETY: char and unsigned char may alias.
  auto* out = reinterpret_cast<unsigned char*>(signature.data());
  MAYFLY_ASSERT(EVP_DigestSign(context.get(), out, &size, octets(text), text.size()) == 1);
  signature.resize(size);
  return signature;
}

bool verify_signature(std::string_view certificate_pem, SigningKey::Hash hash, std::string_view text,
                      std::string_view signature) {
  const auto bio = reader(certificate_pem);
  const Owned<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) return false;
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  return EVP_DigestVerifyInit(context.get(), nullptr, digest_of(hash), nullptr, X509_get0_pubkey(certificate.get())) ==
             1 &&
         EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(text), text.size()) == 1;
}

}  // namespace mayfly
