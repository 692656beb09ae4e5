#include "services/sns/filter.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace mayfly::sns {
namespace {

// Values multiplied over keys, each as often as it is nested deep; the alternatives of "$or" added up.
std::size_t combinations(const json::object& policy, std::size_t depth) {
  constexpr std::size_t kEnough = 1'000'000;  // beyond any limit, far from overflow
  std::size_t product = 1;
  for (const auto& entry : policy) {
    std::size_t factor = 1;
    if (const auto* nested = entry.value().if_object()) {
      factor = combinations(*nested, depth + 1);
    } else if (const auto* values = entry.value().if_array()) {
      const bool alternatives =
          entry.key() == "$or" && std::ranges::all_of(*values, [](const auto& value) { return value.is_object(); });
      if (alternatives) {
        factor = 0;
        for (const auto& value : *values) factor += combinations(value.get_object(), depth);
      } else {
        factor = values->size() * depth;
      }
    }
    product = std::min(product * std::max<std::size_t>(factor, 1), kEnough);
  }
  return product;
}

bool is_nested(const json::object& policy) {
  return std::ranges::any_of(policy, [](const auto& entry) { return entry.value().is_object(); });
}

// Without the white space between tokens: places in errors are those of this text, as the service counts them.
std::string compact(std::string_view text) {
  std::string out;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) continue;
    out += c;
    if (c == '"') quoted = !quoted;
    if (quoted && c == '\\' && i + 1 < text.size()) out += text[++i];
  }
  return out;
}

// The parser's own words and place, with the text of the policy left out, as the service leaves it out.
std::string redacted(std::string message) {
  const auto from = message.find("(String)\"");
  const auto to = message.rfind("\"; line:");
  if (from == std::string::npos || to == std::string::npos || to < from) return message;
  message.replace(from, to + 1 - from, "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)");
  return message;
}

json::value number_of(std::string_view text) {
  // As JSON writes it, so that "1.0" and "1" are one number and what is none is a text.
  auto parsed = parse_json(text);
  return parsed && parsed->is_number() ? std::move(*parsed) : json::value(json::string(text));
}

json::object event_of(const Message& message) {
  json::object event;
  for (const auto& [name, attribute] : message.attributes) {
    if (attribute.type == "String.Array") {
      auto items = parse_json(attribute.value);
      event[name] = items && items->is_array() ? std::move(*items) : json::value(json::string(attribute.value));
    } else if (attribute.type.starts_with("Number")) {
      event[name] = number_of(attribute.value);
    } else if (!attribute.binary) {
      event[name] = json::string(attribute.value);
    }
  }
  return event;
}

}  // namespace

aws::ApiResult<pattern::Pattern> parse_filter(std::string_view policy, bool of_body, std::string_view where) {
  const auto json = parse_json(policy);
  auto pattern = json ? pattern::Pattern::parse(compact(policy)) : pattern::Pattern::parse(policy);
  if (!json) {
    return refuse_parameter(fmt::format("{}FilterPolicy: failed to parse JSON. {}", where,
                                        redacted(pattern ? std::string("Not a JSON text") : pattern.error().message)));
  }
  if (const auto* object = json->if_object()) {
    if (!of_body && is_nested(*object) && pattern) {
      return refuse_parameter(
          fmt::format("{}Filter policy scope MessageAttributes does not support nested filter policy", where));
    }
    if (object->size() > kMostFilterKeys) {
      return refuse_parameter(
          fmt::format("{}FilterPolicy: Filter policy can not have more than {} keys", where, kMostFilterKeys));
    }
    if (pattern && combinations(*object, 1) > kMostFilterCombinations) {
      return refuse_parameter(fmt::format("{}FilterPolicy: Filter policy is too complex", where));
    }
  }
  if (!pattern) return refuse_parameter(fmt::format("{}FilterPolicy: {}", where, pattern.error().message));
  return std::move(*pattern);
}

bool passes(const pattern::Pattern& filter, bool of_body, const Message& message, std::string_view body) {
  if (!of_body) return filter.matches(event_of(message));
  const auto event = parse_json(body);
  return event && event->is_object() && filter.matches(*event);
}

}  // namespace mayfly::sns
