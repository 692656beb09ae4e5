// Where branches are found by the value of one path: everything that compares with a text, a number or an address is
// looked up; what cannot be looked up stands in one list.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pattern/compiled.h"
#include "pattern/values.h"

namespace mayfly::pattern {

using Slot = std::uint32_t;  // of a branch
using Slots = std::vector<Slot>;

// Texts by their first bytes: a walk along a value meets every text that the value begins with.
class ByteTrie {
 public:
  ByteTrie() : nodes_(1) {}
  Slots& at(std::string_view text);
  [[nodiscard]] std::size_t count(std::string_view text) const;  // of slots at exactly this text
  void walk(std::string_view value, Slots& out) const;
  void walk_back(std::string_view value, Slots& out) const;  // from the value's end: texts were added reversed
  [[nodiscard]] bool empty() const { return nodes_.size() == 1 && nodes_[0].slots.empty(); }

 private:
  struct Node {
    std::vector<std::pair<char, std::uint32_t>> next;  // sorted
    Slots slots;
  };
  [[nodiscard]] std::uint32_t step(std::uint32_t node, char c) const;  // 0: none
  std::vector<Node> nodes_;
};

// Closed ranges, asked which of them hold a point: sorted by their low end, as an implicit tree in which each node
// knows the highest end below it.
template <typename Key>
class RangeTree {
 public:
  void add(Key low, Key high, Slot slot) {
    const auto at = std::upper_bound(items_.begin(), items_.end(), low,
                                     [](const Key& key, const Item& item) { return key < item.low; });
    items_.insert(at, Item{low, high, high, slot});
    lift(0, items_.size());
  }
  void find(const Key& key, Slots& out) const { find(0, items_.size(), key, out); }
  [[nodiscard]] std::size_t size() const { return items_.size(); }

 private:
  struct Item {
    Key low;
    Key high;
    Key highest;  // in the subtree
    Slot slot = 0;
  };
  void lift(std::size_t first, std::size_t last) {
    if (first >= last) return;
    const std::size_t middle = first + (last - first) / 2;
    lift(first, middle);
    lift(middle + 1, last);
    Item& item = items_[middle];
    item.highest = item.high;
    if (first < middle) item.highest = std::max(item.highest, items_[first + (middle - first) / 2].highest);
    if (middle + 1 < last) item.highest = std::max(item.highest, items_[middle + 1 + (last - middle - 1) / 2].highest);
  }
  void find(std::size_t first, std::size_t last, const Key& key, Slots& out) const {
    if (first >= last) return;
    const std::size_t middle = first + (last - first) / 2;
    const Item& item = items_[middle];
    if (item.highest < key) return;
    find(first, middle, key, out);
    if (key < item.low) return;
    if (!(item.high < key)) out.push_back(item.slot);
    find(middle + 1, last, key, out);
  }
  std::vector<Item> items_;
};

class ValueIndex {
 public:
  void add(const Condition& condition, Slot slot);
  // How much it would cost to be found by this condition: roughly, the branches found with it for nothing.
  [[nodiscard]] std::size_t cost(const Condition& condition) const;
  // Every slot of which a condition may be met by the value; some may come twice, or be met by nothing.
  void find(const Value& value, Slots& out) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using ByText = std::unordered_map<std::string, Slots, Hash, std::equal_to<>>;

  void add_wildcard(const Wildcard& wildcard, Slot slot);

  ByText equal_;
  ByText text_;
  ByText equal_fold_;
  std::unordered_map<double, Slots> number_;
  ByteTrie prefix_;
  ByteTrie prefix_fold_;
  ByteTrie suffix_;
  ByteTrie suffix_fold_;
  RangeTree<double> ranges_;
  RangeTree<Address> addresses_;
  std::unordered_map<std::uint32_t, Slots> pieces_;  // three bytes that the value must contain
  Slots any_;
};

}  // namespace mayfly::pattern
