// Messages of application/vnd.amazon.eventstream: what a streaming operation's response is made of.
//   total length, headers length, CRC-32 of these two | headers | payload | CRC-32 of everything before
#pragma once

#include <string>
#include <string_view>

namespace mayfly::aws {

inline constexpr std::string_view kEventStreamContentType = "application/vnd.amazon.eventstream";

// One event, e.g. ("PayloadChunk", "application/octet-stream", bytes) or ("InvokeComplete", "application/json", "{}").
// An empty content type leaves its header out.
std::string encode_event(std::string_view event_type, std::string_view content_type, std::string_view payload);
// A modelled error in place of further events: ends the stream.
std::string encode_exception(std::string_view exception_type, std::string_view content_type, std::string_view payload);

}  // namespace mayfly::aws
