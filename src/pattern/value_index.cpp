#include "pattern/value_index.h"

#include <cmath>

namespace mayfly::pattern {
namespace {

using Kind = Condition::Kind;

constexpr std::size_t kPiece = 3;
constexpr std::size_t kTrieCost = 4;
constexpr std::size_t kPieceCost = 16;
constexpr std::size_t kAnyCost = 1'000'000;

std::string reversed(std::string_view text) { return {text.rbegin(), text.rend()}; }

std::uint32_t piece(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return std::uint32_t{static_cast<std::uint8_t>(text[at + i])}; };
  return byte(0) | (byte(1) << 8U) | (byte(2) << 16U);
}

// The longest text that a value must contain.
std::string_view longest(const Wildcard& wildcard) {
  std::string_view found;
  for (const auto& literal : wildcard.literals()) {
    if (literal.size() > found.size()) found = literal;
  }
  return found;
}

template <typename Map, typename Key>
std::size_t count_at(const Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? 0 : found->second.size();
}

template <typename Map, typename Key>
void append_at(const Map& map, const Key& key, Slots& out) {
  if (map.empty()) return;
  const auto found = map.find(key);
  if (found != map.end()) out.insert(out.end(), found->second.begin(), found->second.end());
}

}  // namespace

std::uint32_t ByteTrie::step(std::uint32_t node, char c) const {
  const auto& next = nodes_[node].next;
  const auto at = std::lower_bound(next.begin(), next.end(), c, [](const auto& a, char b) { return a.first < b; });
  return at != next.end() && at->first == c ? at->second : 0;
}

Slots& ByteTrie::at(std::string_view text) {
  std::uint32_t node = 0;
  for (const char c : text) {
    std::uint32_t to = step(node, c);
    if (to == 0) {
      to = static_cast<std::uint32_t>(nodes_.size());
      nodes_.emplace_back();
      auto& next = nodes_[node].next;
      const auto at = std::lower_bound(next.begin(), next.end(), c, [](const auto& a, char b) { return a.first < b; });
      next.insert(at, {c, to});
    }
    node = to;
  }
  return nodes_[node].slots;
}

std::size_t ByteTrie::count(std::string_view text) const {
  std::uint32_t node = 0;
  for (const char c : text) {
    node = step(node, c);
    if (node == 0) return 0;
  }
  return nodes_[node].slots.size();
}

void ByteTrie::walk(std::string_view value, Slots& out) const {
  std::uint32_t node = 0;
  out.insert(out.end(), nodes_[0].slots.begin(), nodes_[0].slots.end());
  for (const char c : value) {
    node = step(node, c);
    if (node == 0) return;
    out.insert(out.end(), nodes_[node].slots.begin(), nodes_[node].slots.end());
  }
}

void ByteTrie::walk_back(std::string_view value, Slots& out) const {
  std::uint32_t node = 0;
  out.insert(out.end(), nodes_[0].slots.begin(), nodes_[0].slots.end());
  for (auto c = value.rbegin(); c != value.rend(); ++c) {
    node = step(node, *c);
    if (node == 0) return;
    out.insert(out.end(), nodes_[node].slots.begin(), nodes_[node].slots.end());
  }
}

void ValueIndex::add(const Condition& condition, Slot slot) {
  switch (condition.kind) {
    case Kind::kEqual:
      equal_[condition.text].push_back(slot);
      break;
    case Kind::kText:
      text_[condition.text].push_back(slot);
      break;
    case Kind::kEqualFold:
      equal_fold_[condition.text].push_back(slot);
      break;
    case Kind::kNumber:
      number_[condition.low].push_back(slot);
      break;
    case Kind::kRange: {
      constexpr double kInfinity = std::numeric_limits<double>::infinity();
      const double low = condition.open_low ? std::nextafter(condition.low, kInfinity) : condition.low;
      const double high = condition.open_high ? std::nextafter(condition.high, -kInfinity) : condition.high;
      ranges_.add(low, high, slot);
      break;
    }
    case Kind::kAddress:
      addresses_.add(condition.addresses.low, condition.addresses.high, slot);
      break;
    case Kind::kPrefix:
      prefix_.at(condition.text).push_back(slot);
      break;
    case Kind::kPrefixFold:
      prefix_fold_.at(condition.text).push_back(slot);
      break;
    case Kind::kSuffix:
      suffix_.at(reversed(condition.text)).push_back(slot);
      break;
    case Kind::kSuffixFold:
      suffix_fold_.at(reversed(condition.text)).push_back(slot);
      break;
    case Kind::kWildcard:
      add_wildcard(condition.wildcard, slot);
      break;
    case Kind::kExists:
    case Kind::kAnythingBut:
      any_.push_back(slot);
      break;
    case Kind::kAbsent:
      break;
  }
}

