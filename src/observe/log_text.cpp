#include "observe/log_text.h"

#include <algorithm>
#include <cstdint>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/json.h"

namespace mayfly::observe {

namespace {

constexpr std::size_t kMaxFolderName = 200;
constexpr std::string_view kReplacement = "\xef\xbf\xbd";

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// The length of the well-formed sequence (Unicode table 3-7) at the start of `text`, 0 where there is none.
std::size_t sequence_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  std::size_t length = 0;
  if (first >= 0xc2 && first <= 0xdf) length = 2;
  if (first >= 0xe0 && first <= 0xef) length = 3;
  if (first >= 0xf0 && first <= 0xf4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[i])) return 0;
  }
  const auto second = static_cast<unsigned char>(text[1]);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool surrogate = first == 0xed && second > 0x9f;
  const bool beyond = first == 0xf4 && second > 0x8f;
  return overlong || surrogate || beyond ? 0 : length;
}

void append_json_string(std::string& out, std::string_view text) {
  const bool plain =
      std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; });
  if (plain) {
    out.append("\"").append(text).append("\"");
  } else {
    out += to_json(json::value(text));
  }
}

}  // namespace

std::string folder_name(std::string_view group) {
  std::string name;
  // The dot is escaped too: "." and ".." are no folders of ours.
  for (const char c : percent_encode(group, Slash::kEncode)) {
    if (c == '.') {
      name += "%2E";
    } else {
      name += c;
    }
  }
  if (name.empty()) return "%";
  if (name.size() <= kMaxFolderName) return name;
  return name.substr(0, kMaxFolderName - 65) + "%" + hex_encode(sha256(group));
}

std::string valid_utf8(std::string_view text, std::size_t limit) {
  std::string valid;
  valid.reserve(std::min(text.size(), limit));
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const std::string_view next = length == 0 ? kReplacement : text.substr(0, length);
    if (valid.size() + next.size() > limit) break;
    valid += next;
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return valid;
}

void make_valid_utf8(std::string& text, std::size_t limit) {
  const bool plain = std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (!plain || text.size() > limit) text = valid_utf8(text, limit);
}

// Written by hand: a document of three members for each line costs more than the rest of its way to the file.
std::string encode_line(const LogLine& line) {
  std::string out = "{\"t\":" + std::to_string(line.time.time_since_epoch().count()) + ",\"s\":";
  append_json_string(out, line.stream);
  out += ",\"m\":";
  append_json_string(out, line.message);
  return out += "}\n";
}

std::optional<LogLine> decode_line(std::string_view text, const std::string& group) {
  const auto parsed = parse_json(text);
  if (!parsed || find(*parsed, "t") == nullptr || find(*parsed, "m") == nullptr) return std::nullopt;
  LogLine line;
  line.time = SystemTime(std::chrono::microseconds(get_int(*parsed, "t")));
  line.group = group;
  line.stream = std::string(get_string(*parsed, "s"));
  line.message = std::string(get_string(*parsed, "m"));
  return line;
}

}  // namespace mayfly::observe
