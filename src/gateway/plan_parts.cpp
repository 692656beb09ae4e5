#include "gateway/plan_parts.h"

#include <algorithm>

namespace mayfly::gateway {

bool is_function_arn(std::string_view arn) {
  return arn.starts_with("arn:aws:lambda:") && arn.find(":function:") != std::string_view::npos;
}

std::string function_of_path(std::string_view uri) {
  constexpr std::string_view kPath = ":lambda:path/2015-03-31/functions/";
  constexpr std::string_view kEnd = "/invocations";
  const auto at = uri.find(kPath);
  if (at == std::string_view::npos || !uri.ends_with(kEnd)) return {};
  uri.remove_prefix(at + kPath.size());
  uri.remove_suffix(std::min(kEnd.size(), uri.size()));
  return is_function_arn(uri) ? std::string(uri) : std::string();
}

bool is_url(std::string_view text) { return text.starts_with("http://") || text.starts_with("https://"); }

bool has_variable_host(std::string uri) {
  for (auto at = uri.find("${"); at != std::string::npos; at = uri.find("${")) {
    const auto end = uri.find('}', at);
    if (end == std::string::npos) return true;
    uri.erase(at, end - at + 1);
  }
  const auto start = uri.find("://");
  const auto from = start == std::string::npos ? 0 : start + 3;
  return uri.substr(0, uri.find_first_of("/?", from)).find('{') != std::string::npos;
}

std::string with_stage_variables(std::string text, const Pairs& variables) {
  constexpr std::string_view kStart = "${stageVariables.";
  for (auto start = text.find(kStart); start != std::string::npos; start = text.find(kStart, start)) {
    const auto end = text.find('}', start);
    if (end == std::string::npos) break;
    const auto name = text.substr(start + kStart.size(), end - start - kStart.size());
    const auto found = std::ranges::find(variables, name, [](const auto& pair) { return pair.first; });
    const auto value = found == variables.end() ? std::string() : found->second;
    text.replace(start, end - start + 1, value);
    start += value.size();
  }
  return text;
}

std::string with_names(std::string_view uri, const Pairs& names) {
  std::string out;
  while (!uri.empty()) {
    const auto open = std::min(uri.find('{'), uri.size());
    out += uri.substr(0, open);
    uri.remove_prefix(open);
    const auto close = uri.find('}');
    if (close == std::string_view::npos) break;
    const bool greedy = close > 1 && uri[close - 1] == '+';
    const auto name = uri.substr(1, close - 1 - (greedy ? 1 : 0));
    const auto found = std::ranges::find(names, name, [](const auto& pair) { return std::string_view(pair.first); });
    out.append("{").append(found == names.end() ? name : std::string_view(found->second)).append(greedy ? "+}" : "}");
    uri.remove_prefix(close + 1);
  }
  return out.append(uri);
}

std::optional<RateLimits> limits_from(std::optional<double> rate, std::optional<std::int32_t> burst) {
  if (!rate && !burst) return std::nullopt;
  RateLimits out;
  out.rate = rate.value_or(static_cast<double>(burst.value_or(0)));
  out.burst = burst ? static_cast<double>(*burst) : out.rate;
  return out;
}

void set_access_log(Stage& stage, std::string_view log_group_arn, const std::string& format) {
  constexpr std::string_view kGroup = ":log-group:";
  auto parsed = Template::parse(format, Template::kContext | Template::kSocket);
  if (!parsed) return;
  const auto start = log_group_arn.find(kGroup);
  auto group = start == std::string_view::npos ? std::string_view() : log_group_arn.substr(start + kGroup.size());
  if (group.ends_with(":*")) group.remove_suffix(2);
  stage.log_group = group;
  stage.log_format = std::move(*parsed);
  stage.log_is_json = format.starts_with('{');
}

}  // namespace mayfly::gateway
