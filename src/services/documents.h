// Generated structures as documents, for records that hold them; and references inside of a document.
#pragma once

#include <boost/system/error_code.hpp>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"

namespace mayfly::services {

template <typename T>
json::object map_document(const std::map<std::string, T>& map) {
  json::object out;
  for (const auto& [id, item] : map) {
    json::object one;
    to_document(item, one);
    out[id] = std::move(one);
  }
  return out;
}

template <typename T>
std::map<std::string, T> map_read(const json::value& document, std::string_view name) {
  std::map<std::string, T> out;
  const auto* map = find(document, name);
  if (map == nullptr || !map->is_object()) return out;
  for (const auto& [id, item] : map->get_object()) {
    T one;
    if (item.is_object()) from_document(item.get_object(), one);
    out.emplace(std::string(id), std::move(one));
  }
  return out;
}

// One generated structure as another with the same members.
template <typename To, typename From>
To converted(const From& from) {
  json::object document;
  to_document(from, document);
  To out;
  from_document(document, out);
  return out;
}

// The members of `from` that are set replace those of `to`, but for `except`.
template <typename To, typename From>
void merge(To& to, const From& from, std::initializer_list<std::string_view> except) {
  json::object changes;
  to_document(from, changes);
  for (const auto name : except) changes.erase(name);
  json::object document;
  to_document(to, document);
  for (auto& [name, value] : changes) document[name] = std::move(value);
  To merged;
  from_document(document, merged);
  to = std::move(merged);
}

// nullopt where there is no text of that name.
inline std::optional<std::string> text_of(const json::value& document, std::string_view name) {
  const auto* value = find(document, name);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

// What {"$ref": "#/components/x/name"} stands for (a JSON Pointer into `document`), else `value`; null where there is
// nothing.
inline const json::value* resolved(const json::value& document, const json::value* value) {
  if (value == nullptr) return nullptr;
  const auto reference = get_string(*value, "$ref");
  if (!reference.starts_with("#/")) return value;
  boost::system::error_code unknown;
  return document.find_pointer(reference.substr(1), unknown);
}

}  // namespace mayfly::services
