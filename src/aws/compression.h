// Requests that clients have compressed, for the services whose models say so.
#pragma once

#include <string>

#include "aws/api.h"
#include "http/message.h"

namespace mayfly::aws {

inline constexpr std::size_t kMostUncompressedBytes = 16UL * 1024 * 1024;

// Where the last of the body's encodings is gzip, undoes it and takes it out of the header; any other stays for whoever
// knows it. What grows beyond kMostUncompressedBytes is refused before it is held.
ApiResult<void> undo_gzip(http::Headers& headers, std::string& body);

}  // namespace mayfly::aws
