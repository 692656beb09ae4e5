// Filter policies of subscriptions: checked as the service checks them, and asked about one message. The language is
// that of event patterns; attributes of a message are an event with one flat member each.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pattern/pattern.h"
#include "services/sns/message.h"

namespace mayfly::sns {

inline constexpr std::size_t kMostFilterKeys = 5;
inline constexpr std::size_t kMostFilterCombinations = 150;

// InvalidParameter with the service's words, after "Invalid parameter: " and `where` ("Attributes Reason: " or "").
aws::ApiResult<pattern::Pattern> parse_filter(std::string_view policy, bool of_body, std::string_view where);

// Whether a message passes. A body that is no JSON object passes no filter on bodies.
bool passes(const pattern::Pattern& filter, bool of_body, const Message& message, std::string_view body);

}  // namespace mayfly::sns
