#include "services/lambda/names.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace mayfly::lambda {
namespace {

constexpr std::size_t kNameLimit = 64;
constexpr std::size_t kLayerNameLimit = 140;

bool digit(char c) { return c >= '0' && c <= '9'; }
bool lower(char c) { return c >= 'a' && c <= 'z'; }

bool is_account(std::string_view text) { return text.size() == 12 && std::all_of(text.begin(), text.end(), digit); }

// us-east-1, us-gov-west-1, eusc-de-east-1: as in the pattern of function names, so that a name with dashes is no
// region.
bool is_region(std::string_view text) {
  const auto words = [&text] {
    std::vector<std::string_view> out;
    for (auto rest = text; out.size() < 5;) {
      const auto dash = rest.find('-');
      out.push_back(rest.substr(0, dash));
      if (dash == std::string_view::npos) break;
      rest.remove_prefix(dash + 1);
    }
    return out;
  }();
  const auto is_word = [](std::string_view word) {
    return !word.empty() && std::all_of(word.begin(), word.end(), lower);
  };
  std::size_t at = words.front() == "eusc" ? 1 : 0;
  if (at >= words.size() || words[at].size() != 2 || !is_word(words[at])) return false;
  ++at;
  if (at < words.size() && words.size() - at == 3) {
    if (words[at] != "gov" && (!words[at].starts_with("iso") || words[at].size() > 4 || !is_word(words[at])))
      return false;
    ++at;
  }
  return words.size() - at == 2 && is_word(words[at]) && words[at + 1].size() == 1 && digit(words[at + 1].front());
}

std::string_view take_part(std::string_view& rest) {
  const auto colon = rest.find(':');
  const auto part = rest.substr(0, colon);
  rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
  return part;
}

bool has_first_part(std::string_view rest, bool (*accepts)(std::string_view)) {
  const auto colon = rest.find(':');
  return colon != std::string_view::npos && accepts(rest.substr(0, colon));
}

// Takes "arn:aws:lambda:", the region, the account and `kind` from the front, each where it is there.
aws::ApiResult<void> take_prefix(std::string_view& rest, std::string_view kind, const Place& place) {
  if (rest.starts_with("arn:")) {
    take_part(rest);
    take_part(rest);
    take_part(rest);
  }
  std::string_view region;
  std::string_view account;
  // A name may look like a region ("my-function-1:live"): it is one where the rest of an ARN follows.
  if (has_first_part(rest, is_region)) {
    auto behind = rest;
    take_part(behind);
    if (has_first_part(behind, is_account) || (behind.starts_with(kind) && behind.size() > kind.size() + 1)) {
      region = take_part(rest);
    }
  }
  if (has_first_part(rest, is_account)) account = take_part(rest);
  if (rest.starts_with(kind) && rest.size() > kind.size() && rest[kind.size()] == ':') take_part(rest);
  if (!region.empty() && region != place.region) {
    return refuse_missing(
        fmt::format("Functions from '{}' are not reachable in this region ('{}')", region, place.region));
  }
  if (!account.empty() && account != place.account) return refuse_other_account();
  return {};
}

}  // namespace

aws::ApiResult<FunctionName> parse_function_name(std::string_view text, const std::optional<std::string>& qualifier,
                                                 const Place& place) {
  auto rest = text;
  if (auto ok = take_prefix(rest, "function", place); !ok) return std::unexpected(std::move(ok.error()));
  FunctionName out;
  out.name = take_part(rest);
  out.qualifier = rest;
  if (out.name.size() > kNameLimit) {
    return refuse_parameter(
        fmt::format("1 validation error detected: Value '{}' at 'functionName' failed to satisfy constraint: Member "
                    "must have length less than or equal to 64",
                    out.name));
  }
  if (qualifier && !qualifier->empty()) {
    if (!out.qualifier.empty() && out.qualifier != *qualifier) {
      return refuse_parameter("The derived qualifier from the function name does not match the specified qualifier.");
    }
    out.qualifier = *qualifier;
  }
  return out;
}

aws::ApiResult<LayerName> parse_layer_name(std::string_view text, const Place& place) {
  auto rest = text;
  if (rest.starts_with("arn:")) {
    if (auto ok = take_prefix(rest, "layer", place); !ok) return std::unexpected(std::move(ok.error()));
  }
  LayerName out;
  out.name = take_part(rest);
  if (out.name.empty() || out.name.size() > kLayerNameLimit) return refuse_parameter("The layer name is not valid.");
  if (!rest.empty()) {
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), out.version);
    if (error != std::errc() || end != rest.data() + rest.size() || out.version < 1) {
      return refuse_parameter("The layer version is not valid.");
    }
  }
  return out;
}

bool is_version_number(std::string_view qualifier) {
  return !qualifier.empty() && std::all_of(qualifier.begin(), qualifier.end(), digit);
}

bool is_alias_name(std::string_view qualifier) {
  const auto accepted = [](char c) { return digit(c) || lower(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; };
  return !qualifier.empty() && std::all_of(qualifier.begin(), qualifier.end(), accepted) &&
         !is_version_number(qualifier);
}

bool looks_like_role_arn(std::string_view arn) {
  auto rest = arn;
  if (take_part(rest) != "arn" || !take_part(rest).starts_with("aws") || take_part(rest) != "iam") return false;
  if (!take_part(rest).empty() || !is_account(take_part(rest))) return false;
  return rest.starts_with("role/") && rest.size() > 5;
}

std::string function_arn(const Place& place, std::string_view name, std::string_view qualifier) {
  auto arn = fmt::format("arn:aws:lambda:{}:{}:function:{}", place.region, place.account, name);
  if (!qualifier.empty()) arn += fmt::format(":{}", qualifier);
  return arn;
}

std::string layer_arn(const Place& place, std::string_view name) {
  return fmt::format("arn:aws:lambda:{}:{}:layer:{}", place.region, place.account, name);
}

}  // namespace mayfly::lambda
