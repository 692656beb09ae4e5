// A KeyValue that keeps parts of records sealed on the disk: services read and write them in clear and know nothing of
// it.
//
// Operation.   A rule names the records by the beginning of their keys and the parts by their path in the document
//              ("versions.*.config.Environment"). What is written there is replaced by {"Sealed": "mfs1..."}, bound to
//              the key and the part's name; what is read is put back. A part that does not open stays as it is, so that
//              its record can be read and written without losing it: locked() tells a service that it has met one.
// Concurrency. As the KeyValue below it.
// Recovery.    seal_all() seals what was written before there was a rule.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "store/key_value.h"
#include "vault/vault.h"

namespace mayfly::vault {

struct SealedPart {
  std::string_view prefix;  // of keys
  std::string_view path;    // members separated by dots; "*" is every member
};

class SealedRecords final : public store::KeyValue {
 public:
  // Both outlive this.
  SealedRecords(store::KeyValue& below, const Vault& vault, std::vector<SealedPart> parts)
      : below_(below), vault_(vault), parts_(std::move(parts)) {}

  Awaitable<Result<std::optional<store::Entry>>> get(std::string key) override;
  Awaitable<Result<store::Revision>> put(std::string key, std::string value) override;
  Awaitable<Result<store::Revision>> compare_and_set(std::string key, std::string value,
                                                     store::Revision expected) override;
  Awaitable<Result<void>> remove(std::string key, std::optional<store::Revision> expected) override;
  Awaitable<Result<std::vector<store::Entry>>> list(std::string prefix, std::string after, std::size_t limit) override;
  std::shared_ptr<void> watch(std::string prefix, std::function<void(const store::WatchEvent&)> callback) override;

  // Returns how many records it has changed. Before services load.
  Awaitable<Result<std::uint64_t>> seal_all();

 private:
  enum class Way : bool { kSeal, kOpen };
  [[nodiscard]] bool has_rule(std::string_view key) const;
  [[nodiscard]] std::string converted(const std::string& key, std::string value, Way way) const;
  void convert(json::value& part, std::string_view context, Way way) const;
  void walk(json::value& at, std::string_view path, const std::string& context, Way way) const;

  store::KeyValue& below_;
  const Vault& vault_;
  std::vector<SealedPart> parts_;
};

// Of a part as a service reads it: the sealed text where it did not open, nullopt where it is in clear.
std::optional<std::string> locked(const json::value& part);
// The same part again, to be written back.
json::object locked_part(std::string_view sealed);
// "it needs the master key ..., which this server does not have", for those who are told why.
std::string why_locked(std::string_view sealed);

}  // namespace mayfly::vault
