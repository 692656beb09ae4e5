#include "gateway/rest_payload.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/json.h"

namespace mayfly::gateway {
namespace {

constexpr std::string_view kRestType = "application/json";

void rename(json::object& object, std::string_view from, std::string_view to) {
  auto* value = object.if_contains(from);
  if (value == nullptr) return;
  auto taken = std::move(*value);
  object.erase(from);
  object[to] = std::move(taken);
}

std::string port_of(const Exchange& exchange) {
  const auto host = exchange.event.head.headers.get("Host");
  const auto colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos)
    return std::string(host.substr(colon + 1));
  return exchange.event.tls ? "443" : "80";
}

json::object rest_context(const Exchange& exchange) {
  auto context = request_context_v1(exchange.event);
  auto authorizer = authorizer_context(exchange);
  context.erase("authorizer");
  if (!authorizer.empty()) context["authorizer"] = std::move(authorizer);
  context["resourceId"] = exchange.route->resource_id;
  context["resourcePath"] = exchange.route->key.path;
  if (!exchange.route->operation_name.empty()) context["operationName"] = exchange.route->operation_name;
  context["deploymentId"] = exchange.stage->rest->deployment_id;
  if (!exchange.api_key_id.empty()) {
    auto& identity = context["identity"].as_object();
    identity["apiKey"] = exchange.usage_key;
    identity["apiKeyId"] = exchange.api_key_id;
  }
  return context;
}

// Everything but the body.
json::object rest_request(const Exchange& exchange) {
  auto event = proxy_request(exchange);
  event["path"] = exchange.path_in_stage;
  event["resource"] = exchange.route->key.path;
  event["requestContext"] = rest_context(exchange);
  return event;
}

// A result that REST APIs take: a status, and a body that is text.
bool is_rest_response(const json::value& value) {
  if (!value.is_object()) return false;
  const auto* status = find(value, "statusCode");
  if (status == nullptr || (!status->is_number() && !status->is_string())) return false;
  const auto* body = find(value, "body");
  if (body != nullptr && !body->is_string() && !body->is_null()) return false;
  for (const auto* name : {"headers", "multiValueHeaders"}) {
    const auto* headers = find(value, name);
    if (headers != nullptr && !headers->is_object() && !headers->is_null()) return false;
  }
  return true;
}

}  // namespace

json::object authorizer_context(const Exchange& exchange) {
  json::object out;
  const auto* given = exchange.event.authorizer.if_contains("lambda");
  if (given == nullptr || !given->is_object()) return out;
  for (const auto& [name, value] : given->get_object()) {
    out[name] = value.is_string() || value.is_null() ? value : json::value(to_json(value));
  }
  return out;
}

json::object proxy_request(const Exchange& exchange) {
  auto event = request_v1(exchange.event);
  for (const auto* part : {"headers", "multiValueHeaders"}) {
    auto& headers = event[part].as_object();
    rename(headers, "x-forwarded-for", "X-Forwarded-For");
    rename(headers, "x-forwarded-proto", "X-Forwarded-Proto");
    headers.erase("X-Forwarded-Port");
    json::value port = json::string(port_of(exchange));
    if (std::string_view(part) == "multiValueHeaders") port = json::array{std::move(port)};
    headers["X-Forwarded-Port"] = std::move(port);
  }
  event.erase("version");
  return event;
}

bool is_binary(const RestSettings& settings, std::string_view type) {
  const auto plain = to_lower(trim(type.substr(0, type.find_first_of(";,"))));
  return std::ranges::any_of(settings.binary_types, [&](const std::string& one) {
    const auto wanted = to_lower(one);
    if (wanted == "*/*" || wanted == plain) return true;
    return wanted.ends_with("/*") && plain.starts_with(std::string_view(wanted).substr(0, wanted.size() - 1));
  });
}

std::string rest_event(const Exchange& exchange) {
  auto event = rest_request(exchange);
  const auto& body = exchange.event.body;
  // Bytes that are no text would not survive JSON, whatever their type.
  const bool encoded =
      !body.empty() &&
      (is_binary(*exchange.stage->rest, exchange.event.head.headers.get("Content-Type")) || !is_valid_utf8(body));
  if (body.empty()) {
    event["body"] = nullptr;
  } else {
    event["body"] = encoded ? base64_encode(body) : body;
  }
  event["isBase64Encoded"] = encoded;
  return to_json(event);
}

std::string rest_authorizer_event(const Exchange& exchange, const std::string& arn) {
  auto event = rest_request(exchange);
  event["type"] = "REQUEST";
  event["methodArn"] = arn;
  // Where a function's event says null an authorizer's says {}.
  for (const auto* name :
       {"queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "stageVariables"}) {
    if (event[name].is_null()) event[name].emplace_object();
  }
  return to_json(event);
}

std::string token_event(const std::string& arn, const std::string& token) {
  json::object event;
  event["type"] = "TOKEN";
  event["methodArn"] = arn;
  event["authorizationToken"] = token;
  return to_json(event);
}

std::optional<http::Response> rest_response(std::string_view payload, const Exchange& exchange) {
  const bool decodes = is_binary(*exchange.stage->rest, exchange.event.head.headers.get("Accept"));
  return proxy_response(payload, decodes ? Base64::kDecode : Base64::kKeep);
}

std::optional<http::Response> proxy_response(std::string_view payload, Base64 base64) {
  auto value = parse_json(payload);
  if (!value || !is_rest_response(*value)) return std::nullopt;
  if (base64 == Base64::kKeep) value->as_object().erase("isBase64Encoded");
  value->as_object().erase("cookies");  // of format 2.0
  return response_v1(to_json(*value), kRestType);
}

}  // namespace mayfly::gateway
