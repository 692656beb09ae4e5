#include "base/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#include <array>

#include "base/error.h"

namespace mayfly {
namespace {
const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());  // SAFETY: char and unsigned char may alias.
}
unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());  // SAFETY: as above.
}

// Fetched once: a fetch for each digest costs more than the digest of a short text.
const EVP_MD* sha256_algorithm() {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

// A thread's contexts, made once and used again: every request is signed.
struct DigestContext {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  DigestContext() = default;
  ~DigestContext() { EVP_MD_CTX_free(context); }
  DigestContext(const DigestContext&) = delete;
  DigestContext& operator=(const DigestContext&) = delete;
};

struct MacContext {
  EVP_MAC_CTX* context = nullptr;
  MacContext() {
    static EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    context = EVP_MAC_CTX_new(algorithm);
    std::array<char, 7> name{"SHA256"};
    const std::array<OSSL_PARAM, 2> parameters{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), 0),
                                               OSSL_PARAM_construct_end()};
    MAYFLY_ASSERT(EVP_MAC_CTX_set_params(context, parameters.data()) == 1);
  }
  ~MacContext() { EVP_MAC_CTX_free(context); }
  MacContext(const MacContext&) = delete;
  MacContext& operator=(const MacContext&) = delete;
};
}  // namespace

std::string sha256(std::string_view bytes) {
  thread_local const DigestContext digester;
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  const bool done = EVP_DigestInit_ex2(digester.context, sha256_algorithm(), nullptr) == 1 &&
                    EVP_DigestUpdate(digester.context, bytes.data(), bytes.size()) == 1 &&
                    EVP_DigestFinal_ex(digester.context, bytes_of(digest), nullptr) == 1;
  MAYFLY_ASSERT(done);
  return digest;
}

std::string md5(std::string_view bytes) {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "MD5", nullptr);
  std::string digest(16, '\0');
  MAYFLY_ASSERT(EVP_Digest(bytes.data(), bytes.size(), bytes_of(digest), nullptr, algorithm, nullptr) == 1);
  return digest;
}

std::string hmac_sha256(std::string_view key, std::string_view msg) {
  thread_local const MacContext mac;
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  std::size_t length = 0;
  // A null key would mean the last one.
  const unsigned char* key_bytes = key.empty() ? bytes_of(std::string_view("")) : bytes_of(key);
  const bool done = EVP_MAC_init(mac.context, key_bytes, key.size(), nullptr) == 1 &&
                    EVP_MAC_update(mac.context, bytes_of(msg), msg.size()) == 1 &&
                    EVP_MAC_final(mac.context, bytes_of(digest), &length, digest.size()) == 1;
  MAYFLY_ASSERT(done && length == digest.size());
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
  MAYFLY_ASSERT(EVP_DigestInit_ex(impl_->context, sha256_algorithm(), nullptr) == 1);
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
