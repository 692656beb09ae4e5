// The hashes the platform needs, over OpenSSL's libcrypto.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

namespace mayfly {

std::string sha256(std::string_view bytes);                           // 32 raw bytes
std::string md5(std::string_view bytes);                              // 16 raw bytes; a checksum that AWS answers
std::string hmac_sha256(std::string_view key, std::string_view msg);  // 32 raw bytes
bool constant_time_equal(std::string_view a, std::string_view b);     // time depends on the lengths only

// Incremental SHA-256, for bodies that are streamed.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::string_view bytes);
  std::string finish();  // 32 raw bytes; call once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly
