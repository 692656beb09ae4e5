#include "services/events/matcher.h"

#include <algorithm>

#include "base/log.h"

namespace mayfly::events {

std::string bus_key_of(const RuleRecord& rule) { return place_key(BusRecord::kPrefix, rule.place, rule.bus); }
std::string bus_key_of(const ArchiveRecord& archive) {
  return place_key(BusRecord::kPrefix, archive.place, archive.bus);
}

void Matcher::forget(const std::string& key, const Known& known) {
  auto& bus = buses_[known.bus];
  bus.rules.remove(known.id);
  bus.by_id.erase(known.id);
  known_.erase(key);
}

void Matcher::sync_rule(const std::string& key) {
  const std::unique_lock lock(mutex_);
  // Looked up under the lock: of two changes at once, the later one to come here sees the newer record.
  const auto record = rules_.find(key);
  const bool wanted = record && record->enabled() && !record->pattern.empty();
  const auto found = known_.find(key);
  if (found != known_.end()) {
    if (wanted && found->second.pattern == record->pattern) {
      buses_[found->second.bus].by_id[found->second.id] = record;
      return;
    }
    const Known old = found->second;
    forget(key, old);
  }
  if (!wanted) return;
  auto pattern = pattern::Pattern::parse(record->pattern);
  if (!pattern) {
    // It was checked before it was stored, perhaps by another version.
    log(Level::kError, "a rule's pattern is not valid; the rule matches nothing",
        {{"rule", record->arn()}, {"error", pattern.error().message}});
    return;
  }
  const Known known{.id = next_id_++, .bus = bus_key_of(*record), .pattern = record->pattern};
  auto& bus = buses_[known.bus];
  bus.rules.add(known.id, std::move(*pattern));
  bus.by_id[known.id] = record;
  known_[key] = known;
}

void Matcher::sync_archive(const std::string& key) {
  const std::unique_lock lock(mutex_);
  const auto record = archives_.find(key);
  if (const auto found = archived_.find(key); found != archived_.end()) {
    buses_[found->second].archives.erase(key);
    archived_.erase(found);
  }
  if (!record) return;
  Archive archive;
  archive.record = record;
  if (!record->pattern.empty()) {
    auto pattern = pattern::Pattern::parse(record->pattern);
    if (!pattern) {
      log(Level::kError, "an archive's pattern is not valid; nothing is archived",
          {{"archive", record->arn()}, {"error", pattern.error().message}});
      return;
    }
    archive.pattern = std::move(*pattern);
  }
  archived_[key] = bus_key_of(*record);
  buses_[archived_[key]].archives.insert_or_assign(key, std::move(archive));
}

std::vector<RulePtr> Matcher::rules_for(const std::string& bus, const json::value& event) const {
  std::vector<RulePtr> rules;
  const std::shared_lock lock(mutex_);
  const auto found = buses_.find(bus);
  if (found == buses_.end()) return rules;
  for (const auto id : found->second.rules.match(event)) {
    const auto rule = found->second.by_id.find(id);
    if (rule != found->second.by_id.end()) rules.push_back(rule->second);
  }
  return rules;
}

std::vector<ArchivePtr> Matcher::archives_for(const std::string& bus, const json::value& event) const {
  std::vector<ArchivePtr> archives;
  const std::shared_lock lock(mutex_);
  const auto found = buses_.find(bus);
  if (found == buses_.end()) return archives;
  for (const auto& [key, archive] : found->second.archives) {
    if (!archive.pattern || archive.pattern->matches(event)) archives.push_back(archive.record);
  }
  return archives;
}

}  // namespace mayfly::events
