// Times as text and back, in the forms AWS uses.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace mayfly {

std::string iso8601_basic(SystemTime time);                      // 20260131T235959Z (SigV4)
std::string iso8601_millis_offset(SystemTime time);              // 2026-01-31T23:59:59.123+0000 (Lambda's LastModified)
std::string iso8601_millis(SystemTime time);                     // 2026-01-31T23:59:59.123Z
std::string http_date(SystemTime time);                          // Sat, 31 Jan 2026 23:59:59 GMT
std::optional<SystemTime> parse_iso8601(std::string_view text);  // basic and extended forms, Z or offset, fraction
std::optional<SystemTime> parse_http_date(std::string_view text);
double epoch_seconds(SystemTime time);
SystemTime from_epoch_seconds(double seconds);

}  // namespace mayfly
