// Envelope encryption of what is stored and must not be read from a disk: each value has a random key of its own, which
// is wrapped with the current master key. Both by AES-256-GCM.
//
// Form.        "mfs1.<master key id>.<wrapped key>.<value>", base64url; a wrapped key and a value are nonce, tag and
//              ciphertext. The value is bound to its record: `context` is authenticated with it, so that a value that
//              is copied into another record does not open there. The wrapped key is not, so that master keys can be
//              replaced without knowing what a record means.
// Concurrency. Any thread.
// Limits.      A value of 16 MiB.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "vault/master_keys.h"

namespace mayfly::vault {

inline constexpr std::string_view kSealedPrefix = "mfs1.";

class Vault {
 public:
  explicit Vault(MasterKeys keys);

  [[nodiscard]] std::string seal(std::string_view context, std::string_view plain) const;
  // kNotFound where the master key is not here, and its message says which one is needed; kCorrupt where the text is
  // no sealed value, has been changed, or is another record's.
  [[nodiscard]] Result<ClearText> open(std::string_view context, std::string_view sealed) const;
  // The same value with its key wrapped with the current master key. Errors as open().
  [[nodiscard]] Result<std::string> rewrap(std::string_view sealed) const;

  void replace_keys(MasterKeys keys);
  [[nodiscard]] std::string current_key_id() const;
  [[nodiscard]] std::vector<std::string> key_ids() const;

 private:
  [[nodiscard]] MasterKeyPtr current() const;
  [[nodiscard]] MasterKeyPtr find(std::string_view id) const;
  mutable std::mutex mutex_;
  MasterKeys keys_;
};

// The id of the master key that a sealed value needs; nullopt where the text has not the form of one.
std::optional<std::string> master_key_of(std::string_view sealed);
// Where the next text that looks like a sealed value begins and ends in `text`, from `from` on.
std::optional<std::pair<std::size_t, std::size_t>> next_sealed(std::string_view text, std::size_t from);

}  // namespace mayfly::vault
