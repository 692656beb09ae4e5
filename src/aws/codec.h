// Documents to generated structures and back. Generated code calls read_member and write_member once for each member;
// what a member's type needs is found by overload. Included by generated sources only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace mayfly::aws::codec {

// Values have been validated before, so a value of another kind is a defect of the engine; it reads as empty.
void read_value(const json::value& value, std::string& out);
void read_value(const json::value& value, bool& out);
void read_value(const json::value& value, std::int32_t& out);
void read_value(const json::value& value, std::int64_t& out);
void read_value(const json::value& value, double& out);
void read_value(const json::value& value, json::value& out);

json::value write_value(const std::string& value);
json::value write_value(bool value);
json::value write_value(std::int32_t value);
json::value write_value(std::int64_t value);
json::value write_value(double value);
json::value write_value(const json::value& value);

template <typename T>
concept Structure = requires(const json::object& object, T& value, json::object& out) {
  from_document(object, value);
  to_document(value, out);
};

// Declared first, so that each finds the others: these types are not of this namespace.
template <Structure T>
void read_value(const json::value& value, T& out);
template <typename T>
void read_value(const json::value& value, std::shared_ptr<T>& out);
template <typename T>
void read_value(const json::value& value, std::vector<std::pair<std::string, T>>& out);
template <typename T>
void read_value(const json::value& value, std::vector<T>& out);
template <Structure T>
json::value write_value(const T& value);
template <typename T>
json::value write_value(const std::shared_ptr<T>& value);
template <typename T>
json::value write_value(const std::vector<std::pair<std::string, T>>& value);
template <typename T>
json::value write_value(const std::vector<T>& value);

template <Structure T>
void read_value(const json::value& value, T& out) {
  if (const auto* object = value.if_object()) from_document(*object, out);
}

template <typename T>
void read_value(const json::value& value, std::shared_ptr<T>& out) {
  out = std::make_shared<T>();
  read_value(value, *out);
}

template <typename T>
void read_value(const json::value& value, std::vector<std::pair<std::string, T>>& out) {
  const auto* object = value.if_object();
  if (object == nullptr) return;
  out.reserve(object->size());
  for (const auto& entry : *object) {
    out.emplace_back(std::string(entry.key()), T{});
    read_value(entry.value(), out.back().second);
  }
}

template <typename T>
void read_value(const json::value& value, std::vector<T>& out) {
  const auto* array = value.if_array();
  if (array == nullptr) return;
  out.reserve(array->size());
  for (const auto& item : *array) {
    T element{};
    read_value(item, element);
    out.push_back(std::move(element));
  }
}

template <Structure T>
json::value write_value(const T& value) {
  json::object out;
  to_document(value, out);
  return out;
}

template <typename T>
json::value write_value(const std::shared_ptr<T>& value) {
  return value ? write_value(*value) : json::value();
}

template <typename T>
json::value write_value(const std::vector<std::pair<std::string, T>>& value) {
  json::object out;
  for (const auto& [key, item] : value) out.insert_or_assign(key, write_value(item));
  return out;
}

template <typename T>
json::value write_value(const std::vector<T>& value) {
  json::array out;
  out.reserve(value.size());
  for (const auto& item : value) out.push_back(write_value(item));
  return out;
}

template <typename T>
void read_member(const json::object& object, std::string_view name, std::optional<T>& out) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return;
  read_value(*value, out.emplace());
}
template <typename T>
void read_member(const json::object& object, std::string_view name, std::shared_ptr<T>& out) {
  const auto* value = object.if_contains(name);
  if (value != nullptr && !value->is_null()) read_value(*value, out);
}

template <typename T>
void write_member(json::object& object, std::string_view name, const std::optional<T>& value) {
  if (value) object.emplace(name, write_value(*value));
}
template <typename T>
void write_member(json::object& object, std::string_view name, const std::shared_ptr<T>& value) {
  if (value) object.emplace(name, write_value(*value));
}

}  // namespace mayfly::aws::codec
