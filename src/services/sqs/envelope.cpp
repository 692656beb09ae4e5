#include "services/sqs/envelope.h"

#include <charconv>
#include <optional>

namespace mayfly::sqs {
namespace {

constexpr char kVersion = 1;
constexpr char kEnd = 0;
constexpr std::size_t kLengthBytes = 4;

void put_length(std::string& out, std::size_t length) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((length >> shift) & 0xFFU);
}

void put_text(std::string& out, std::string_view text) {
  put_length(out, text.size());
  out += text;
}

void put_field(std::string& out, char tag, std::string_view content) {
  if (content.empty()) return;
  out += tag;
  put_text(out, content);
}

// Takes from the front; nullopt where the bytes end before.
std::optional<std::string_view> take(std::string_view& bytes, std::size_t count) {
  if (bytes.size() < count) return std::nullopt;
  const auto taken = bytes.substr(0, count);
  bytes.remove_prefix(count);
  return taken;
}

std::optional<std::string_view> take_text(std::string_view& bytes) {
  const auto head = take(bytes, kLengthBytes);
  if (!head) return std::nullopt;
  std::size_t length = 0;
  for (const char c : *head) length = (length << 8U) | static_cast<unsigned char>(c);
  return take(bytes, length);
}

std::optional<MessageAttribute> parse_attribute(std::string_view content) {
  const auto binary = take(content, 1);
  const auto name = take_text(content);
  const auto type = take_text(content);
  if (!binary || !name || !type) return std::nullopt;
  MessageAttribute out;
  out.binary = binary->front() == 'b';
  out.name = *name;
  out.data_type = *type;
  out.value = content;
  return out;
}

bool read_field(char tag, std::string_view content, Envelope& out) {
  switch (tag) {
    case 'm':
      out.md5 = content;
      return content.size() == 16;
    case 's':
      out.sender_id = content;
      return true;
    case 't':
      out.trace_header = content;
      return true;
    case 'q':
      out.source_arn = content;
      return true;
    case 'd':
      out.dedupe_id = content;
      return true;
    case 'r': {
      const auto* end = content.data() + content.size();
      const auto [at, error] = std::from_chars(content.data(), end, out.receives_before);
      return error == std::errc() && at == end;
    }
    case 'a': {
      auto attribute = parse_attribute(content);
      if (!attribute) return false;
      out.attributes.push_back(std::move(*attribute));
      return true;
    }
    default:
      return false;
  }
}

}  // namespace

std::string seal(const Envelope& envelope, std::string_view text) {
  std::string out;
  std::size_t room = 128 + envelope.sender_id.size() + envelope.trace_header.size() + text.size();
  for (const auto& a : envelope.attributes) room += a.name.size() + a.data_type.size() + a.value.size() + 16;
  out.reserve(room);
  out += kVersion;
  put_field(out, 'm', envelope.md5);
  put_field(out, 's', envelope.sender_id);
  put_field(out, 't', envelope.trace_header);
  put_field(out, 'q', envelope.source_arn);
  put_field(out, 'd', envelope.dedupe_id);
  if (envelope.receives_before > 0) put_field(out, 'r', std::to_string(envelope.receives_before));
  for (const auto& attribute : envelope.attributes) {
    out += 'a';
    put_length(out, 1 + 2 * kLengthBytes + attribute.name.size() + attribute.data_type.size() + attribute.value.size());
    out += attribute.binary ? 'b' : 's';
    put_text(out, attribute.name);
    put_text(out, attribute.data_type);
    out += attribute.value;
  }
  out += kEnd;
  out += text;
  return out;
}

Result<Opened> open(std::string_view bytes) {
  const auto corrupt = [] { return fail(ErrorCode::kCorrupt, "a stored message cannot be read"); };
  auto rest = bytes;
  const auto version = take(rest, 1);
  if (!version || version->front() != kVersion) return corrupt();
  Opened out;
  for (;;) {
    const auto tag = take(rest, 1);
    if (!tag) return corrupt();
    if (tag->front() == kEnd) break;
    const auto content = take_text(rest);
    if (!content || !read_field(tag->front(), *content, out.envelope)) return corrupt();
  }
  out.text_at = bytes.size() - rest.size();
  return out;
}

}  // namespace mayfly::sqs
