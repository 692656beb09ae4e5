#include "pattern/rule_set.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "pattern/compiled.h"
#include "pattern/consistency.h"
#include "pattern/event_fields.h"
#include "pattern/value_index.h"

namespace mayfly::pattern {
namespace {

constexpr std::size_t kFewMarked = 64;  // branches that are marked as gone before rebuilding is worth it

// Two clauses of one text are met by the same fields.
void describe(const Condition& condition, std::string& out) {
  out += fmt::format("{} {}:{} {} {} {} {} ", static_cast<int>(condition.kind), condition.text.size(), condition.text,
                     condition.low, condition.high, condition.open_low, condition.open_high);
  for (const auto* address : {&condition.addresses.low, &condition.addresses.high}) {
    out += address->v6 ? '6' : '4';
    out.append(address->bytes.begin(), address->bytes.end());
  }
  out += condition.wildcard.open_start() ? '*' : '|';
  for (const auto& literal : condition.wildcard.literals()) out += fmt::format("{}:{}", literal.size(), literal);
  out += condition.wildcard.open_end() ? '*' : '|';
  out += fmt::format("{}(", condition.excluded.size());
  for (const auto& excluded : condition.excluded) describe(excluded, out);
  out += ')';
}

std::string describe(const Clause& clause) {
  std::string out = fmt::format("{}:{}", clause.path.size(), clause.path);
  for (const auto& condition : clause.conditions) describe(condition, out);
  return out;
}

}  // namespace

struct RuleSet::Impl {
  struct Entry {  // a branch
    std::uint64_t rule = 0;
    bool gone = false;
    std::vector<ClauseRef> clauses;
    std::vector<std::uint32_t> shared;  // each clause's number in `known`
  };
  enum class Met : std::uint8_t { kUnknown, kYes, kNo };
  // What is known of the event at hand. Kept by each thread from event to event, so that nothing need be cleared: an
  // entry counts where its mark is this event's.
  struct Scratch {
    struct Known {
      std::uint32_t mark = 0;
      Met met = Met::kUnknown;
    };
    std::uint32_t mark = 0;
    std::vector<std::uint32_t> seen;  // by branch
    std::vector<Known> clauses;       // by shared clause
    Slots found;

    void start(std::size_t branch_count, std::size_t clause_count) {
      found.clear();
      if (seen.size() < branch_count) seen.resize(branch_count);
      if (clauses.size() < clause_count) clauses.resize(clause_count);
      if (++mark != 0) return;
      std::fill(seen.begin(), seen.end(), 0);
      std::fill(clauses.begin(), clauses.end(), Known{});
      mark = 1;
    }
    bool first_time(Slot slot) { return std::exchange(seen[slot], mark) != mark; }
    Met& met(std::uint32_t clause) {
      auto& entry = clauses[clause];
      if (entry.mark != mark) entry = Known{.mark = mark, .met = Met::kUnknown};
      return entry.met;
    }
  };

  void insert(std::uint64_t id, const Pattern& pattern);
  void insert_branch(std::uint64_t id, const Branch& branch);
  void rebuild();
  bool check(const Entry& entry, const EventFields& fields, Scratch& scratch) const;
  static bool clause_met(const ClauseRef& ref, const EventFields& fields);

