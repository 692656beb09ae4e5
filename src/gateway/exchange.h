// One request on its way through the gateway: what routes, mappings, authorizers and logs read of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/payload.h"
#include "gateway/plan.h"
#include "http/message.h"

namespace mayfly {
class Reactor;
}

namespace mayfly::identity {
struct Authenticated;  // services/iam/iam.h
}

namespace mayfly::gateway {

// What of an event is a WebSocket connection's.
struct SocketEvent {
  enum class Kind : std::uint8_t { kConnect, kMessage, kDisconnect };
  Kind kind = Kind::kConnect;
  std::string connection_id;
  SystemTime connected_at;
  std::string message_id;      // of kMessage
  std::uint16_t end_code = 0;  // of kDisconnect
  std::string end_reason;
};

std::string_view event_type(const SocketEvent& event);  // "MESSAGE"

struct Exchange {
  ApiPtr api;
  StagePtr stage;
  const Route* route = nullptr;  // of `stage`
  EventInput event;              // the request as integrations see it; mappings change it
  Pairs raw_path_parameters;     // still escaped
  std::string resource;          // "GET/pets/1" or "$default", as in ARNs
  std::string route_resource;    // the same with the route's path
  http::Response response;
  std::string error;  // what the answer does not tell
  // Of REST APIs: what an answer of the gateway itself tells, and its type ("THROTTLED").
  std::string shown_error;
  std::string shown_type;
  std::string path_in_stage;                              // "/pets/1" of "/dev/pets/1", still escaped
  std::string usage_key;                                  // an API key that an authorizer named
  std::string api_key_id;                                 // of the caller
  std::shared_ptr<const identity::Authenticated> caller;  // whose signature it was; null where nobody signed
  std::chrono::microseconds integration_latency{0};
  std::chrono::microseconds latency{0};
  int integration_status = 0;
  Reactor* served_on = nullptr;  // of the function's instance
  std::string authorizer_error;
  std::optional<SocketEvent> socket;  // of WebSocket APIs

  // "arn:aws:execute-api:<region>:<account>:<api>/<stage>/<resource>"
  [[nodiscard]] std::string arn(std::string_view of) const;
  // A $context variable, "" where it has no value here: "requestId", "identity.sourceIp", "authorizer.claims.sub".
  [[nodiscard]] std::string context(std::string_view name) const;
};

// The names of $context variables that have a meaning here; authorizer.* aside.
bool is_context_variable(std::string_view name);
// Those that only WebSocket APIs have.
bool is_socket_variable(std::string_view name);

}  // namespace mayfly::gateway
