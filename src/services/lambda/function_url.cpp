#include "services/lambda/function_url.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace mayfly::lambda {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// "12/Mar/2020:19:03:58 +0000"
std::string event_time(SystemTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  return fmt::format("{:02}/{}/{:04}:{:02}:{:02}:{:02} +0000", static_cast<unsigned>(date.day()),
                     kMonths.at(static_cast<unsigned>(date.month()) - 1), static_cast<int>(date.year()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

void append(json::object& object, std::string_view key, std::string_view value) {
  auto* present = object.if_contains(key);
  if (present == nullptr) {
    object[key] = value;
  } else {
    present->as_string().append(",").append(value);
  }
}

std::string form_decode(std::string_view text) {
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  return percent_decode(spaced).value_or(spaced);
}

json::object query_parameters(std::string_view query) {
  json::object out;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    const auto value = equals < pair.size() ? pair.substr(equals + 1) : std::string_view();
    append(out, form_decode(pair.substr(0, equals)), form_decode(value));
  }
  return out;
}

// Text goes as it is, everything else as base64: the event is JSON and must be UTF-8.
bool is_text(std::string_view content_type) {
  const auto type = to_lower(trim(content_type.substr(0, content_type.find(';'))));
  return type.empty() || type.starts_with("text/") || type == "application/json" || type == "application/xml" ||
         type == "application/javascript" || type == "application/x-www-form-urlencoded" || type.ends_with("+json") ||
         type.ends_with("+xml");
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xC2 && lead < 0xE0 ? 2
                               : lead >= 0xE0 && lead < 0xF0 ? 3
                               : lead >= 0xF0 && lead < 0xF5 ? 4
                                                             : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0U) != 0x80U) return false;
    }
    i += length;
  }
  return true;
}

// A field that could end the head or forge another one is dropped.
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

std::string scalar_text(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  return to_json(value);
}

void read_head(const json::value& value, http::ResponseHead& head) {
  const auto status = get_int(value, "statusCode", 200);
  head.status = status >= 100 && status <= 599 ? static_cast<int>(status) : 502;
  if (const auto* headers = find(value, "headers"); headers != nullptr && headers->is_object()) {
    for (const auto& field : headers->get_object()) {
      auto text = scalar_text(field.value());
      if (is_safe_field(field.key(), text)) head.headers.add(std::string(field.key()), std::move(text));
    }
  }
  if (const auto* cookies = find(value, "cookies"); cookies != nullptr && cookies->is_array()) {
    for (const auto& cookie : cookies->get_array()) {
      auto text = scalar_text(cookie);
      if (is_safe_field("set-cookie", text)) head.headers.add("Set-Cookie", std::move(text));
    }
  }
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

bool listed_in(const std::optional<std::vector<std::string>>& list, std::string_view value) {
  if (!list) return false;
  return std::any_of(list->begin(), list->end(),
                     [&](const std::string& item) { return item == "*" || iequals(item, value); });
}

std::string join(const std::vector<std::string>& list) {
  std::string out;
  for (const auto& item : list) out += (out.empty() ? "" : ",") + item;
  return out;
}

}  // namespace