  std::map<std::uint64_t, Pattern> patterns;
  std::unordered_map<std::uint64_t, Slots> branches_of;
  std::vector<Entry> branches;
  std::size_t gone = 0;
  std::unordered_map<std::string, std::uint32_t> known;  // clauses by their text
  PathTree paths;
  std::vector<ValueIndex> indices;  // by path
  Slots always;                     // branches that nothing need be present for
};

void RuleSet::Impl::insert(std::uint64_t id, const Pattern& pattern) {
  for (const auto& branch : pattern.compiled().branches) insert_branch(id, branch);
}

void RuleSet::Impl::insert_branch(std::uint64_t id, const Branch& branch) {
  const auto slot = static_cast<Slot>(branches.size());
  Entry entry;
  entry.rule = id;
  const ClauseRef* best = nullptr;
  std::size_t best_cost = 0;
  for (const auto& clause : branch) {
    entry.clauses.push_back(ClauseRef{.clause = &clause, .path = paths.add(clause.path)});
    entry.shared.push_back(known.emplace(describe(clause), static_cast<std::uint32_t>(known.size())).first->second);
  }
  indices.resize(paths.size());
  for (const auto& ref : entry.clauses) {
    if (ref.clause->allows_absence()) continue;
    std::size_t cost = 0;
    for (const auto& condition : ref.clause->conditions) cost += indices[ref.path].cost(condition);
    if (best != nullptr && cost >= best_cost) continue;
    best = &ref;
    best_cost = cost;
  }
  if (best == nullptr) {
    always.push_back(slot);
  } else {
    for (const auto& condition : best->clause->conditions) indices[best->path].add(condition, slot);
  }
  branches_of[id].push_back(slot);
  branches.push_back(std::move(entry));
}

void RuleSet::Impl::rebuild() {
  branches_of.clear();
  branches.clear();
  gone = 0;
  known.clear();
  paths = PathTree();
  indices.clear();
  always.clear();
  for (const auto& [id, pattern] : patterns) insert(id, pattern);
}

bool RuleSet::Impl::clause_met(const ClauseRef& ref, const EventFields& fields) {
  const auto of_path = fields.of(ref.path);
  if (of_path.empty()) return ref.clause->allows_absence();
  for (const std::uint32_t index : of_path) {
    if (ref.clause->met_by(fields.field(index).value)) return true;
  }
  // Where fields lie in arrays, a path may be absent beside the elements that other clauses choose.
  return fields.has_arrays() && ref.clause->allows_absence();
}

bool RuleSet::Impl::check(const Entry& entry, const EventFields& fields, Scratch& scratch) const {
  for (std::size_t i = 0; i < entry.clauses.size(); ++i) {
    Met& met = scratch.met(entry.shared[i]);
    if (met == Met::kUnknown) met = clause_met(entry.clauses[i], fields) ? Met::kYes : Met::kNo;
    if (met == Met::kNo) return false;
  }
  return !fields.has_arrays() || can_be_met(entry.clauses, fields);
}

RuleSet::RuleSet() : impl_(std::make_unique<Impl>()) {}
RuleSet::~RuleSet() = default;
RuleSet::RuleSet(RuleSet&&) noexcept = default;
RuleSet& RuleSet::operator=(RuleSet&&) noexcept = default;

void RuleSet::add(std::uint64_t id, Pattern pattern) {
  remove(id);
  const auto at = impl_->patterns.emplace(id, std::move(pattern)).first;
  impl_->insert(id, at->second);
}

void RuleSet::remove(std::uint64_t id) {
  const auto slots = impl_->branches_of.find(id);
  if (slots == impl_->branches_of.end()) return;
  for (const Slot slot : slots->second) {
    auto& branch = impl_->branches[slot];
    branch.gone = true;
    branch.clauses.clear();  // they refer to the pattern
    branch.shared.clear();
    ++impl_->gone;
  }
  impl_->branches_of.erase(slots);
  impl_->patterns.erase(id);
  if (impl_->gone > kFewMarked && impl_->gone * 2 > impl_->branches.size()) impl_->rebuild();
}

std::size_t RuleSet::size() const { return impl_->patterns.size(); }

std::vector<std::uint64_t> RuleSet::match(const json::value& event) const {
  std::vector<std::uint64_t> rules;
  if (!event.is_object() || impl_->patterns.empty()) return rules;
  const EventFields fields(impl_->paths, event);
  thread_local Impl::Scratch scratch;
  scratch.start(impl_->branches.size(), impl_->known.size());
  scratch.found.assign(impl_->always.begin(), impl_->always.end());
  for (const std::uint32_t index : fields.all()) {
    const Field& field = fields.field(index);
    impl_->indices[field.path].find(field.value, scratch.found);
  }
  for (const Slot slot : scratch.found) {
    if (!scratch.first_time(slot)) continue;
    const auto& branch = impl_->branches[slot];
    if (!branch.gone && impl_->check(branch, fields, scratch)) rules.push_back(branch.rule);
  }
  std::sort(rules.begin(), rules.end());
  rules.erase(std::unique(rules.begin(), rules.end()), rules.end());
  return rules;
}

}  // namespace mayfly::pattern
