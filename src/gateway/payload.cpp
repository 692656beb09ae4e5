#include "gateway/payload.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/encoding.h"
#include "http/query.h"

namespace mayfly::gateway {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void append(json::object& object, std::string_view key, std::string_view value) {
  auto* present = object.if_contains(key);
  if (present == nullptr) {
    object[key] = value;
  } else {
    present->as_string().append(",").append(value);
  }
}

void append_to_list(json::object& object, std::string_view key, std::string_view value) {
  auto& list = object[key];
  if (!list.is_array()) list.emplace_array();
  list.get_array().emplace_back(value);
}

// `each` gets name and value of every parameter.
template <typename Each>
void each_query_parameter(std::string_view query, Each each) {
  while (const auto part = http::next_part(query)) each(http::decode_form(part->name), http::decode_form(part->value));
}

// Text goes as it is, everything else as base64: the event is JSON and must be UTF-8.
bool is_text(std::string_view content_type) {
  const auto type = to_lower(trim(content_type.substr(0, content_type.find(';'))));
  return type.empty() || type.starts_with("text/") || type == "application/json" || type == "application/xml" ||
         type == "application/javascript" || type == "application/x-www-form-urlencoded" || type.ends_with("+json") ||
         type.ends_with("+xml");
}

std::int64_t millis(SystemTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

void add_body(const EventInput& input, json::object& event) {
  const bool text = is_text(input.head.headers.get("Content-Type")) && is_valid_utf8(input.body);
  if (!input.body.empty()) event["body"] = text ? input.body : base64_encode(input.body);
  event["isBase64Encoded"] = !text && !input.body.empty();
}

json::value object_or_null(json::object object) {
  if (object.empty()) return nullptr;
  return json::value(std::move(object));
}

std::string scalar_text(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  return to_json(value);
}

// JSON without the space between its tokens; numbers and strings stay as they were written.
std::string compact(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\' && i + 1 < text.size()) {
      out += c;
      out += text[++i];
      continue;
    }
    if (c == '"') quoted = !quoted;
    if (quoted || std::string_view(" \t\r\n").find(c) == std::string_view::npos) out += c;
  }
  return out;
}

std::optional<http::Response> structured(const json::value& value, std::string_view content_type) {
  http::Response out;
  out.head = response_head(value);
  if (const auto* body = find(value, "body"); body != nullptr && !body->is_null()) out.body = scalar_text(*body);
  if (get_bool(value, "isBase64Encoded", false)) {
    auto decoded = base64_decode(out.body);
    if (!decoded) return std::nullopt;
    out.body = std::move(*decoded);
  }
  if (out.head.headers.find("Content-Type") == nullptr) out.head.headers.set("Content-Type", std::string(content_type));
  return out;
}

// What a client claims of itself is not believed.
void set_forwarded(const EventInput& input, json::object& headers) {
  headers["x-forwarded-for"] = input.source_ip;
  headers["x-forwarded-proto"] = input.tls ? "https" : "http";
}

json::object identity_v1(const EventInput& input, const json::object& iam) {
  json::object identity;
  const auto from_iam = [&](std::string_view name, std::string_view member) {
    const auto* value = iam.if_contains(member);
    identity[name] = value == nullptr ? json::value() : *value;
  };
  from_iam("accessKey", "accessKey");
  from_iam("accountId", "accountId");
  from_iam("caller", "callerId");
  for (const auto* name : {"cognitoAuthenticationProvider", "cognitoAuthenticationType", "cognitoIdentityId",
                           "cognitoIdentityPoolId", "principalOrgId"}) {
    identity[name] = nullptr;
  }
  identity["sourceIp"] = input.source_ip;
  from_iam("user", "userId");
  identity["userAgent"] = input.head.headers.get("User-Agent");
  from_iam("userArn", "userArn");
  return identity;
}

}  // namespace

