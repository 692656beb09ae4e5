// The server's own key: 32 random bytes in a private file of the data folder, from which the key of each purpose is
// derived. Secrets of access keys are derived from it and stored nowhere; session tokens are sealed with it. Whoever
// loses the file makes every access key but the root's invalid.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace mayfly::identity {

inline constexpr const char* kServerKeyFile = "server-key";

class ServerKey {
 public:
  // Reads the file, or makes it.
  static Result<ServerKey> load_or_make(const std::filesystem::path& data);
  explicit ServerKey(std::string bytes) : bytes_(std::move(bytes)) {}  // 32 bytes

  // The secret of an access key: 40 characters, the same for the same id.
  [[nodiscard]] std::string secret_of(std::string_view access_key_id) const;
  // AES-256-GCM under a key of `purpose`, with a random nonce; URL-safe text.
  [[nodiscard]] std::string seal(std::string_view purpose, std::string_view plain) const;
  // nullopt for everything that seal() of this key and purpose did not make.
  [[nodiscard]] std::optional<std::string> open(std::string_view purpose, std::string_view sealed) const;

 private:
  [[nodiscard]] std::string key_for(std::string_view purpose) const;
  std::string bytes_;
};

}  // namespace mayfly::identity
