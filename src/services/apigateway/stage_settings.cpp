#include "services/apigateway/stage_settings.h"

#include <fmt/core.h>

#include <array>

namespace mayfly::apigateway {
namespace {

using Form = PatchRule::Form;
constexpr std::string_view kAll = "*/*";

// As documented, in the order of its errors.
constexpr auto kSettingRules = std::to_array<PatchRule>({
    {"/metrics/enabled", Form::kBool, "metricsEnabled"},
    {"/logging/dataTrace", Form::kBool, "dataTraceEnabled"},
    {"/logging/loglevel", Form::kText, "loggingLevel"},
    {"/throttling/burstLimit", Form::kInt, "throttlingBurstLimit"},
    {"/throttling/rateLimit", Form::kDouble, "throttlingRateLimit"},
    {"/caching/enabled", Form::kBool, "cachingEnabled"},
    {"/caching/ttlInSeconds", Form::kInt, "cacheTtlInSeconds"},
    {"/caching/dataEncrypted", Form::kBool, "cacheDataEncrypted"},
    {"/caching/requireAuthorizationForCacheControl", Form::kBool, "requireAuthorizationForCacheControl"},
    {"/caching/unauthorizedCacheControlHeaderStrategy", Form::kText, "unauthorizedCacheControlHeaderStrategy"},
});

struct SettingPath {
  std::string key;  // "~1pets~1{id}/GET", "*/*"
  std::string setting;
};

// A setting's two last parts behind a path and a method; the path may come with its slashes or escaped.
std::optional<SettingPath> taken_apart(std::string_view path) {
  for (const auto& rule : kSettingRules) {
    if (!path.ends_with(rule.path)) continue;
    auto key = path.substr(0, path.size() - rule.path.size());
    if (!key.starts_with('/')) return std::nullopt;
    key.remove_prefix(1);
    const auto slash = key.rfind('/');
    if (slash == std::string_view::npos || slash == 0 || slash + 1 == key.size()) return std::nullopt;
    return SettingPath{.key = std::string(key), .setting = std::string(rule.path)};
  }
  return std::nullopt;
}

// "~1pets" and "pets" are the resource "/pets".
bool is_key_of(std::string_view key, std::string_view path, std::string_view method) {
  const auto slash = key.rfind('/');
  if (slash == std::string_view::npos) return false;
  auto resource = unescaped(key.substr(0, slash));
  if (!resource.starts_with('/')) resource.insert(0, "/");
  return resource == path && key.substr(slash + 1) == method;
}

}  // namespace

wire::Stage new_stage(const std::string& name, double now) {
  wire::Stage stage;
  stage.stageName = name;
  stage.createdDate = stage.lastUpdatedDate = now;
  stage.cacheClusterEnabled = false;
  stage.cacheClusterStatus = "NOT_AVAILABLE";
  stage.methodSettings.emplace();
  stage.tracingEnabled = false;
  return stage;
}

void settle_cache(wire::Stage& stage) {
  const bool enabled = stage.cacheClusterEnabled.value_or(false);
  stage.cacheClusterEnabled = enabled;
  stage.cacheClusterStatus = enabled ? "AVAILABLE" : "NOT_AVAILABLE";
  if (enabled && !stage.cacheClusterSize) stage.cacheClusterSize = "0.5";
}

bool is_method_setting(std::string_view path) {
  if (taken_apart(path)) return true;
  // "/*/*" or "/~1pets/GET": all settings of a method at once, to be removed.
  return path.starts_with("/*/") || path.starts_with("/~1");
}

aws::ApiResult<void> patch_method_setting(wire::Stage& stage, const wire::PatchOperation& patch) {
  const auto path = patch.path.value_or("");
  auto parts = taken_apart(path);
  if (!stage.methodSettings) stage.methodSettings.emplace();
  auto& all = *stage.methodSettings;
  const auto named = [&](const auto& one) { return one.first == (parts ? parts->key : path.substr(1)); };
  const auto present = std::ranges::find_if(all, named);
  if (patch.op == "remove") {
    if (present == all.end())
      return refuse_input(
          fmt::format("Cannot remove method setting {} because there is no method setting for this method ",
                      parts ? parts->key : path.substr(1)));
    if (!parts) {
      all.erase(present);
      return {};
    }
  } else if (!parts) {
    return refuse_input(fmt::format("Invalid method setting path: {}", path));
  }
  auto settings = present == all.end() ? wire::MethodSetting() : present->second;
  json::object document;
  to_document(settings, document);
  auto one = patch;
  one.path = parts->setting;
  if (auto done = apply_patches(document, {one}, kSettingRules); !done) return done;
  wire::MethodSetting patched;
  from_document(document, patched);
  if (present == all.end()) {
    all.emplace_back(parts->key, std::move(patched));
  } else {
    present->second = std::move(patched);
  }
  return {};
}

const wire::MethodSetting* settings_of(const wire::Stage& stage, std::string_view path, std::string_view method) {
  if (!stage.methodSettings) return nullptr;
  for (const auto& [key, settings] : *stage.methodSettings) {
    if (is_key_of(key, path, method)) return &settings;
  }
  return nullptr;
}

const wire::MethodSetting* settings_of_all(const wire::Stage& stage) {
  if (!stage.methodSettings) return nullptr;
  for (const auto& [key, settings] : *stage.methodSettings) {
    if (key == kAll) return &settings;
  }
  return nullptr;
}

}  // namespace mayfly::apigateway
