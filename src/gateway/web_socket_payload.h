// Events and answers of WebSocket APIs. Values in, values out.
//
// Sources. The events are those that API Gateway is seen to send ("Set up WebSocket API integration requests", the
//          fixtures of AWS's own Lambda runtimes, and events in public repositories); so are the frames that it answers
//          errors with.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gateway/exchange.h"

namespace mayfly::gateway {

// "L0SM9cOFvHcCIhw=": of connections, messages and requests alike.
std::string new_socket_id();

// What a function gets of exchange.socket.
std::string web_socket_event(const Exchange& exchange);
std::string web_socket_authorizer_event(const Exchange& exchange, const std::string& arn);
// {"message": "Forbidden", "connectionId":"...", "requestId":"..."}
std::string web_socket_error(const Exchange& exchange, std::string_view message);

// The key of the route that a message names; nullopt where it names none that messages may have: it is no JSON, lacks
// what the expression wants, or names a route that is the gateway's own to call.
std::optional<std::string> selected_route(const Template& selection, const Exchange& exchange);
// "L0SM9cOFvHcCIhw=" of "/@connections/L0SM9cOFvHcCIhw%3D"; "" where the id is malformed. nullopt for any other path.
std::optional<std::string> connection_of_path(std::string_view path_in_stage);

}  // namespace mayfly::gateway
