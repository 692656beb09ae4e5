#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "base/error.h"

namespace mayfly {
namespace {
const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());  // SAFETY: char and unsigned char may alias.
}
unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());  // SAFETY: as above.
}
}  // namespace

std::string sha256(std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(bytes_of(bytes), bytes.size(), bytes_of(digest));
  return digest;
}

std::string md5(std::string_view bytes) {
  // Fetched once: a fetch for each digest costs more than the digest of a short text.
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "MD5", nullptr);
  std::string digest(16, '\0');
  MAYFLY_ASSERT(EVP_Digest(bytes.data(), bytes.size(), bytes_of(digest), nullptr, algorithm, nullptr) == 1);
  return digest;
}

std::string hmac_sha256(std::string_view key, std::string_view msg) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(msg), msg.size(), bytes_of(digest), &length);
  MAYFLY_ASSERT(length == digest.size());
  return digest;
}

bool constant_time_equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

struct Sha256::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  MAYFLY_ASSERT(EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  MAYFLY_ASSERT(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()) == 1);
}

std::string Sha256::finish() {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  MAYFLY_ASSERT(EVP_DigestFinal_ex(impl_->context, bytes_of(digest), nullptr) == 1);
  return digest;
}

}  // namespace mayfly
