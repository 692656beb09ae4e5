// JSON, by Boost.JSON (ordered objects, bounded depth). Include this and not boost/json.hpp; the few
// helpers here are the only other way values are read.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace mayfly {

namespace json = boost::json;

// Parses a whole text; depth is bounded at 64. The Error's message says where it failed.
Result<json::value> parse_json(std::string_view text);
// Compact text; doubles are written in their shortest form that reads back the same, whole ones as "12.0".
std::string to_json(const json::value& value);
// Without the copy that making a value of them would be.
std::string to_json(const json::object& object);
std::string to_json(const json::array& array);

// Lookups that do not throw: null or the fallback where the member is missing or of another kind. What they return lies
// in `object`. Objects have overloads of their own, or each call would copy one into a value that ends before what was
// found in it.
const json::value* find(const json::value& object, std::string_view key);
const json::value* find(const json::object& object, std::string_view key);
std::string_view get_string(const json::value& object, std::string_view key, std::string_view fallback = {});
std::string_view get_string(const json::object& object, std::string_view key, std::string_view fallback = {});
std::int64_t get_int(const json::value& object, std::string_view key, std::int64_t fallback = 0);
std::int64_t get_int(const json::object& object, std::string_view key, std::int64_t fallback = 0);
bool get_bool(const json::value& object, std::string_view key, bool fallback);
bool get_bool(const json::object& object, std::string_view key, bool fallback);

}  // namespace mayfly
