// An event flattened to the leaves that patterns ask for, each with the elements of the arrays it came from.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json.h"
#include "pattern/values.h"

namespace mayfly::pattern {

using PathId = std::uint32_t;
inline constexpr PathId kNoPath = ~PathId{0};

// The paths that somebody asks for, as a tree of steps.
class PathTree {
 public:
  PathTree() : nodes_(1) {}
  PathId add(std::string_view path);  // the same path gets the same id, counted from 0
  [[nodiscard]] std::size_t size() const { return count_; }

 private:
  friend class EventFields;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  struct Node {
    PathId path = kNoPath;
    std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> steps;
  };
  // Where a key leads; one with dots is as many steps ("a.b" names what "b" in "a" names). 0: nowhere.
  [[nodiscard]] std::uint32_t follow(std::uint32_t node, std::string_view key) const;
  std::vector<Node> nodes_;
  std::size_t count_ = 0;
};

// Which element of which array of the event, for all arrays around a leaf that hold objects or arrays.
using Membership = std::vector<std::pair<std::uint32_t, std::uint32_t>>;  // (array, element), by array

struct Field {
  Value value;
  PathId path = kNoPath;
  std::uint32_t membership = 0;  // an index of EventFields::memberships_
};

class EventFields {
 public:
  // Refers to `event`, which outlives it.
  EventFields(const PathTree& paths, const json::value& event);

  // The fields, ordered by path, and those of one path.
  [[nodiscard]] std::span<const std::uint32_t> all() const { return order_; }
  [[nodiscard]] std::span<const std::uint32_t> of(PathId path) const;
  [[nodiscard]] const Field& field(std::uint32_t index) const { return fields_[index]; }
  [[nodiscard]] const Membership& membership(const Field& field) const { return memberships_[field.membership]; }
  // False where no field lies in an array of objects: then every field goes with every other.
  [[nodiscard]] bool has_arrays() const { return memberships_.size() > 1; }

 private:
  void walk_object(const PathTree& paths, std::uint32_t node, const json::object& object, std::uint32_t membership);
  void walk_array(const PathTree& paths, std::uint32_t node, const json::array& array, std::uint32_t membership);
  void walk(const PathTree& paths, std::uint32_t node, const json::value& value, std::uint32_t membership);

  std::vector<Field> fields_;
  std::vector<std::uint32_t> order_;  // indices of fields_
  std::vector<Membership> memberships_;
  std::uint32_t arrays_ = 0;
};

}  // namespace mayfly::pattern
