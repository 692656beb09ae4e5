#include "base/json.h"

#include <fmt/core.h>

#include <boost/json/parser.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

namespace mayfly {
namespace {
constexpr std::size_t kMaxDepth = 64;

// Boost.JSON writes every double with an exponent ("1.5E0"), which people and some parsers do not expect.
void write(const json::value& value, std::string& out) {
  if (value.is_double()) {
    const double number = value.get_double();
    if (!std::isfinite(number)) {
      out += "null";
      return;
    }
    std::string text = fmt::format("{}", number);
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    out += text;
  } else if (value.is_object()) {
    out += '{';
    bool first = true;
    for (const auto& member : value.get_object()) {
      if (!std::exchange(first, false)) out += ',';
      out += json::serialize(json::string_view(member.key()));
      out += ':';
      write(member.value(), out);
    }
    out += '}';
  } else if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const auto& element : value.get_array()) {
      if (!std::exchange(first, false)) out += ',';
      write(element, out);
    }
    out += ']';
  } else {
    out += json::serialize(value);
  }
}
}  // namespace

Result<json::value> parse_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  boost::system::error_code ec;
  json::parser parser({}, options);
  const std::size_t used = parser.write_some(text.data(), text.size(), ec);
  if (ec) return fail(ErrorCode::kInvalid, fmt::format("not JSON at byte {}: {}", used, ec.message()));
  if (used != text.size())
    return fail(ErrorCode::kInvalid, fmt::format("not JSON: more follows its end at byte {}", used));
  return parser.release();
}

std::string to_json(const json::value& value) {
  std::string out;
  write(value, out);
  return out;
}

namespace {

std::string_view string_or(const json::value* value, std::string_view fallback) {
  if (value == nullptr || !value->is_string()) return fallback;
  const json::string& text = value->get_string();
  return {text.data(), text.size()};
}

std::int64_t int_or(const json::value* value, std::int64_t fallback) {
  return value != nullptr && value->is_int64() ? value->get_int64() : fallback;
}

bool bool_or(const json::value* value, bool fallback) {
  return value != nullptr && value->is_bool() ? value->get_bool() : fallback;
}

}  // namespace

const json::value* find(const json::value& object, std::string_view key) {
  return object.is_object() ? object.get_object().if_contains(key) : nullptr;
}
const json::value* find(const json::object& object, std::string_view key) { return object.if_contains(key); }

std::string_view get_string(const json::value& object, std::string_view key, std::string_view fallback) {
  return string_or(find(object, key), fallback);
}
std::string_view get_string(const json::object& object, std::string_view key, std::string_view fallback) {
  return string_or(find(object, key), fallback);
}

std::int64_t get_int(const json::value& object, std::string_view key, std::int64_t fallback) {
  return int_or(find(object, key), fallback);
}
std::int64_t get_int(const json::object& object, std::string_view key, std::int64_t fallback) {
  return int_or(find(object, key), fallback);
}

bool get_bool(const json::value& object, std::string_view key, bool fallback) {
  return bool_or(find(object, key), fallback);
}
bool get_bool(const json::object& object, std::string_view key, bool fallback) {
  return bool_or(find(object, key), fallback);
}

}  // namespace mayfly