std::string url_event(const UrlCall& call) {
  json::object event;
  event["version"] = "2.0";
  event["routeKey"] = "$default";
  std::string path(call.head.path());
  while (path.starts_with("//")) path.erase(0, 1);
  event["rawPath"] = path;
  event["rawQueryString"] = call.head.query();
  json::object headers;
  json::array cookies;
  for (const auto& [name, value] : call.head.headers) {
    const auto lower = to_lower(name);
    if (lower != "cookie") {
      append(headers, lower, value);
      continue;
    }
    std::string_view rest = value;
    while (!rest.empty()) {
      const auto end = std::min(rest.find(';'), rest.size());
      const auto cookie = trim(rest.substr(0, end));
      if (!cookie.empty()) cookies.emplace_back(cookie);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  // What a client claims of these is not believed.
  headers["x-forwarded-for"] = call.source_ip;
  headers["x-forwarded-proto"] = call.tls ? "https" : "http";
  if (!cookies.empty()) event["cookies"] = std::move(cookies);
  const auto user_agent = std::string(get_string(headers, "user-agent"));
  const auto content_type = std::string(get_string(headers, "content-type"));
  event["headers"] = std::move(headers);
  if (!call.head.query().empty()) event["queryStringParameters"] = query_parameters(call.head.query());
  json::object http_part;
  http_part["method"] = call.head.method;
  http_part["path"] = path;
  http_part["protocol"] = "HTTP/1.1";
  http_part["sourceIp"] = call.source_ip;
  http_part["userAgent"] = user_agent;
  json::object context;
  context["accountId"] = call.caller_arn.empty() ? std::string("anonymous") : call.account;
  context["apiId"] = call.url_id;
  if (!call.caller_arn.empty()) {
    json::object iam;
    iam["accountId"] = call.account;
    iam["userArn"] = call.caller_arn;
    json::object authorizer;
    authorizer["iam"] = std::move(iam);
    context["authorizer"] = std::move(authorizer);
  }
  context["domainName"] = call.domain;
  context["domainPrefix"] = call.url_id;
  context["http"] = std::move(http_part);
  context["requestId"] = call.request_id;
  context["routeKey"] = "$default";
  context["stage"] = "$default";
  context["time"] = event_time(call.now);
  context["timeEpoch"] = std::chrono::floor<std::chrono::milliseconds>(call.now).time_since_epoch().count();
  event["requestContext"] = std::move(context);
  const bool text = is_text(content_type) && is_utf8(call.body);
  if (!call.body.empty()) event["body"] = text ? call.body : base64_encode(call.body);
  event["isBase64Encoded"] = !text && !call.body.empty();
  return to_json(event);
}

http::Response url_response(std::string_view payload) {
  http::Response out;
  auto value = parse_json(payload);
  if (value && value->is_object() && find(*value, "statusCode") != nullptr) {
    read_head(*value, out.head);
    if (const auto* body = find(*value, "body"); body != nullptr && !body->is_null()) out.body = scalar_text(*body);
    if (get_bool(*value, "isBase64Encoded", false)) {
      auto decoded = base64_decode(out.body);
      if (!decoded) return url_refusal(502, "", "Internal Server Error");
      out.body = std::move(*decoded);
    }
  } else if (value && value->is_string()) {
    out.body = std::string(value->get_string());
  } else {
    out.body = compact(payload);
  }
  if (out.head.headers.find("Content-Type") == nullptr) out.head.headers.set("Content-Type", "application/json");
  return out;
}

std::optional<http::ResponseHead> url_stream_head(std::string_view metadata) {
  auto value = parse_json(metadata);
  if (!value || !value->is_object()) return std::nullopt;
  http::ResponseHead head;
  read_head(*value, head);
  return head;
}

void add_cors(const wire::Cors& cors, const http::RequestHead& request, http::Headers& response) {
  const auto origin = request.headers.get("Origin");
  if (origin.empty() || !listed_in(cors.AllowOrigins, origin)) return;
  const bool credentials = cors.AllowCredentials.value_or(false);
  const bool any = std::find(cors.AllowOrigins->begin(), cors.AllowOrigins->end(), "*") != cors.AllowOrigins->end();
  // With credentials a browser takes no "*".
  response.set("Access-Control-Allow-Origin", any && !credentials ? std::string("*") : std::string(origin));
  if (credentials) response.set("Access-Control-Allow-Credentials", "true");
  if (!any || credentials) response.add("Vary", "Origin");
  if (cors.ExposeHeaders && !cors.ExposeHeaders->empty()) {
    response.set("Access-Control-Expose-Headers", join(*cors.ExposeHeaders));
  }
  if (!is_preflight(request)) return;
  if (cors.AllowMethods) response.set("Access-Control-Allow-Methods", join(*cors.AllowMethods));
  if (cors.AllowHeaders) response.set("Access-Control-Allow-Headers", join(*cors.AllowHeaders));
  if (cors.MaxAge) response.set("Access-Control-Max-Age", std::to_string(*cors.MaxAge));
}

bool is_preflight(const http::RequestHead& request) {
  return request.method == "OPTIONS" && request.headers.find("Origin") != nullptr &&
         request.headers.find("Access-Control-Request-Method") != nullptr;
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
