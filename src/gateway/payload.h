// HTTP to a function's event and its result back to HTTP: payload formats 1.0 and 2.0 as API Gateway's HTTP APIs and
// function URLs have them. Values in, values out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "http/message.h"

namespace mayfly::gateway {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct EventInput {
  http::RequestHead head;
  std::string path;  // as shown: of the whole request, still escaped
  std::string body;
  std::string source_ip;
  std::string request_id;
  std::string api_id;
  std::string account;  // "anonymous" for open function URLs
  std::string domain;   // the host without its port
  std::string domain_prefix;
  std::string route_key = "$default";
  std::string stage = "$default";
  Pairs path_parameters;
  Pairs stage_variables;
  json::object authorizer;  // {"jwt": ...}, {"lambda": ...}, {"iam": ...}; empty where nobody was asked
  bool tls = false;
  SystemTime now;
};

std::string event_v2(const EventInput& input);
std::string event_v1(const EventInput& input);
json::object request_v1(const EventInput& input);  // event_v1 without its body

// Parts that authorizers' events have in common with these.
json::object request_context_v2(const EventInput& input);
json::object request_context_v1(const EventInput& input);
struct HeaderParts {
  json::object headers;  // names in lower case, values of one name joined by commas, without cookies
  json::array cookies;
};
HeaderParts header_parts(const EventInput& input);
json::object query_parameters(std::string_view query);  // values of one name joined by commas
json::object object_of(const Pairs& pairs);

// "12/Mar/2020:19:03:58 +0000"
std::string event_time(SystemTime time);

// A buffered result as a response; nullopt where it is none. In format 2.0 what has no statusCode is the body of a 200
// with application/json; a result that names its status and no Content-Type gets `content_type`.
std::optional<http::Response> response_v2(std::string_view payload, std::string_view content_type);
std::optional<http::Response> response_v1(std::string_view payload, std::string_view content_type);
// The status, headers and cookies of a result that is an object.
http::ResponseHead response_head(const json::value& result);
// Whether a field may stand in an answer: no line breaks, a proper name, none that the server writes itself.
bool is_safe_field(std::string_view name, std::string_view value);

}  // namespace mayfly::gateway
