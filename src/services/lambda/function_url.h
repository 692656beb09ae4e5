// HTTP to a function's event and its result back to HTTP: payload format 2.0, which function URLs share with the
// gateway. Values in, values out.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "gateway/cors.h"
#include "http/message.h"
#include "services/lambda/errors.h"

namespace mayfly::lambda {

struct UrlCall {
  http::RequestHead head;
  std::string body;
  std::string source_ip;
  std::string request_id;
  std::string url_id;
  std::string domain;  // the host without its port
  std::string account;
  std::string caller_arn;  // "" for AuthType NONE
  bool tls = false;
  SystemTime now;
};
std::string url_event(const UrlCall& call);

// A buffered result. What is not an object with a statusCode is the body of a 200.
http::Response url_response(std::string_view payload);
// What stands before the eight NULs of a streamed response ({"statusCode":..., "headers":...}); nullopt where it is
// bad.
std::optional<http::ResponseHead> url_stream_head(std::string_view metadata);
inline constexpr std::string_view kMetadataContentType = "application/vnd.awslambda.http-integration-response";

// The cross-origin headers for a request's Origin; adds nothing where it is not allowed.
void add_cors(const wire::Cors& cors, const http::RequestHead& request, http::Headers& response);
using gateway::is_preflight;

http::Response url_refusal(int status, std::string_view error_type, std::string body);

}  // namespace mayfly::lambda
