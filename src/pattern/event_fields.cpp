#include "pattern/event_fields.h"

#include <algorithm>
#include <numeric>

namespace mayfly::pattern {

PathId PathTree::add(std::string_view path) {
  std::uint32_t node = 0;
  for (;;) {
    const auto dot = path.find('.');
    const auto step = path.substr(0, dot);
    const auto known = nodes_[node].steps.find(step);
    if (known != nodes_[node].steps.end()) {
      node = known->second;
    } else {
      const auto made = static_cast<std::uint32_t>(nodes_.size());
      nodes_[node].steps.emplace(step, made);
      nodes_.emplace_back();
      node = made;
    }
    if (dot == std::string_view::npos) break;
    path.remove_prefix(dot + 1);
  }
  if (nodes_[node].path == kNoPath) nodes_[node].path = static_cast<PathId>(count_++);
  return nodes_[node].path;
}

std::uint32_t PathTree::follow(std::uint32_t node, std::string_view key) const {
  for (;;) {
    const auto dot = key.find('.');
    const auto step = nodes_[node].steps.find(key.substr(0, dot));
    if (step == nodes_[node].steps.end()) return 0;
    node = step->second;
    if (dot == std::string_view::npos) return node;
    key.remove_prefix(dot + 1);
  }
}

EventFields::EventFields(const PathTree& paths, const json::value& event) : memberships_(1) {
  if (event.is_object()) walk_object(paths, 0, event.get_object(), 0);
  order_.resize(fields_.size());
  std::iota(order_.begin(), order_.end(), 0);
  std::sort(order_.begin(), order_.end(), [this](std::uint32_t a, std::uint32_t b) {
    return fields_[a].path != fields_[b].path ? fields_[a].path < fields_[b].path : a < b;
  });
}

std::span<const std::uint32_t> EventFields::of(PathId path) const {
  const auto first = std::lower_bound(order_.begin(), order_.end(), path,
                                      [this](std::uint32_t index, PathId p) { return fields_[index].path < p; });
  auto last = first;
  while (last != order_.end() && fields_[*last].path == path) ++last;
  return {first, last};
}

void EventFields::walk_object(const PathTree& paths, std::uint32_t node, const json::object& object,
                              std::uint32_t membership) {
  if (paths.nodes_[node].steps.empty()) return;
  for (const auto& member : object) {
    const std::string_view key(member.key().data(), member.key().size());
    if (const auto to = paths.follow(node, key); to != 0) walk(paths, to, member.value(), membership);
  }
}

void EventFields::walk_array(const PathTree& paths, std::uint32_t node, const json::array& array,
                             std::uint32_t membership) {
  const std::uint32_t id = arrays_++;
  std::uint32_t index = 0;
  for (const auto& element : array) {
    if (element.is_object() || element.is_array()) {
      Membership inner = memberships_[membership];
      inner.emplace_back(id, index);
      memberships_.push_back(std::move(inner));
      walk(paths, node, element, static_cast<std::uint32_t>(memberships_.size() - 1));
    } else {
      walk(paths, node, element, membership);
    }
    ++index;
  }
}

void EventFields::walk(const PathTree& paths, std::uint32_t node, const json::value& value, std::uint32_t membership) {
  if (value.is_object()) return walk_object(paths, node, value.get_object(), membership);
  if (value.is_array()) return walk_array(paths, node, value.get_array(), membership);
  const PathId path = paths.nodes_[node].path;
  if (path == kNoPath) return;
  fields_.push_back(Field{.value = Value(value), .path = path, .membership = membership});
}

}  // namespace mayfly::pattern
