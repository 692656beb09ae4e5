// How log lines and groups become text in files, and back. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "observe/log_store.h"

namespace mayfly::observe {

inline constexpr std::size_t kMaxMessageBytes = 256UL * 1024;

// A folder name for a group: no separator, no leading dot, at most 255 bytes, different for different groups.
std::string folder_name(std::string_view group);
// At most `limit` bytes of valid UTF-8: what is malformed becomes U+FFFD, for functions print any bytes and the files
// are JSON.
std::string valid_utf8(std::string_view text, std::size_t limit);
// The same in place, where most lines are plain ASCII and need no copy.
void make_valid_utf8(std::string& text, std::size_t limit);
// One JSON object and its line end: {"t":<microseconds>,"s":<stream>,"m":<message>}.
std::string encode_line(const LogLine& line);
// nullopt for what encode_line did not write whole.
std::optional<LogLine> decode_line(std::string_view text, const std::string& group);

}  // namespace mayfly::observe
