// Which enabled rules and archives of a bus an event concerns.
//
// Operation.   Follows the tables: sync_rule() and sync_archive() are their hooks and bring one key up to date.
// Concurrency. Any thread. One lock, shared by those who match; never held across a wait.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "pattern/rule_set.h"
#include "services/events/records.h"
#include "services/record_table.h"

namespace mayfly::events {

using RuleTable = services::RecordTable<RuleRecord>;
using ArchiveTable = services::RecordTable<ArchiveRecord>;
using RulePtr = RuleTable::Ptr;
using ArchivePtr = ArchiveTable::Ptr;

class Matcher {
 public:
  Matcher(const RuleTable& rules, const ArchiveTable& archives) : rules_(rules), archives_(archives) {}

  void sync_rule(const std::string& key);
  void sync_archive(const std::string& key);

  // By rule's key. `bus` is a bus' key.
  [[nodiscard]] std::vector<RulePtr> rules_for(const std::string& bus, const json::value& event) const;
  [[nodiscard]] std::vector<ArchivePtr> archives_for(const std::string& bus, const json::value& event) const;

 private:
  struct Known {
    std::uint64_t id = 0;
    std::string bus;
    std::string pattern;
  };
  struct Archive {
    ArchivePtr record;
    std::optional<pattern::Pattern> pattern;  // nullopt: everything
  };
  struct Bus {
    pattern::RuleSet rules;
    std::unordered_map<std::uint64_t, RulePtr> by_id;
    std::map<std::string, Archive> archives;  // by key
  };

  void forget(const std::string& key, const Known& known);

  const RuleTable& rules_;
  const ArchiveTable& archives_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, Bus> buses_;
  std::map<std::string, Known> known_;           // rules by key
  std::map<std::string, std::string> archived_;  // an archive's key -> its bus
  std::uint64_t next_id_ = 1;
};

// The key of the bus that a rule or an archive is on.
std::string bus_key_of(const RuleRecord& rule);
std::string bus_key_of(const ArchiveRecord& archive);

}  // namespace mayfly::events
