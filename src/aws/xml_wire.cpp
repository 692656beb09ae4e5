#include "aws/xml_wire.h"

#include <algorithm>
#include <ranges>

#include "base/encoding.h"

namespace mayfly::aws {

namespace {

// Of the elements that a flattened list or map consists of.
std::string_view flattened_name(const MemberModel& member) {
  if (member.shape->kind == Kind::kList && member.shape->members[0].name_in_xml() != "member") {
    return member.shape->members[0].name_in_xml();
  }
  return member.name_in_xml();
}

TimeFormat time_format_of(const MemberModel& member) {
  if (member.time_format != TimeFormat::kDefault) return member.time_format;
  return member.shape->time_format != TimeFormat::kDefault ? member.shape->time_format : TimeFormat::kIso8601;
}

void open_element(XmlWriter& out, std::string_view name, const MemberModel& member) {
  out.open(name);
  if (!member.xml_namespace.empty()) {
    write_xml_namespace(out, member.xml_namespace, member.xml_prefix);
  } else if (member.shape->kind == Kind::kStructure) {
    write_xml_namespace(out, member.shape->xml_namespace, member.shape->xml_prefix);
  }
}

void write_content(XmlWriter& out, const MemberModel& member, const json::value& value);

void write_element(XmlWriter& out, std::string_view name, const MemberModel& member, const json::value& value) {
  if (value.is_null()) return;
  open_element(out, name, member);
  write_content(out, member, value);
  out.close();
}

void write_entry(XmlWriter& out, const ShapeModel& map, std::string_view key, const json::value& value) {
  write_element(out, map.members[0].name_in_xml(), map.members[0], json::string(key));
  write_element(out, map.members[1].name_in_xml(), map.members[1], value);
}

void write_content(XmlWriter& out, const MemberModel& member, const json::value& value) {
  const auto& shape = *member.shape;
  if (const auto* object = value.if_object(); object != nullptr && shape.kind == Kind::kStructure) {
    write_xml_members(out, shape, *object);
  } else if (object != nullptr && shape.kind == Kind::kMap) {
    for (const auto& entry : *object) {
      if (entry.value().is_null()) continue;
      out.open("entry");
      write_entry(out, shape, entry.key(), entry.value());
      out.close();
    }
  } else if (const auto* items = value.if_array(); items != nullptr && shape.kind == Kind::kList) {
    for (const auto& item : *items) write_element(out, shape.members[0].name_in_xml(), shape.members[0], item);
  } else {
    out.text(to_wire_text(shape, value, time_format_of(member)));
  }
}

void write_flattened(XmlWriter& out, const MemberModel& member, const json::value& value) {
  const auto& shape = *member.shape;
  const auto name = flattened_name(member);
  if (const auto* items = value.if_array()) {
    for (const auto& item : *items) {
      if (item.is_null()) continue;
      out.open(name);
      write_xml_namespace(out, member.xml_namespace, member.xml_prefix);
      write_content(out, shape.members[0], item);
      out.close();
    }
  } else if (const auto* object = value.if_object()) {
    for (const auto& entry : *object) {
      if (entry.value().is_null()) continue;
      out.open(name);
      write_xml_namespace(out, member.xml_namespace, member.xml_prefix);
      write_entry(out, shape, entry.key(), entry.value());
      out.close();
    }
  }
}

// --- reading

ApiResult<json::value> read_value(const MemberModel& member, const XmlElement& element);

template <typename Elements>
ApiResult<json::value> read_items(const ShapeModel& shape, const Elements& elements) {
  json::array out;
  for (const auto& element : elements) {
    auto item = read_value(shape.members[0], element);
    if (!item) return item;
    out.push_back(std::move(*item));
  }
  return out;
}

template <typename Elements>
ApiResult<json::value> read_entries(const ShapeModel& shape, const Elements& elements) {
  json::object out;
  for (const auto& element : elements) {
    const auto* key = element.child(shape.members[0].name_in_xml());
    const auto* value = element.child(shape.members[1].name_in_xml());
    if (key == nullptr || value == nullptr) {
      return std::unexpected(serialization_error("A map entry has no key or no value"));
    }
    auto item = read_value(shape.members[1], *value);
    if (!item) return item;
    out.insert_or_assign(key->text, std::move(*item));
  }
  return out;
}

ApiResult<json::value> read_value(const MemberModel& member, const XmlElement& element) {
  const auto& shape = *member.shape;
  switch (shape.kind) {
    case Kind::kStructure: {
      auto object = structure_from_xml(shape, element);
      if (!object) return std::unexpected(std::move(object.error()));
      return json::value(std::move(*object));
    }
    case Kind::kList:
      return read_items(shape, element.children);
    case Kind::kMap:
      return read_entries(shape, element.children);
    case Kind::kString:
      return json::value(json::string(element.text));
    default:
      return from_wire_text(shape, trim(element.text), time_format_of(member));
  }
}

ApiResult<std::optional<json::value>> read_member(const MemberModel& member, const XmlElement& element) {
  if (member.xml_attribute) {
    // The prefix of an attribute's name is the document's own choice; what is declared is what is compared.
    const auto* text = element.attribute(member.name_in_xml());
    if (text == nullptr) return std::nullopt;
    auto value = from_wire_text(*member.shape, *text, time_format_of(member));
    if (!value) return std::unexpected(std::move(value.error()));
    return std::move(*value);
  }
  const bool flat = is_flattened(member) && (member.shape->kind == Kind::kList || member.shape->kind == Kind::kMap);
  // Names in models may hold a prefix, which the parser has taken off.
  auto name = flat ? flattened_name(member) : member.name_in_xml();
  if (const auto colon = name.find(':'); colon != std::string_view::npos) name.remove_prefix(colon + 1);
  auto mine = element.children | std::views::filter([name](const XmlElement& child) { return child.name == name; });
  if (mine.begin() == mine.end()) return std::nullopt;
  if (flat) {
    std::vector<XmlElement> elements(mine.begin(), mine.end());
    auto value =
        member.shape->kind == Kind::kList ? read_items(*member.shape, elements) : read_entries(*member.shape, elements);
    if (!value) return std::unexpected(std::move(value.error()));
    return std::move(*value);
  }
  auto value = read_value(member, mine.front());
  if (!value) return std::unexpected(std::move(value.error()));
  return std::move(*value);
}

}  // namespace

void write_xml_namespace(XmlWriter& out, std::string_view uri, std::string_view prefix) {
  if (uri.empty()) return;
  out.attribute(prefix.empty() ? std::string("xmlns") : "xmlns:" + std::string(prefix), uri);
}

void write_xml_member(XmlWriter& out, const MemberModel& member, const json::value& value) {
  if (value.is_null()) return;
  if (is_flattened(member) && (value.is_array() || value.is_object())) {
    write_flattened(out, member, value);
  } else {
    write_element(out, member.name_in_xml(), member, value);
  }
}

void write_xml_members(XmlWriter& out, const ShapeModel& shape, const json::object& document) {
  // Attributes first: they belong to the tag that is still open.
  for (const auto& member : shape.members) {
    const auto* value = document.if_contains(member.name);
    if (value == nullptr || value->is_null() || !member.xml_attribute) continue;
    out.attribute(member.name_in_xml(), to_wire_text(*member.shape, *value, time_format_of(member)));
  }
  for (const auto& member : shape.members) {
    const auto* value = document.if_contains(member.name);
    if (value == nullptr || member.xml_attribute || member.location != Location::kBody) continue;
    write_xml_member(out, member, *value);
  }
}

ApiResult<json::object> structure_from_xml(const ShapeModel& shape, const XmlElement& element) {
  json::object out;
  for (const auto& member : shape.members) {
    if (member.location != Location::kBody) continue;
    auto value = read_member(member, element);
    if (!value) return std::unexpected(std::move(value.error()));
    if (*value) out.emplace(member.name, std::move(**value));
  }
  return out;
}

}  // namespace mayfly::aws
