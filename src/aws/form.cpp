#include "aws/form.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "aws/json_wire.h"
#include "base/encoding.h"
#include "http/query.h"

namespace mayfly::aws {

namespace {

// The parts of a field's name between its dots, as a tree.
struct Node {
  const std::string* value = nullptr;
  std::map<std::string_view, Node, std::less<>> parts;

  [[nodiscard]] const Node* part(std::string_view name) const {
    const auto found = parts.find(name);
    return found == parts.end() ? nullptr : &found->second;
  }
};

// False where the name has too many parts.
bool put(Node& root, std::string_view name, const std::string& value) {
  auto* node = &root;
  for (std::size_t depth = 0; depth < kDeepestFormName; ++depth) {
    const auto dot = name.find('.');
    node = &node->parts[name.substr(0, dot)];
    if (dot == std::string_view::npos) {
      node->value = &value;
      return true;
    }
    name.remove_prefix(dot + 1);
  }
  return false;
}

// The parts that are numbers, in their order: gaps do not count.
std::vector<const Node*> numbered(const Node& node) {
  std::vector<std::pair<std::uint32_t, const Node*>> found;
  for (const auto& [name, part] : node.parts) {
    std::uint32_t number = 0;
    const auto* end = name.data() + name.size();
    const auto result = std::from_chars(name.data(), end, number);
    if (result.ec == std::errc() && result.ptr == end) found.emplace_back(number, &part);
  }
  std::ranges::sort(found, {}, &std::pair<std::uint32_t, const Node*>::first);
  std::vector<const Node*> out;
  out.reserve(found.size());
  for (const auto& [number, part] : found) out.push_back(part);
  return out;
}

// "member" is what an element is called that has no name of its own.
bool has_own_name(const MemberModel& element) { return element.name_in_xml() != "member"; }

ApiResult<json::value> read(const ShapeModel& shape, const Node& node, const MemberModel& member);
ApiResult<json::object> read_structure(const ShapeModel& shape, const Node& node);

ApiResult<json::value> read_list(const ShapeModel& shape, const Node* items) {
  json::array out;
  if (items == nullptr) return out;
  for (const auto* item : numbered(*items)) {
    auto value = read(*shape.members[0].shape, *item, shape.members[0]);
    if (!value) return value;
    out.push_back(std::move(*value));
  }
  return out;
}

ApiResult<json::value> read_map(const ShapeModel& shape, const Node* entries) {
  json::object out;
  if (entries == nullptr) return out;
  for (const auto* entry : numbered(*entries)) {
    const auto* key = entry->part(shape.members[0].name_in_xml());
    const auto* value = entry->part(shape.members[1].name_in_xml());
    if (key == nullptr || key->value == nullptr) {
      return std::unexpected(serialization_error("A map entry has no " + std::string(shape.members[0].name_in_xml())));
    }
    if (value == nullptr) continue;
    auto item = read(*shape.members[1].shape, *value, shape.members[1]);
    if (!item) return item;
    out.insert_or_assign(*key->value, std::move(*item));
  }
  return out;
}

ApiResult<json::value> read(const ShapeModel& shape, const Node& node, const MemberModel& member) {
  switch (shape.kind) {
    case Kind::kStructure: {
      auto object = read_structure(shape, node);
      if (!object) return std::unexpected(std::move(object.error()));
      return json::value(std::move(*object));
    }
    case Kind::kList:
      return read_list(shape, is_flattened(member) ? &node : node.part(shape.members[0].name_in_xml()));
    case Kind::kMap:
      return read_map(shape, is_flattened(member) ? &node : node.part("entry"));
    default:
      break;
  }
  if (node.value == nullptr) {
    return std::unexpected(serialization_error("Unexpected complex element where a value was expected"));
  }
  const auto format = member.time_format != TimeFormat::kDefault ? member.time_format : TimeFormat::kIso8601;
  return from_wire_text(shape, *node.value, format);
}

ApiResult<json::object> read_structure(const ShapeModel& shape, const Node& node) {
  json::object out;
  for (const auto& member : shape.members) {
    auto name = member.name_in_xml();
    if (member.shape->kind == Kind::kList && is_flattened(member) && has_own_name(member.shape->members[0])) {
      name = member.shape->members[0].name_in_xml();
    }
    const auto* part = node.part(name);
    if (part == nullptr) continue;
    auto value = read(*member.shape, *part, member);
    if (!value) return std::unexpected(std::move(value.error()));
    out.emplace(member.name, std::move(*value));
  }
  return out;
}

}  // namespace

Form parse_form(std::string_view text, std::size_t most) {
  Form out;
  while (out.size() < most) {
    const auto part = http::next_part(text);
    if (!part) break;
    out.emplace_back(http::decode_form(part->name), http::decode_form(part->value));
  }
  return out;
}

const std::string* find_field(const Form& form, std::string_view name) {
  const auto found = std::ranges::find(form, name, &std::pair<std::string, std::string>::first);
  return found == form.end() ? nullptr : &found->second;
}

ApiResult<json::object> from_form(const ShapeModel& shape, const Form& form) {
  if (form.size() >= kMostFormFields) return std::unexpected(serialization_error("The request has too many fields"));
  Node root;
  for (const auto& [name, value] : form) {
    if (!put(root, name, value)) {
      return std::unexpected(serialization_error("The name of a field has too many parts"));
    }
  }
  return read_structure(shape, root);
}

}  // namespace mayfly::aws
