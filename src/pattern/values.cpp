#include "pattern/values.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <vector>

namespace mayfly::pattern {
namespace {

// A decimal number as sign, digits without zeros at either end, and the power of ten of the first digit.
struct Decimal {
  bool negative = false;
  std::string digits;
  std::int64_t exponent = 0;
  bool operator==(const Decimal&) const = default;
};

std::optional<Decimal> parse_decimal(std::string_view text) {
  Decimal decimal;
  std::size_t at = 0;
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) decimal.negative = text[at++] == '-';
  std::int64_t before_point = 0;
  bool point = false;
  bool any = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '.' && !point) {
      point = true;
    } else if (c >= '0' && c <= '9') {
      any = true;
      decimal.digits += c;
      if (!point) ++before_point;
    } else {
      break;
    }
  }
  if (!any) return std::nullopt;
  std::int64_t power = 0;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && text[at] == '+') ++at;
    const auto parsed = std::from_chars(text.data() + at, text.data() + text.size(), power);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
    constexpr std::int64_t kFarthest = 1'000'000;
    if (power > kFarthest || power < -kFarthest) return std::nullopt;
  } else if (at != text.size()) {
    return std::nullopt;
  }
  const std::size_t first = std::min(decimal.digits.find_first_not_of('0'), decimal.digits.size());
  decimal.digits.erase(0, first);
  while (!decimal.digits.empty() && decimal.digits.back() == '0') decimal.digits.pop_back();
  decimal.exponent = before_point - static_cast<std::int64_t>(first) + power;
  if (decimal.digits.empty()) decimal = Decimal{};
  return decimal;
}

bool is_exactly(std::string_view text, double number) {
  std::array<char, 64> shortest{};
  const auto written =
      std::to_chars(shortest.data(), shortest.data() + shortest.size(), number, std::chars_format::scientific);
  const auto mine = parse_decimal(text);
  const auto its =
      parse_decimal(std::string_view(shortest.data(), static_cast<std::size_t>(written.ptr - shortest.data())));
  return mine && its && *mine == *its;
}

// The code point at `at` and its length; invalid bytes stand for themselves.
struct CodePoint {
  std::uint32_t value = 0;
  std::size_t length = 1;
  bool valid = false;
};
CodePoint decode(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(at);
  CodePoint point;
  point.value = first;
  if (first < 0x80) {
    point.valid = true;
    return point;
  }
  std::size_t length = 0;
  if ((first & 0xE0U) == 0xC0) length = 2;
  if ((first & 0xF0U) == 0xE0) length = 3;
  if (length == 0 || at + length > text.size()) return point;
  std::uint32_t value = first & (length == 2 ? 0x1FU : 0x0FU);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0U) != 0x80) return point;
    value = (value << 6U) | (byte(at + i) & 0x3FU);
  }
  point.value = value;
  point.length = length;
  point.valid = true;
  return point;
}

std::uint32_t lower(std::uint32_t c) {
  const auto within = [c](std::uint32_t low, std::uint32_t high) { return c >= low && c <= high; };
  if (within(0xC0, 0xDE) && c != 0xD7) return c + 0x20;
  if (within(0x100, 0x137) || within(0x14A, 0x177) || within(0x1E00, 0x1E95) || within(0x1EA0, 0x1EFF) ||
      within(0x460, 0x481) || within(0x48A, 0x4BF) || within(0x4D0, 0x52F))
    return c | 1U;
  if (within(0x139, 0x148) || within(0x179, 0x17E)) return c + (c & 1U);
  if (c == 0x178) return 0xFF;
  if (within(0x391, 0x3AB) && c != 0x3A2) return c + 0x20;
  if (c == 0x3C2) return 0x3C3;  // the sigma at a word's end
  if (within(0x410, 0x42F)) return c + 0x20;
  if (within(0x400, 0x40F)) return c + 0x50;
  if (within(0x531, 0x556)) return c + 0x30;
  if (c == 0x23A) return 0x2C65;
  return c;
}

void append(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0U | (c >> 6U));
    out += static_cast<char>(0x80U | (c & 0x3FU));
  } else {
    out += static_cast<char>(0xE0U | (c >> 12U));
    out += static_cast<char>(0x80U | ((c >> 6U) & 0x3FU));
    out += static_cast<char>(0x80U | (c & 0x3FU));
  }
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// What looks like an address, whether it is one or not.
bool looks_like_v4(std::string_view text) {
  const auto parts = split(text, '.');
  return parts.size() == 4 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
           return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
         });
}
bool looks_like_v6(std::string_view text) {
  return text.find(':') != std::string_view::npos &&
         text.find_first_not_of("0123456789abcdefABCDEF:") == std::string_view::npos;
}

std::optional<Address> parse_v4(std::string_view text) {
  Address address;
  std::size_t i = 0;
  for (const auto part : split(text, '.')) {
    unsigned value = 0;
    const auto parsed = std::from_chars(part.data(), part.data() + part.size(), value);
    if (parsed.ec != std::errc() || value > 255) return std::nullopt;
    address.bytes[i++] = static_cast<std::uint8_t>(value);
  }
  return address;
}

