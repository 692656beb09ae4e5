#include "aws/event_stream.h"

#include <cstdint>

#include "aws/checksum.h"

namespace mayfly::aws {

namespace {

constexpr char kStringHeader = 7;
constexpr std::size_t kOverhead = 16;  // prelude with its checksum, and the checksum of the message

void put32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xFFU);
}

void put_header(std::string& out, std::string_view name, std::string_view value) {
  out += static_cast<char>(name.size());
  out += name;
  out += kStringHeader;
  out += static_cast<char>((value.size() >> 8U) & 0xFFU);
  out += static_cast<char>(value.size() & 0xFFU);
  out += value;
}

std::string encode(const std::string& headers, std::string_view payload) {
  std::string out;
  const auto total = kOverhead + headers.size() + payload.size();
  out.reserve(total);
  put32(out, static_cast<std::uint32_t>(total));
  put32(out, static_cast<std::uint32_t>(headers.size()));
  put32(out, crc32(out));
  out += headers;
  out += payload;
  put32(out, crc32(out));
  return out;
}

std::string encode_typed(std::string_view kind_header, std::string_view kind, std::string_view message_type,
                         std::string_view content_type, std::string_view payload) {
  std::string headers;
  put_header(headers, kind_header, kind);
  if (!content_type.empty()) put_header(headers, ":content-type", content_type);
  put_header(headers, ":message-type", message_type);
  return encode(headers, payload);
}

}  // namespace

std::string encode_event(std::string_view event_type, std::string_view content_type, std::string_view payload) {
  return encode_typed(":event-type", event_type, "event", content_type, payload);
}

std::string encode_exception(std::string_view exception_type, std::string_view content_type, std::string_view payload) {
  return encode_typed(":exception-type", exception_type, "exception", content_type, payload);
}

}  // namespace mayfly::aws
