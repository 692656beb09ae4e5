#include "pattern/consistency.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

namespace mayfly::pattern {
namespace {

constexpr std::size_t kMostSteps = 1'000'000;

// Both together, or nothing where they name different elements of one array.
std::optional<Membership> joined(const Membership& a, const Membership& b) {
  Membership both;
  both.reserve(a.size() + b.size());
  auto i = a.begin();
  auto k = b.begin();
  while (i != a.end() || k != b.end()) {
    if (k == b.end() || (i != a.end() && i->first < k->first)) {
      both.push_back(*i++);
    } else if (i == a.end() || k->first < i->first) {
      both.push_back(*k++);
    } else {
      if (i->second != k->second) return std::nullopt;
      both.push_back(*i++);
      ++k;
    }
  }
  return both;
}

// What one clause can be met by.
struct Choice {
  std::vector<const Membership*> met;      // of fields that meet it, each once
  std::vector<const Membership*> present;  // of all fields of its path, where absence is allowed
  bool allows_absence = false;
};

Choice choice_of(const ClauseRef& ref, const EventFields& fields) {
  Choice choice;
  choice.allows_absence = ref.clause->allows_absence();
  for (const std::uint32_t index : fields.of(ref.path)) {
    const Field& field = fields.field(index);
    const Membership& membership = fields.membership(field);
    if (choice.allows_absence) choice.present.push_back(&membership);
    const bool known = !choice.met.empty() && *choice.met.back() == membership;
    if (known || !ref.clause->met_by(field.value)) continue;
    choice.met.push_back(&membership);
    if (membership.empty()) {
      choice.met.assign(1, &membership);  // goes with everything: no other is better
      break;
    }
  }
  return choice;
}

class Search {
 public:
  explicit Search(const std::vector<const Choice*>& choices) : choices_(choices) {}
  bool run() { return from(0, Membership()); }

 private:
  bool from(std::size_t at, const Membership& so_far) {
    if (at == choices_.size()) return true;
    const Choice& choice = *choices_[at];
    for (const Membership* membership : choice.met) {
      if (++steps_ > kMostSteps) return false;
      const auto both = joined(so_far, *membership);
      if (both && from(at + 1, *both)) return true;
    }
    if (!choice.allows_absence) return false;
    const bool absent = std::none_of(choice.present.begin(), choice.present.end(), [&](const Membership* membership) {
      ++steps_;
      return joined(so_far, *membership).has_value();
    });
    return absent && from(at + 1, so_far);
  }

  const std::vector<const Choice*>& choices_;
  std::size_t steps_ = 0;
};

// Clauses that share no array do not restrict each other: each group of those that do is searched on its own.
std::vector<std::vector<const Choice*>> groups_of(const std::vector<Choice>& choices) {
  std::vector<std::size_t> leader(choices.size());
  std::iota(leader.begin(), leader.end(), 0);
  const auto find = [&leader](std::size_t i) {
    while (leader[i] != i) i = leader[i];
    return i;
  };
  std::map<std::uint32_t, std::size_t> owner;  // of an outermost array
  for (std::size_t i = 0; i < choices.size(); ++i) {
    for (const auto* memberships : {&choices[i].met, &choices[i].present}) {
      for (const Membership* membership : *memberships) {
        if (membership->empty()) continue;
        const auto [entry, added] = owner.emplace(membership->front().first, i);
        if (!added) leader[find(i)] = find(entry->second);
      }
    }
  }
  std::map<std::size_t, std::vector<const Choice*>> groups;
  for (std::size_t i = 0; i < choices.size(); ++i) groups[find(i)].push_back(&choices[i]);
  std::vector<std::vector<const Choice*>> out;
  for (auto& [first, group] : groups) out.push_back(std::move(group));
  return out;
}

}  // namespace

bool can_be_met(const std::vector<ClauseRef>& clauses, const EventFields& fields) {
  std::vector<Choice> choices;
  choices.reserve(clauses.size());
  for (const auto& ref : clauses) {
    choices.push_back(choice_of(ref, fields));
    if (choices.back().met.empty() && !choices.back().allows_absence) return false;
  }
  const auto groups = groups_of(choices);
  return std::all_of(groups.begin(), groups.end(), [](const auto& group) { return Search(group).run(); });
}

}  // namespace mayfly::pattern
