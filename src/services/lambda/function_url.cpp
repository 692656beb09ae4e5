#include "services/lambda/function_url.h"

#include "gateway/payload.h"

namespace mayfly::lambda {
namespace {

gateway::Cors cors_of(const wire::Cors& cors) {
  using Strings = std::vector<std::string>;
  gateway::Cors out;
  out.credentials = cors.AllowCredentials.value_or(false);
  out.origins = cors.AllowOrigins.value_or(Strings());
  out.methods = cors.AllowMethods.value_or(Strings());
  out.headers = cors.AllowHeaders.value_or(Strings());
  out.exposed = cors.ExposeHeaders.value_or(Strings());
  out.max_age = cors.MaxAge;
  return out;
}

}  // namespace

std::string url_event(const UrlCall& call) {
  gateway::EventInput input;
  input.head = call.head;
  input.path = call.head.path();
  while (input.path.starts_with("//")) input.path.erase(0, 1);
  input.body = call.body;
  input.source_ip = call.source_ip;
  input.request_id = call.request_id;
  input.api_id = input.domain_prefix = call.url_id;
  input.domain = call.domain;
  input.tls = call.tls;
  input.now = call.now;
  input.account = call.caller_arn.empty() ? std::string("anonymous") : call.account;
  if (!call.caller_arn.empty()) {
    json::object iam;
    iam["accountId"] = call.account;
    iam["userArn"] = call.caller_arn;
    input.authorizer["iam"] = std::move(iam);
  }
  return gateway::event_v2(input);
}

http::Response url_response(std::string_view payload) {
  auto out = gateway::response_v2(payload, "application/json");
  return out ? std::move(*out) : url_refusal(502, "", "Internal Server Error");
}

std::optional<http::ResponseHead> url_stream_head(std::string_view metadata) {
  auto value = parse_json(metadata);
  if (!value || !value->is_object()) return std::nullopt;
  return gateway::response_head(*value);
}

void add_cors(const wire::Cors& cors, const http::RequestHead& request, http::Headers& response) {
  gateway::add_cors(cors_of(cors), request, response);
}

http::Response url_refusal(int status, std::string_view error_type, std::string body) {
  http::Response out;
  out.head.status = status;
  out.head.headers.set("Content-Type", "application/json");
  if (!error_type.empty()) out.head.headers.set("x-amzn-ErrorType", std::string(error_type));
  out.body = std::move(body);
  return out;
}

}  // namespace mayfly::lambda
