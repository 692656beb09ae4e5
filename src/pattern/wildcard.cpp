#include "pattern/wildcard.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>

namespace mayfly::pattern {
namespace {

// Recorded: "*:*:*:*:*:event-bus/*" (ten places at once) is refused, four times "*.ext" (eight) is accepted.
constexpr std::size_t kMostPlaces = 10;
// Sets of places looked at before it is taken for simple: refusing is the service's rule, not needed for speed.
constexpr std::size_t kMostSets = 2'000;

constexpr int kStar = 256;
constexpr int kBefore = -1;

// The characters of all wildcards in one row, each between quotes and with a place before it. A place is an index: what
// was read last.
std::vector<int> row_of(const std::vector<const Wildcard*>& wildcards) {
  std::vector<int> row;
  for (const Wildcard* wildcard : wildcards) {
    row.push_back(kBefore);
    row.push_back('"');
    if (wildcard->open_start()) row.push_back(kStar);
    bool first = true;
    for (const auto& literal : wildcard->literals()) {
      if (!std::exchange(first, false)) row.push_back(kStar);
      for (const char c : literal) row.push_back(static_cast<std::uint8_t>(c));
    }
    if (wildcard->open_end() && !wildcard->literals().empty()) row.push_back(kStar);
    row.push_back('"');
  }
  row.push_back(kBefore);
  return row;
}

using Places = std::vector<std::size_t>;  // sorted

bool star_follows(const std::vector<int>& row, std::size_t place) { return row[place + 1] == kStar; }

// One character further. A star takes any character again and again, or none.
Places step(const std::vector<int>& row, const Places& from, int c) {
  std::set<std::size_t> to;
  for (const std::size_t place : from) {
    if (row[place] == kStar) to.insert(place);
    std::size_t next = place + 1;
    if (row[next] == kStar) to.insert(next++);
    if (row[next] == c && c != kStar) to.insert(next);
  }
  return {to.begin(), to.end()};
}

// As the service's engine counts: what was read last, and the star that follows it.
std::size_t count(const std::vector<int>& row, const Places& places) {
  std::size_t counted = places.size();
  for (const std::size_t place : places) {
    if (star_follows(row, place) && !std::binary_search(places.begin(), places.end(), place + 1)) ++counted;
  }
  return counted;
}

}  // namespace

Result<Wildcard> Wildcard::parse(std::string_view text) {
  Wildcard wildcard;
  std::string literal;
  bool after_star = false;
  bool any_star = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '*') {
      if (i + 1 < text.size() && text[i + 1] == '*')
        return fail(ErrorCode::kInvalid, fmt::format("Consecutive wildcard characters at pos {}", i + 1));
      if (i == 0) wildcard.open_start_ = true;
      if (!literal.empty()) wildcard.literals_.push_back(std::move(literal));
      literal.clear();
      after_star = any_star = true;
      continue;
    }
    after_star = false;
    if (c != '\\') {
      literal += c;
    } else if (i + 1 < text.size() && (text[i + 1] == '*' || text[i + 1] == '\\')) {
      literal += text[++i];
    } else {
      return fail(ErrorCode::kInvalid, fmt::format("Invalid escape character at pos {}", i + 1));
    }
  }
  wildcard.open_end_ = after_star;
  if (!literal.empty() || !any_star) wildcard.literals_.push_back(std::move(literal));
  return wildcard;
}

bool Wildcard::matches(std::string_view value) const {
  if (literals_.empty()) return true;
  std::size_t first = 0;
  std::size_t last = literals_.size();
  if (!open_start_) {
    if (!value.starts_with(literals_.front())) return false;
    value.remove_prefix(literals_.front().size());
    if (++first == last) return open_end_ || value.empty();
  }
  if (!open_end_) {
    if (!value.ends_with(literals_.back())) return false;
    value.remove_suffix(literals_.back().size());
    --last;
  }
  for (; first < last; ++first) {
    const auto at = value.find(literals_[first]);
    if (at == std::string_view::npos) return false;
    value.remove_prefix(at + literals_[first].size());
  }
  return true;
}

bool too_complex(const std::vector<const Wildcard*>& wildcards) {
  const auto row = row_of(wildcards);
  std::set<int> characters(row.begin(), row.end());
  characters.erase(kBefore);
  characters.insert(kStar);  // stands for a character that occurs nowhere
  Places start;
  for (std::size_t i = 0; i + 1 < row.size(); ++i) {
    if (row[i] == kBefore) start.push_back(i);
  }
  std::set<Places> seen;
  std::vector<Places> open{start};
  while (!open.empty() && seen.size() < kMostSets) {
    const Places from = std::move(open.back());
    open.pop_back();
    for (const int c : characters) {
      Places to = step(row, from, c);
      if (to.empty() || !seen.insert(to).second) continue;
      if (count(row, to) >= kMostPlaces) return true;
      open.push_back(std::move(to));
    }
  }
  return false;
}

}  // namespace mayfly::pattern