void ValueIndex::add_wildcard(const Wildcard& wildcard, Slot slot) {
  const auto text = longest(wildcard);
  if (text.size() >= kPiece) {
    // The last bytes: texts of one kind more often begin alike than end alike.
    pieces_[piece(text, text.size() - kPiece)].push_back(slot);
  } else if (!wildcard.open_start() && !wildcard.literals().empty()) {
    prefix_.at(wildcard.literals().front()).push_back(slot);
  } else if (!wildcard.open_end() && !wildcard.literals().empty()) {
    suffix_.at(reversed(wildcard.literals().back())).push_back(slot);
  } else {
    any_.push_back(slot);
  }
}

std::size_t ValueIndex::cost(const Condition& condition) const {
  switch (condition.kind) {
    case Kind::kEqual:
      return count_at(equal_, condition.text);
    case Kind::kText:
      return kTrieCost + count_at(text_, condition.text);
    case Kind::kEqualFold:
      return count_at(equal_fold_, condition.text);
    case Kind::kNumber:
      return count_at(number_, condition.low);
    case Kind::kRange:
      return kPieceCost + ranges_.size() / 2;
    case Kind::kAddress:
      return kTrieCost + (condition.addresses.low == condition.addresses.high ? 0 : addresses_.size() / 4);
    case Kind::kPrefix:
      return condition.text.empty() ? kAnyCost : kTrieCost + prefix_.count(condition.text);
    case Kind::kPrefixFold:
      return condition.text.empty() ? kAnyCost : kTrieCost + prefix_fold_.count(condition.text);
    case Kind::kSuffix:
      return condition.text.empty() ? kAnyCost : kTrieCost + suffix_.count(reversed(condition.text));
    case Kind::kSuffixFold:
      return condition.text.empty() ? kAnyCost : kTrieCost + suffix_fold_.count(reversed(condition.text));
    case Kind::kWildcard: {
      const auto text = longest(condition.wildcard);
      if (text.size() < kPiece) return kAnyCost / 2 + any_.size();
      return kPieceCost + count_at(pieces_, piece(text, text.size() - kPiece));
    }
    case Kind::kExists:
    case Kind::kAnythingBut:
    case Kind::kAbsent:
      return kAnyCost + any_.size();
  }
  return kAnyCost;
}

void ValueIndex::find(const Value& value, Slots& out) const {
  out.insert(out.end(), any_.begin(), any_.end());
  if (value.is_number()) {
    append_at(number_, value.number(), out);
    ranges_.find(value.number(), out);
    return;
  }
  if (!value.is_string()) {
    append_at(text_, value.text(), out);
    return;
  }
  append_at(equal_, value.text(), out);
  if (!equal_fold_.empty()) append_at(equal_fold_, value.folded(), out);
  if (!prefix_.empty()) prefix_.walk(value.text(), out);
  if (!prefix_fold_.empty()) prefix_fold_.walk(value.folded(), out);
  if (!suffix_.empty()) suffix_.walk_back(value.text(), out);
  if (!suffix_fold_.empty()) suffix_fold_.walk_back(value.folded(), out);
  if (addresses_.size() > 0 && value.address()) addresses_.find(*value.address(), out);
  if (pieces_.empty()) return;
  for (std::size_t i = 0; i + kPiece <= value.text().size(); ++i) append_at(pieces_, piece(value.text(), i), out);
}

}  // namespace mayfly::pattern
