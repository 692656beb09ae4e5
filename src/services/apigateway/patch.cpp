#include "services/apigateway/patch.h"

#include <fmt/core.h>

#include <charconv>

#include "services/apigateway/core.h"

namespace mayfly::apigateway {
namespace {

using Form = PatchRule::Form;

bool is_of_many(Form form) { return form == Form::kMapText || form == Form::kMapBool || form == Form::kList; }

struct Chosen {
  const PatchRule* rule = nullptr;
  std::string last;  // of maps and lists; "" where the whole is meant
};

std::optional<Chosen> choose(std::string_view path, std::span<const PatchRule> rules) {
  for (const auto& rule : rules) {
    if (path == rule.path) return Chosen{.rule = &rule, .last = {}};
    if (!is_of_many(rule.form) || !path.starts_with(rule.path)) continue;
    const auto rest = path.substr(rule.path.size());
    if (rest.size() < 2 || rest.front() != '/' || rest.find('/', 1) != std::string_view::npos) continue;
    return Chosen{.rule = &rule, .last = unescaped(rest.substr(1))};
  }
  return std::nullopt;
}

std::unexpected<aws::ApiError> refuse_path(const wire::PatchOperation& patch, std::span<const PatchRule> rules) {
  std::string known;
  for (const auto& rule : rules) known += fmt::format("{}{}", known.empty() ? "" : ", ", rule.path);
  return refuse_input(fmt::format("Invalid patch path  '{}' specified for op '{}'. Must be one of: [{}]",
                                  patch.path.value_or(""), patch.op.value_or(""), known));
}

aws::ApiResult<json::value> value_of(const wire::PatchOperation& patch, Form form) {
  const auto text = patch.value.value_or("");
  const auto invalid = [&] {
    return refuse_input(fmt::format("Invalid value '{}' specified for path '{}'", text, patch.path.value_or("")));
  };
  switch (form) {
    case Form::kBool:
    case Form::kMapBool:
      if (const auto value = bool_of(text)) return json::value(*value);
      return invalid();
    case Form::kInt:
      if (const auto value = int_of(text)) return json::value(*value);
      return invalid();
    case Form::kDouble:
      if (const auto value = double_of(text)) return json::value(*value);
      return invalid();
    default:
      return json::value(text);
  }
}

// The object that holds the rule's member, and its name there.
std::pair<json::object*, std::string> place_of(json::object& document, const PatchRule& rule) {
  std::string_view member = rule.member.empty() ? rule.path.substr(1) : rule.member;
  json::object* at = &document;
  for (auto dot = member.find('.'); dot != std::string_view::npos; dot = member.find('.')) {
    auto& inner = (*at)[member.substr(0, dot)];
    if (!inner.is_object()) inner.emplace_object();
    at = &inner.get_object();
    member.remove_prefix(dot + 1);
  }
  return {at, std::string(member)};
}

void change_list(json::array& list, const std::string& item, bool adds) {
  const auto found =
      std::ranges::find_if(list, [&](const auto& one) { return one.is_string() && one.get_string() == item; });
  if (adds && found == list.end()) list.emplace_back(item);
  if (!adds && found != list.end()) list.erase(found);
}

aws::ApiResult<void> apply_one(json::object& document, const wire::PatchOperation& patch,
                               std::span<const PatchRule> rules) {
  const auto op = patch.op.value_or("");
  const auto chosen = choose(patch.path.value_or(""), rules);
  if (!chosen) return refuse_path(patch, rules);
  const auto& rule = *chosen->rule;
  const bool removes = op == "remove";
  if (!removes && op != "add" && op != "replace")
    return refuse_input(
        fmt::format("Invalid patch path  '{}' specified for op '{}'. Please choose supported operations",
                    patch.path.value_or(""), op));
  auto [holder, name] = place_of(document, rule);
  if (!is_of_many(rule.form)) {
    if (removes) {
      holder->erase(name);
      return {};
    }
    auto value = value_of(patch, rule.form);
    if (!value) return std::unexpected(std::move(value.error()));
    (*holder)[name] = std::move(*value);
    return {};
  }
  if (chosen->last.empty()) {
    if (rule.form == Form::kList && !removes) {
      auto& list = (*holder)[name];
      if (!list.is_array()) list.emplace_array();
      change_list(list.get_array(), patch.value.value_or(""), true);
      return {};
    }
    if (!removes) return refuse_path(patch, rules);
    holder->erase(name);
    return {};
  }
  auto& many = (*holder)[name];
  if (rule.form == Form::kList) {
    if (!many.is_array()) many.emplace_array();
    // A replacement names the old one in the path and the new one as its value.
    change_list(many.get_array(), chosen->last, op == "add");
    if (op == "replace") change_list(many.get_array(), patch.value.value_or(chosen->last), true);
    return {};
  }
  if (!many.is_object()) many.emplace_object();
  if (removes) {
    many.get_object().erase(chosen->last);
    return {};
  }
  auto value = value_of(patch, rule.form);
  if (!value) return std::unexpected(std::move(value.error()));
  many.get_object()[chosen->last] = std::move(*value);
  return {};
}

}  // namespace

std::string unescaped(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const bool escape = token[i] == '~' && i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1');
    out += escape ? (token[i + 1] == '1' ? '/' : '~') : token[i];
    if (escape) ++i;
  }
  return out;
}

std::optional<bool> bool_of(std::string_view text) {
  if (text == "true" || text == "True") return true;
  if (text == "false" || text == "False") return false;
  return std::nullopt;
}

std::optional<std::int32_t> int_of(std::string_view text) {
  std::int32_t out = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return out;
}

std::optional<double> double_of(std::string_view text) {
  double out = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  constexpr double kMost = 1e9;  // neither infinite nor a number that no limit here has
  return out >= -kMost && out <= kMost ? std::optional(out) : std::nullopt;
}

aws::ApiResult<void> apply_patches(json::object& document, const std::vector<wire::PatchOperation>& patches,
                                   std::span<const PatchRule> rules) {
  for (const auto& one : patches) {
    if (auto done = apply_one(document, one, rules); !done) return done;
  }
  return {};
}

}  // namespace mayfly::apigateway
