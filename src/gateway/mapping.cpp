#include "gateway/mapping.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "http/query.h"

namespace mayfly::gateway {
namespace {

constexpr std::array<std::string_view, 17> kReserved = {"authorization",
                                                        "connection",
                                                        "content-encoding",
                                                        "content-length",
                                                        "content-location",
                                                        "forwarded",
                                                        "host",
                                                        "keep-alive",
                                                        "origin",
                                                        "proxy-authenticate",
                                                        "te",
                                                        "trailers",
                                                        "proxy-authorization",
                                                        "transfer-encoding",
                                                        "upgrade",
                                                        "via",
                                                        "x-forwarded-for"};

bool is_reserved(std::string_view name) {
  const auto lower = to_lower(name);
  return std::ranges::find(kReserved, lower) != kReserved.end() || lower.starts_with("access-control-") ||
         lower.starts_with("apigw-") || lower.starts_with("x-amz-") || lower.starts_with("x-amzn-") ||
         lower == "x-forwarded-host" || lower == "x-forwarded-proto";
}

void apply_header(const Mapping& mapping, const std::string& value, http::Headers& headers) {
  if (mapping.action == Mapping::Action::kRemove) {
    headers.erase(mapping.name);
  } else if (!is_safe_field(mapping.name, value)) {
    // A value that would forge another field is dropped.
  } else if (mapping.action == Mapping::Action::kAppend) {
    headers.add(mapping.name, value);
  } else {
    headers.set(mapping.name, value);
  }
}

void apply_query(const Mapping& mapping, const std::string& value, http::RequestHead& head) {
  std::string query;
  const auto add = [&](std::string_view pair) {
    if (!query.empty()) query += '&';
    query += pair;
  };
  std::string_view rest = head.query();
  while (const auto part = http::next_part(rest)) {
    const auto name = percent_decode(part->name);
    const bool same = name && *name == mapping.name;
    if (!same || mapping.action == Mapping::Action::kAppend) add(part->text);
  }
  if (mapping.action != Mapping::Action::kRemove) {
    add(percent_encode(mapping.name, Slash::kEncode) + "=" + percent_encode(value, Slash::kEncode));
  }
  std::string target(head.path());
  if (!query.empty()) target += "?" + query;
  head.target = std::move(target);
}

void apply_path(const std::string& value, Exchange& exchange) {
  auto path = percent_encode(value, Slash::kKeep);
  if (!path.starts_with('/')) path.insert(0, "/");
  // What a client put into a value must not climb out of the path.
  if (!split_path(path)) return;
  const std::string query(exchange.event.head.query());
  exchange.event.head.target = query.empty() ? path : path + "?" + query;
  exchange.event.path = std::move(path);
}

}  // namespace

Result<Mapping> parse_mapping(std::string_view key, std::string_view value, MappingSide side) {
  const auto invalid = [&](std::string_view why) {
    return fail(ErrorCode::kInvalid, fmt::format("Invalid mapping expression specified: {}: {}", key, why));
  };
  Mapping out;
  const auto colon = key.find(':');
  const auto action = key.substr(0, colon);
  const auto place = colon == std::string_view::npos ? std::string_view() : key.substr(colon + 1);
  if (action == "append") {
    out.action = Mapping::Action::kAppend;
  } else if (action == "overwrite") {
    out.action = Mapping::Action::kOverwrite;
  } else if (action == "remove") {
    out.action = Mapping::Action::kRemove;
  } else {
    return invalid("the action is none of append, overwrite, remove");
  }
  const bool request = side == MappingSide::kRequest;
  if (place.starts_with("header.")) {
    out.part = Mapping::Part::kHeader;
    out.name = place.substr(7);
    if (!is_safe_field(out.name, "") || is_reserved(out.name)) return invalid("this header cannot be mapped");
  } else if (place.starts_with("querystring.") && request) {
    out.part = Mapping::Part::kQuery;
    out.name = place.substr(12);
    if (out.name.empty()) return invalid("the parameter has no name");
  } else if (place == "path" && request && out.action == Mapping::Action::kOverwrite) {
    out.part = Mapping::Part::kPath;
  } else if (place == "statuscode" && !request && out.action == Mapping::Action::kOverwrite) {
    out.part = Mapping::Part::kStatus;
  } else {
    return invalid("it names nothing that can be mapped here");
  }
  if (out.action == Mapping::Action::kRemove) return out;
  const unsigned families =
      Template::kContext | Template::kStage | (request ? Template::kRequest : Template::kResponse);
  auto parsed = Template::parse(value, families);
  if (!parsed) return invalid(parsed.error().message);
  out.value = std::move(*parsed);
  return out;
}

void map_request(const std::vector<Mapping>& mappings, Exchange& exchange) {
  if (mappings.empty()) return;
  // All values are of the request as it came.
  std::vector<std::optional<std::string>> values;
  values.reserve(mappings.size());
  for (const auto& mapping : mappings) values.push_back(mapping.value.value(exchange));
  for (std::size_t i = 0; i < mappings.size(); ++i) {
    const auto& mapping = mappings[i];
    if (mapping.action != Mapping::Action::kRemove && !values[i]) continue;  // the request has no such value
    const auto value = values[i].value_or("");
    if (mapping.part == Mapping::Part::kHeader) apply_header(mapping, value, exchange.event.head.headers);
    if (mapping.part == Mapping::Part::kQuery) apply_query(mapping, value, exchange.event.head);
    if (mapping.part == Mapping::Part::kPath) apply_path(value, exchange);
  }
}

void map_response(const std::vector<Mapping>& mappings, Exchange& exchange) {
  std::vector<std::optional<std::string>> values;
  values.reserve(mappings.size());
  for (const auto& mapping : mappings) values.push_back(mapping.value.value(exchange));
  auto& head = exchange.response.head;
  for (std::size_t i = 0; i < mappings.size(); ++i) {
    const auto& mapping = mappings[i];
    if (mapping.action != Mapping::Action::kRemove && !values[i]) continue;
    const auto value = values[i].value_or("");
    if (mapping.part == Mapping::Part::kHeader) {
      apply_header(mapping, value, head.headers);
    } else if (value.size() == 3 && value[0] >= '2' && value[0] <= '5' && value[1] >= '0' && value[1] <= '9' &&
               value[2] >= '0' && value[2] <= '9') {
      head.status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
    }
  }
}

}  // namespace mayfly::gateway