std::string event_time(SystemTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  return fmt::format("{:02}/{}/{:04}:{:02}:{:02}:{:02} +0000", static_cast<unsigned>(date.day()),
                     kMonths.at(static_cast<unsigned>(date.month()) - 1), static_cast<int>(date.year()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

json::object query_parameters(std::string_view query) {
  json::object out;
  each_query_parameter(query, [&](const std::string& name, const std::string& value) { append(out, name, value); });
  return out;
}

json::object object_of(const Pairs& pairs) {
  json::object out;
  for (const auto& [name, value] : pairs) out[name] = value;
  return out;
}

HeaderParts header_parts(const EventInput& input) {
  HeaderParts out;
  for (const auto& [name, value] : input.head.headers) {
    const auto lower = to_lower(name);
    if (lower != "cookie") {
      append(out.headers, lower, value);
      continue;
    }
    std::string_view rest = value;
    while (!rest.empty()) {
      const auto end = std::min(rest.find(';'), rest.size());
      const auto cookie = trim(rest.substr(0, end));
      if (!cookie.empty()) out.cookies.emplace_back(cookie);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  set_forwarded(input, out.headers);
  return out;
}

json::object request_context_v2(const EventInput& input) {
  json::object http_part;
  http_part["method"] = input.head.method;
  http_part["path"] = input.path;
  http_part["protocol"] = "HTTP/1.1";
  http_part["sourceIp"] = input.source_ip;
  http_part["userAgent"] = input.head.headers.get("User-Agent");
  json::object context;
  context["accountId"] = input.account;
  context["apiId"] = input.api_id;
  if (!input.authorizer.empty()) context["authorizer"] = input.authorizer;
  context["domainName"] = input.domain;
  context["domainPrefix"] = input.domain_prefix;
  context["http"] = std::move(http_part);
  context["requestId"] = input.request_id;
  context["routeKey"] = input.route_key;
  context["stage"] = input.stage;
  context["time"] = event_time(input.now);
  context["timeEpoch"] = millis(input.now);
  return context;
}

std::string event_v2(const EventInput& input) {
  json::object event;
  event["version"] = "2.0";
  event["routeKey"] = input.route_key;
  event["rawPath"] = input.path;
  event["rawQueryString"] = input.head.query();
  auto parts = header_parts(input);
  if (!parts.cookies.empty()) event["cookies"] = std::move(parts.cookies);
  event["headers"] = std::move(parts.headers);
  if (!input.head.query().empty()) event["queryStringParameters"] = query_parameters(input.head.query());
  event["requestContext"] = request_context_v2(input);
  if (!input.path_parameters.empty()) event["pathParameters"] = object_of(input.path_parameters);
  if (!input.stage_variables.empty()) event["stageVariables"] = object_of(input.stage_variables);
  add_body(input, event);
  return to_json(event);
}

json::object request_context_v1(const EventInput& input) {
  const auto space = input.route_key.find(' ');
  const auto resource = space == std::string::npos ? input.route_key : input.route_key.substr(space + 1);
  json::object iam;
  json::object authorizer;
  for (const auto& [kind, value] : input.authorizer) {
    if (!value.is_object()) continue;
    if (std::string_view(kind) == "iam") {
      iam = value.get_object();
    } else {
      authorizer = value.get_object();  // claims and scopes, or what an authorizer's function said
    }
  }
  if (authorizer.empty()) {
    authorizer["claims"] = nullptr;
    authorizer["scopes"] = nullptr;
  }
  json::object context;
  context["accountId"] = input.account;
  context["apiId"] = input.api_id;
  context["authorizer"] = std::move(authorizer);
  context["domainName"] = input.domain;
  context["domainPrefix"] = input.domain_prefix;
  context["extendedRequestId"] = input.request_id;
  context["httpMethod"] = input.head.method;
  context["identity"] = identity_v1(input, iam);
  context["path"] = input.path;
  context["protocol"] = "HTTP/1.1";
  context["requestId"] = input.request_id;
  context["requestTime"] = event_time(input.now);
  context["requestTimeEpoch"] = millis(input.now);
  context["resourceId"] = nullptr;
  context["resourcePath"] = resource;
  context["stage"] = input.stage;
  return context;
}

json::object request_v1(const EventInput& input) {
  json::object headers;
  json::object many;
  for (const auto& [name, value] : input.head.headers) {
    const auto lower = to_lower(name);
    if (lower == "x-forwarded-for" || lower == "x-forwarded-proto") continue;
    headers[name] = value;  // the last of a name
    append_to_list(many, name, value);
  }
  set_forwarded(input, headers);
  append_to_list(many, "x-forwarded-for", input.source_ip);
  append_to_list(many, "x-forwarded-proto", input.tls ? "https" : "http");
  json::object query;
  json::object many_query;
  each_query_parameter(input.head.query(), [&](const std::string& name, const std::string& value) {
    query[name] = value;
    append_to_list(many_query, name, value);
  });
  auto context = request_context_v1(input);
  json::object event;
  event["version"] = "1.0";
  event["resource"] = context["resourcePath"];
  event["path"] = input.path;
  event["httpMethod"] = input.head.method;
  event["headers"] = std::move(headers);
  event["multiValueHeaders"] = std::move(many);
  event["queryStringParameters"] = object_or_null(std::move(query));
  event["multiValueQueryStringParameters"] = object_or_null(std::move(many_query));
  event["requestContext"] = std::move(context);
  event["pathParameters"] = object_or_null(object_of(input.path_parameters));
  event["stageVariables"] = object_or_null(object_of(input.stage_variables));
  return event;
}

std::string event_v1(const EventInput& input) {
  auto event = request_v1(input);
  event["body"] = nullptr;
  add_body(input, event);
  return to_json(event);
}

bool is_safe_field(std::string_view name, std::string_view value) {
  const auto clean = [](char c) { return c != '\r' && c != '\n' && c != '\0'; };
  const auto token = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  };
  constexpr std::array<std::string_view, 5> kOurs = {"content-length", "transfer-encoding", "connection", "date",
                                                     "keep-alive"};
  if (name.empty() || !std::all_of(name.begin(), name.end(), token)) return false;
  if (!std::all_of(value.begin(), value.end(), clean)) return false;
  return std::find(kOurs.begin(), kOurs.end(), to_lower(name)) == kOurs.end();
}

http::ResponseHead response_head(const json::value& result) {
  http::ResponseHead head;
  std::int64_t status = get_int(result, "statusCode", 200);
  if (const auto text = get_string(result, "statusCode"); text.size() == 3) {
    status = 0;  // "200" is taken too
    for (const char c : text) status = c >= '0' && c <= '9' ? status * 10 + (c - '0') : -1'000;
  }
  head.status = status >= 100 && status <= 599 ? static_cast<int>(status) : 502;
  if (const auto* headers = find(result, "headers"); headers != nullptr && headers->is_object()) {
    for (const auto& field : headers->get_object()) {
      auto text = scalar_text(field.value());
      if (is_safe_field(field.key(), text)) head.headers.add(std::string(field.key()), std::move(text));
    }
  }
  if (const auto* cookies = find(result, "cookies"); cookies != nullptr && cookies->is_array()) {
    for (const auto& cookie : cookies->get_array()) {
      auto text = scalar_text(cookie);
      if (is_safe_field("set-cookie", text)) head.headers.add("Set-Cookie", std::move(text));
    }
  }
  return head;
}

std::optional<http::Response> response_v2(std::string_view payload, std::string_view content_type) {
  auto value = parse_json(payload);
  if (value && value->is_object() && find(*value, "statusCode") != nullptr) return structured(*value, content_type);
  http::Response out;
  if (value && value->is_string()) {
    out.body = std::string(value->get_string());
  } else {
    out.body = compact(payload);
  }
  out.head.headers.set("Content-Type", "application/json");
  return out;
}

std::optional<http::Response> response_v1(std::string_view payload, std::string_view content_type) {
  auto value = parse_json(payload);
  if (!value || !value->is_object() || find(*value, "statusCode") == nullptr) return std::nullopt;
  auto out = structured(*value, content_type);
  if (!out) return out;
  // A name in multiValueHeaders is said there alone.
  if (const auto* many = find(*value, "multiValueHeaders"); many != nullptr && many->is_object()) {
    for (const auto& field : many->get_object()) {
      if (!field.value().is_array()) continue;
      const std::string name(field.key());
      out->head.headers.erase(name);
      for (const auto& item : field.value().get_array()) {
        auto text = scalar_text(item);
        if (is_safe_field(name, text)) out->head.headers.add(name, std::move(text));
      }
    }
  }
  return out;
}

}  // namespace mayfly::gateway
