// An RSA key with a certificate that it signed itself, for messages whose receivers check who sent them.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace mayfly {

class SigningKey {
 public:
  enum class Hash : bool { kSha1, kSha256 };

  // A new key of 2,048 bits, and a certificate for `name` that is valid for ten years from a day before `now`. Takes
  // long (a tenth of a second): not for an event loop.
  static Result<SigningKey> make(std::string_view name, SystemTime now);
  static Result<SigningKey> from_pem(std::string private_key_pem, std::string certificate_pem);

  [[nodiscard]] const std::string& private_key_pem() const { return private_key_pem_; }  // a secret
  [[nodiscard]] const std::string& certificate_pem() const { return certificate_pem_; }
  // PKCS #1 v1.5, raw bytes. Thread safe.
  [[nodiscard]] std::string sign(Hash hash, std::string_view text) const;

 private:
  SigningKey() = default;
  std::shared_ptr<void> key_;  // EVP_PKEY
  std::string private_key_pem_;
  std::string certificate_pem_;
};

// Whether `signature` is of `text` by the key of a certificate. For tests and tools.
bool verify_signature(std::string_view certificate_pem, SigningKey::Hash hash, std::string_view text,
                      std::string_view signature);

}  // namespace mayfly
