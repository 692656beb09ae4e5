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

// What REST and WebSocket APIs have in common: headers, query and stage variables of a proxy's event; what an
// authorizer's function said, all of it as text; and a result, whose body is text.
json::object proxy_request(const Exchange& exchange);
json::object authorizer_context(const Exchange& exchange);
enum class Base64 : bool { kKeep, kDecode };
std::optional<http::Response> proxy_response(std::string_view payload, Base64 base64);

// "image/png" is of "image/png", "image/*" and "*/*".
bool is_binary(const RestSettings& settings, std::string_view type);

}  // namespace mayfly::gateway