// Groups of one side of "::" as bytes; nothing where one is no group.
std::optional<std::vector<std::uint8_t>> parse_groups(std::string_view text) {
  std::vector<std::uint8_t> bytes;
  if (text.empty()) return bytes;
  for (const auto part : split(text, ':')) {
    unsigned value = 0;
    if (part.empty() || part.size() > 4 || bytes.size() >= 16) return std::nullopt;
    const auto parsed = std::from_chars(part.data(), part.data() + part.size(), value, 16);
    if (parsed.ec != std::errc()) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(value >> 8U));
    bytes.push_back(static_cast<std::uint8_t>(value & 0xFFU));
  }
  return bytes;
}

std::optional<Address> parse_v6(std::string_view text) {
  Address address;
  address.v6 = true;
  const auto gap = text.find("::");
  const auto head = parse_groups(text.substr(0, gap));
  const auto tail =
      gap == std::string_view::npos ? std::optional(std::vector<std::uint8_t>()) : parse_groups(text.substr(gap + 2));
  if (!head || !tail) return std::nullopt;
  const std::size_t given = head->size() + tail->size();
  if (gap == std::string_view::npos ? given != 16 : given > 14) return std::nullopt;
  std::copy(head->begin(), head->end(), address.bytes.begin());
  std::copy(tail->begin(), tail->end(), address.bytes.end() - static_cast<std::ptrdiff_t>(tail->size()));
  const bool mapped = std::all_of(address.bytes.begin(), address.bytes.begin() + 10, [](auto b) { return b == 0; }) &&
                      address.bytes[10] == 0xFF && address.bytes[11] == 0xFF;
  if (!mapped) return address;
  Address v4;
  std::copy(address.bytes.begin() + 12, address.bytes.end(), v4.bytes.begin());
  return v4;
}

}  // namespace

std::optional<double> comparable_number(std::string_view text) {
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  if (!is_exactly(text, number)) return std::nullopt;
  return number == 0 ? 0 : number;  // one zero
}

std::string fold_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (static_cast<std::uint8_t>(c) < 0x80) {
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      ++at;
      continue;
    }
    const CodePoint point = decode(text, at);
    if (point.valid) {
      append(out, lower(point.value));
    } else {
      out += c;
    }
    at += point.length;
  }
  return out;
}

std::optional<Address> parse_address(std::string_view text) {
  if (looks_like_v4(text)) return parse_v4(text);
  if (looks_like_v6(text)) return parse_v6(text);
  return std::nullopt;
}

Result<AddressRange> parse_cidr(std::string_view text) {
  auto parts = split(text, '/');
  while (!parts.empty() && parts.back().empty()) parts.pop_back();  // as String.split does
  if (parts.size() != 2) return fail(ErrorCode::kInvalid, "Malformed CIDR, one '/' required");
  int bits = 0;
  const auto parsed = std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), bits);
  if (parsed.ec != std::errc() || parsed.ptr != parts[1].data() + parts[1].size())
    return fail(ErrorCode::kInvalid, "Malformed CIDR, mask bits must be an integer");
  if (bits < 0) return fail(ErrorCode::kInvalid, "Malformed CIDR, mask bits must not be negative");
  const auto address = parse_address(parts[0]);
  if (!address && (looks_like_v4(parts[0]) || looks_like_v6(parts[0])))
    return fail(ErrorCode::kInvalid, fmt::format("Invalid IP address: {}", parts[0]));
  if (!address) return fail(ErrorCode::kInvalid, fmt::format("Nonstandard IP address: {}", parts[0]));
  if (!address->v6 && bits > 31) return fail(ErrorCode::kInvalid, "IPv4 mask bits must be < 32");
  if (address->v6 && bits > 127) return fail(ErrorCode::kInvalid, "IPv6 mask bits must be < 128");
  AddressRange range{.low = *address, .high = *address};
  const int all = address->v6 ? 128 : 32;
  for (int bit = bits; bit < all; ++bit)
    range.high.bytes[static_cast<std::size_t>(bit) / 8] |=
        static_cast<std::uint8_t>(0x80U >> (static_cast<unsigned>(bit) % 8));
  return range;
}

Value::Value(const json::value& leaf) : kind_(Kind::kText) {
  constexpr std::int64_t kExact = std::int64_t{1} << 53U;
  const auto from_text = [this](std::string text) {
    if (const auto number = comparable_number(text)) {
      kind_ = Kind::kNumber;
      number_ = *number;
    } else {
      storage_ = std::move(text);
    }
  };
  if (leaf.is_string()) {
    kind_ = Kind::kString;
    text_ = std::string_view(leaf.get_string().data(), leaf.get_string().size());
  } else if (leaf.is_int64()) {
    const std::int64_t number = leaf.get_int64();
    if (number <= kExact && number >= -kExact) {
      kind_ = Kind::kNumber;
      number_ = static_cast<double>(number);
    } else {
      from_text(fmt::format("{}", number));
    }
  } else if (leaf.is_uint64()) {
    from_text(fmt::format("{}", leaf.get_uint64()));
  } else if (leaf.is_double()) {
    kind_ = Kind::kNumber;
    number_ = leaf.get_double() == 0 ? 0 : leaf.get_double();
  } else if (leaf.is_bool()) {
    text_ = leaf.get_bool() ? "true" : "false";
  } else {
    text_ = "null";
  }
}

const std::string& Value::folded() const {
  if (!has_folded_) folded_ = fold_case(text_);
  has_folded_ = true;
  return folded_;
}

const std::optional<Address>& Value::address() const {
  if (!has_address_) address_ = parse_address(text_);
  has_address_ = true;
  return address_;
}

}  // namespace mayfly::pattern
