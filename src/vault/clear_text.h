// Bytes that must not stay in memory: keys and decrypted values. They are overwritten when their owner goes.
#pragma once

#include <openssl/crypto.h>

#include <string>
#include <string_view>
#include <utility>

namespace mayfly::vault {

class ClearText {
 public:
  ClearText() = default;
  explicit ClearText(std::string bytes) : bytes_(std::move(bytes)) {}
  ClearText(const ClearText&) = delete;
  ClearText& operator=(const ClearText&) = delete;
  // A short string lies inside of its object, and moving it leaves a copy behind.
  ClearText(ClearText&& other) noexcept : bytes_(std::move(other.bytes_)) { other.wipe(); }
  ClearText& operator=(ClearText&& other) noexcept {
    if (this == &other) return *this;
    wipe();
    bytes_ = std::move(other.bytes_);
    other.wipe();
    return *this;
  }
  ~ClearText() { wipe(); }

  [[nodiscard]] std::string_view view() const { return bytes_; }
  // For writing into; its size does not change.
  [[nodiscard]] std::string& bytes() { return bytes_; }

 private:
  void wipe() {
    OPENSSL_cleanse(bytes_.data(), bytes_.capacity());
    bytes_.clear();
  }
  std::string bytes_;
};

}  // namespace mayfly::vault
