#include "services/sqs/content.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/crypto.h"
#include "base/encoding.h"
#include "services/sqs/limits.h"

namespace mayfly::sqs {
namespace {

// One character; what is no UTF-8 is the replacement for nothing: 0, which is not allowed either.
struct Decoded {
  std::uint32_t code = 0;
  std::size_t bytes = 1;
};

Decoded decode(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80U) return {.code = lead, .bytes = 1};
  const std::size_t bytes = lead >= 0xF0U ? 4 : lead >= 0xE0U ? 3 : 2;
  if (lead < 0xC2U || lead > 0xF4U || text.size() < bytes) return {};
  std::uint32_t code = lead & (0xFFU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0U) != 0x80U) return {};
    code = (code << 6U) | (next & 0x3FU);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[bytes]) return {};
  return {.code = code, .bytes = bytes};
}

bool is_allowed(std::uint32_t code) {
  return code == 0x9 || code == 0xA || code == 0xD || (code >= 0x20 && code <= 0xD7FF) ||
         (code >= 0xE000 && code <= 0xFFFD) || (code >= 0x10000 && code <= 0x10FFFF);
}

// Eight bytes of printable ASCII at a time, which is what most messages are.
std::size_t plain_run(std::string_view text) {
  constexpr std::uint64_t kHigh = 0x8080808080808080U;
  constexpr std::uint64_t kSpaces = 0x2020202020202020U;
  std::size_t at = 0;
  while (at + 8 <= text.size()) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    if ((word & kHigh) != 0 || (((word | kHigh) - kSpaces) & kHigh) != kHigh) break;
    at += 8;
  }
  return at;
}

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

// Latin letters beyond ASCII are taken (recorded: "attr.1" with three of them).
bool is_name_character(std::uint32_t code) {
  return (code < 0x80 && is_letter_or_digit(static_cast<char>(code))) || code == '_' || code == '-' || code == '.' ||
         (code >= 0xC0 && code <= 0x17F);
}

bool is_attribute_name(std::string_view name) {
  if (name.empty() || name.starts_with('.') || name.ends_with('.') || name.find("..") != std::string_view::npos)
    return false;
  if (iequals(name.substr(0, 4), "aws.") || iequals(name.substr(0, 7), "amazon.")) return false;
  std::size_t length = 0;
  for (auto rest = name; !rest.empty(); ++length) {
    const auto [code, bytes] = decode(rest);
    if (!is_name_character(code)) return false;
    rest.remove_prefix(bytes);
  }
  return length <= kAttributeNameLength;
}

bool is_number(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const auto start = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - start;
  };
  const auto sign = [&] {
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  };
  sign();
  auto count = digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    count += digits();
  }
  if (count == 0 || count > 38) return false;  // "up to 38 digits of precision"
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    sign();
    if (digits() == 0) return false;
  }
  return at == text.size();
}

std::string_view base_type(std::string_view type) { return type.substr(0, type.find('.')); }

aws::ApiResult<void> check_attribute(const MessageAttribute& attribute) {
  if (!is_attribute_name(attribute.name)) {
    return refuse_value(
        fmt::format("The message attribute name '{}' is invalid. Attribute name can contain A-Z, a-z, "
                    "0-9, underscore (_), hyphen (-), and period (.) characters.",
                    attribute.name));
  }
  const auto base = base_type(attribute.data_type);
  if (attribute.data_type.empty()) {
    return refuse_value(
        fmt::format("The message attribute '{}' must contain non-empty message attribute type.", attribute.name));
  }
  if ((base != "String" && base != "Number" && base != "Binary") || attribute.data_type.size() > kAttributeNameLength ||
      !has_only_allowed_characters(attribute.data_type)) {
    return refuse_value(
        fmt::format("The message attribute '{}' has an invalid message attribute type, the set of supported type "
                    "prefixes is Binary, Number, and String.",
                    attribute.name));
  }
  if (attribute.value.empty() || attribute.binary != (base == "Binary")) {
    return refuse_value(fmt::format(
        "The message attribute '{}' must contain non-empty message attribute value for message attribute type '{}'.",
        attribute.name, attribute.data_type));
  }
  if (base == "Number" && !is_number(attribute.value)) {
    return refuse_value(
        fmt::format("Can't cast the value of message (user) attribute '{}' to a number.", attribute.name));
  }
  if (!attribute.binary && !has_only_allowed_characters(attribute.value)) {
    return refuse(wire::errors::InvalidMessageContents,
                  fmt::format("Invalid characters found in the value of message attribute '{}'.", attribute.name));
  }
  return {};
}

void put(std::string& out, std::string_view text) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((text.size() >> shift) & 0xFFU);
  out += text;
}

}  // namespace

bool has_only_allowed_characters(std::string_view text) {
  while (!text.empty()) {
    text.remove_prefix(plain_run(text));
    // To the next run: at least the rest of a word.
    for (int i = 0; i < 8 && !text.empty(); ++i) {
      const auto [code, bytes] = decode(text);
      if (!is_allowed(code)) return false;
      text.remove_prefix(bytes);
    }
  }
  return true;
}

bool is_group_id(std::string_view text) {
  return !text.empty() && text.size() <= kGroupIdLength &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

aws::ApiResult<void> check_attributes(const std::vector<MessageAttribute>& attributes) {
  if (attributes.size() > kMessageAttributes) {
    return refuse_value(fmt::format("Number of message attributes [{}] exceeds the allowed maximum [{}].",
                                    attributes.size(), kMessageAttributes));
  }
  for (const auto& attribute : attributes) {
    if (auto good = check_attribute(attribute); !good) return good;
  }
  return {};
}

std::size_t counted_bytes(std::string_view text, const std::vector<MessageAttribute>& attributes) {
  auto bytes = text.size();
  for (const auto& a : attributes) bytes += a.name.size() + a.data_type.size() + a.value.size();
  return bytes;
}

std::string attributes_md5(std::vector<MessageAttribute> attributes) {
  if (attributes.empty()) return {};
  std::ranges::sort(attributes, {}, &MessageAttribute::name);
  std::string bytes;
  for (const auto& attribute : attributes) {
    put(bytes, attribute.name);
    put(bytes, attribute.data_type);
    bytes += attribute.binary ? '\2' : '\1';
    put(bytes, attribute.value);
  }
  return hex_encode(md5(bytes));
}

std::vector<MessageAttribute> from_wire(std::vector<std::pair<std::string, wire::MessageAttributeValue>> attributes) {
  std::vector<MessageAttribute> out;
  out.reserve(attributes.size());
  for (auto& [name, value] : attributes) {
    MessageAttribute attribute;
    attribute.name = std::move(name);
    attribute.data_type = std::move(value.DataType).value_or("");
    attribute.binary = value.BinaryValue.has_value();
    attribute.value = attribute.binary ? std::move(*value.BinaryValue) : std::move(value.StringValue).value_or("");
    out.push_back(std::move(attribute));
  }
  return out;
}

std::vector<std::pair<std::string, wire::MessageAttributeValue>> to_wire(std::vector<MessageAttribute> attributes) {
  std::vector<std::pair<std::string, wire::MessageAttributeValue>> out;
  out.reserve(attributes.size());
  for (auto& attribute : attributes) {
    wire::MessageAttributeValue value;
    value.DataType = std::move(attribute.data_type);
    (attribute.binary ? value.BinaryValue : value.StringValue) = std::move(attribute.value);
    out.emplace_back(std::move(attribute.name), std::move(value));
  }
  return out;
}

}  // namespace mayfly::sqs
