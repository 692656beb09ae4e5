#include "gateway/rest_answers.h"

#include <algorithm>
#include <array>

#include "base/json.h"

namespace mayfly::gateway {
namespace {

constexpr std::string_view kInternal = "Internal server error";

// As documented for gateway responses. BAD_GATEWAY is no type of AWS's: what a function answers wrongly is a 502 that
// DEFAULT_5XX shapes.
constexpr auto kAnswers = std::to_array<RestAnswer>({
    {"ACCESS_DENIED", 403, "User is not authorized to access this resource", "AccessDeniedException"},
    {"API_CONFIGURATION_ERROR", 500, kInternal, "InternalServerErrorException"},
    {"AUTHORIZER_CONFIGURATION_ERROR", 500, "", "AuthorizerConfigurationException"},
    {"AUTHORIZER_FAILURE", 500, "", "AuthorizerConfigurationException"},
    {"BAD_GATEWAY", 502, kInternal, "InternalServerErrorException"},
    {"BAD_REQUEST_BODY", 400, "Invalid request body", "BadRequestException"},
    {"BAD_REQUEST_PARAMETERS", 400, "Bad Request", "BadRequestException"},
    {"EXPIRED_TOKEN", 403, "The security token included in the request is expired", "ExpiredTokenException"},
    {"INTEGRATION_FAILURE", 504, "Network error communicating with endpoint", "InternalServerErrorException"},
    {"INTEGRATION_TIMEOUT", 504, "Endpoint request timed out", "InternalServerErrorException"},
    {"INVALID_API_KEY", 403, "Forbidden", "ForbiddenException"},
    {"INVALID_SIGNATURE", 403,
     "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
     "and signing method. Consult the service documentation for details.",
     "InvalidSignatureException"},
    {"MISSING_AUTHENTICATION_TOKEN", 403, "Missing Authentication Token", "MissingAuthenticationTokenException"},
    {"QUOTA_EXCEEDED", 429, "Limit Exceeded", "LimitExceededException"},
    {"REQUEST_TOO_LARGE", 413, "Request Too Long", "RequestTooLongException"},
    {"RESOURCE_NOT_FOUND", 404, "Not Found", "NotFoundException"},
    {"THROTTLED", 429, "Too Many Requests", "TooManyRequestsException"},
    {"UNAUTHORIZED", 401, "Unauthorized", "UnauthorizedException"},
    {"UNSUPPORTED_MEDIA_TYPE", 415, "Unsupported Media Type", "BadRequestException"},
    {"WAF_FILTERED", 403, "Forbidden", "ForbiddenException"},
});
constexpr RestAnswer kLastResort{
    .type = "", .status = 500, .message = kInternal, .error_type = "InternalServerErrorException"};

const GatewayAnswer* customized(const Exchange& exchange, const RestAnswer& answer) {
  if (!exchange.stage || !exchange.stage->rest) return nullptr;
  const auto& all = exchange.stage->rest->answers;
  auto found = all.find(answer.type);
  if (found == all.end()) found = all.find(answer.status < 500 ? "DEFAULT_4XX" : "DEFAULT_5XX");
  return found == all.end() ? nullptr : &found->second;
}

}  // namespace

const RestAnswer& rest_answer(std::string_view type) {
  const auto* found = std::ranges::find(kAnswers, type, &RestAnswer::type);
  return found == kAnswers.end() ? kLastResort : *found;
}

std::string_view rest_type(int status) {
  switch (status) {
    case 400:
      return "BAD_REQUEST_PARAMETERS";
    case 401:
      return "UNAUTHORIZED";
    case 403:
      return "ACCESS_DENIED";
    case 404:
      return "MISSING_AUTHENTICATION_TOKEN";
    case 413:
      return "REQUEST_TOO_LARGE";
    case 429:
      return "THROTTLED";
    case 503:
      return "INTEGRATION_TIMEOUT";
    default:
      return "API_CONFIGURATION_ERROR";
  }
}

bool is_answer_type(std::string_view type) {
  if (type == "DEFAULT_4XX" || type == "DEFAULT_5XX") return true;
  return type != "BAD_GATEWAY" && std::ranges::find(kAnswers, type, &RestAnswer::type) != kAnswers.end();
}

std::vector<std::string> answer_types() {
  std::vector<std::string> out = {"DEFAULT_4XX", "DEFAULT_5XX"};
  for (const auto& answer : kAnswers) {
    if (is_answer_type(answer.type)) out.emplace_back(answer.type);
  }
  std::ranges::sort(out);
  return out;
}

void answer_as_rest(Exchange& exchange, std::string_view type, const std::string& text) {
  const auto& answer = rest_answer(type);
  exchange.shown_type = answer.type;
  exchange.shown_error = text.empty() ? std::string(answer.message) : text;
  auto& response = exchange.response;
  response.head.status = answer.status;
  response.head.headers.set("Content-Type", "application/json");
  response.head.headers.set("x-amzn-ErrorType", std::string(answer.error_type));
  // Whoever is denied by a policy reads "Message", everybody else "message".
  json::object body;
  body[answer.type == "ACCESS_DENIED" ? "Message" : "message"] =
      exchange.shown_error.empty() ? json::value() : json::value(exchange.shown_error);
  response.body = to_json(body);
  const auto* own = customized(exchange, answer);
  if (own == nullptr) return;
  if (own->status) response.head.status = *own->status;
  if (!own->content_type.empty()) {
    response.head.headers.set("Content-Type", own->content_type);
    response.body = own->body.fill(exchange, Template::Escape::kNone);
  }
  for (const auto& [name, value] : own->headers) {
    auto filled = value.fill(exchange, Template::Escape::kNone);
    if (is_safe_field(name, filled)) response.head.headers.set(name, std::move(filled));
  }
}

}  // namespace mayfly::gateway
