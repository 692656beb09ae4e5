#include "base/json.h"

#include <fmt/format.h>

#include <boost/json/parser.hpp>
#include <cmath>

namespace mayfly {
namespace {
constexpr std::size_t kMaxDepth = 64;

void write_string(std::string_view text, std::string& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text.substr(done, i - done));
    done = i + 1;
    out += '\\';
    switch (c) {
      case '"':
      case '\\':
        out += static_cast<char>(c);
        break;
      case '\b':
        out += 'b';
        break;
      case '\f':
        out += 'f';
        break;
      case '\n':
        out += 'n';
        break;
      case '\r':
        out += 'r';
        break;
      case '\t':
        out += 't';
        break;
      default:
        out.append("u00").append({kHex[c >> 4U], kHex[c & 15U]});
    }
  }
  out.append(text.substr(done));
  out += '"';
}

// Boost.JSON writes every double with an exponent ("1.5E0"), which people and some parsers do not expect.
void write_double(double number, std::string& out) {
  if (!std::isfinite(number)) {
    out += "null";
    return;
  }
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  out += text;
}

void write(const json::value& value, std::string& out);

void write(const json::object& object, std::string& out) {
  out += '{';
  bool first = true;
  for (const auto& member : object) {
    if (!std::exchange(first, false)) out += ',';
    write_string(member.key(), out);
    out += ':';
    write(member.value(), out);
  }
  out += '}';
}

void write(const json::array& array, std::string& out) {
  out += '[';
  bool first = true;
  for (const auto& element : array) {
    if (!std::exchange(first, false)) out += ',';
    write(element, out);
  }
  out += ']';
}

void write(const json::value& value, std::string& out) {
  switch (value.kind()) {
    case json::kind::object:
      return write(value.get_object(), out);
    case json::kind::array:
      return write(value.get_array(), out);
    case json::kind::string:
      return write_string(value.get_string(), out);
    case json::kind::double_:
      return write_double(value.get_double(), out);
    case json::kind::int64:
      out += fmt::format_int(value.get_int64()).str();
      return;
    case json::kind::uint64:
      out += fmt::format_int(value.get_uint64()).str();
      return;
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      return;
    case json::kind::null:
      out += "null";
      return;
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

std::string to_json(const json::object& object) {
  std::string out;
  write(object, out);
  return out;
}

std::string to_json(const json::array& array) {
  std::string out;
  write(array, out);
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
