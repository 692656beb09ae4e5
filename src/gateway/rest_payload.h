// HTTP to a function's event and its result back to HTTP as REST APIs have them. Values in, values out.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gateway/exchange.h"
#include "http/message.h"

namespace mayfly::gateway {

std::string rest_event(const Exchange& exchange);
// Of authorizers of type REQUEST and TOKEN.
std::string rest_authorizer_event(const Exchange& exchange, const std::string& arn);
std::string token_event(const std::string& arn, const std::string& token);

// nullopt where the result is no response. Bytes that come as base64 are decoded where the client's Accept is one of
// the API's binary types, as documented; else the text goes out as it is.
std::optional<http::Response> rest_response(std::string_view payload, const Exchange& exchange);

// "image/png" is of "image/png", "image/*" and "*/*".
bool is_binary(const RestSettings& settings, std::string_view type);

}  // namespace mayfly::gateway
