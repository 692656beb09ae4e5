// The master keys: what every stored secret's own key is wrapped with. The first one wraps what is new; the others are
// kept to read what was wrapped before, so that a master key is replaced while the server runs.
//
// Form.   One key a line, 64 hex digits; empty lines and lines that begin with # are skipped. In an environment
//         variable commas may stand for line ends.
// Source. "file": the file `master-keys` of the data folder, made at the first start, for its owner only.
//         "file:<path>": that file, which must exist. "environment:<NAME>": that variable. "command:<text>": what this
//         shell command prints, for keys that lie in a key management service or a hardware module.
// Limits. 1 to 32 keys; a command has 30 seconds.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "vault/clear_text.h"

namespace mayfly::vault {

inline constexpr std::string_view kMasterKeysFile = "master-keys";
inline constexpr std::size_t kKeyBytes = 32;

struct MasterKey {
  std::string id;  // 16 hex digits, which follow from the key and do not tell it
  ClearText key;
};
using MasterKeyPtr = std::shared_ptr<const MasterKey>;
using MasterKeys = std::vector<MasterKeyPtr>;  // the current one first; never empty

MasterKeyPtr make_master_key(std::string bytes);
Result<MasterKeys> parse_master_keys(std::string_view text);
std::string master_keys_text(const MasterKeys& keys);

class KeySource {
 public:
  // kInvalid where the text names no source.
  static Result<KeySource> parse(std::string_view text, const std::filesystem::path& data);

  // Blocks: files, and a command.
  [[nodiscard]] Result<MasterKeys> load(Clock& clock) const;
  // Puts a new key in front, or leaves the first one alone; kUnsupported where the keys are not this server's file.
  [[nodiscard]] Result<MasterKeys> add_new(Clock& clock) const;
  [[nodiscard]] Result<MasterKeys> keep_first(Clock& clock) const;
  [[nodiscard]] std::string describe() const;  // for people; without a secret

 private:
  enum class Kind : std::uint8_t { kOwnFile, kFile, kEnvironment, kCommand };
  KeySource(Kind kind, std::string what) : kind_(kind), what_(std::move(what)) {}
  [[nodiscard]] Result<MasterKeys> replace(MasterKeys keys) const;
  Kind kind_;
  std::string what_;  // a path, a variable or a command
};

}  // namespace mayfly::vault
