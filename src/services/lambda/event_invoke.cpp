// PutFunctionEventInvokeConfig and its siblings: how asynchronous invocations of a qualifier are retried, and where
// their outcomes go.
#include <fmt/core.h>

#include "services/lambda/async_invoke.h"

namespace mayfly::lambda {
namespace {

constexpr std::string_view kNoFunction = "The function doesn't exist.";
constexpr std::string_view kNothingGiven = "You must specify at least one of error handling or destination setting.";

std::string key_of(const std::string& qualifier) { return qualifier.empty() ? std::string(kLatest) : qualifier; }

aws::ApiError config_missing(const Place& place, const FunctionName& name) {
  return refuse_missing(fmt::format("The function {} doesn't have an EventInvokeConfig",
                                    function_arn(place, name.name, key_of(name.qualifier))))
      .error();
}

wire::FunctionEventInvokeConfig shown_config(const FunctionRecord& function, const std::string& qualifier,
                                             const wire::FunctionEventInvokeConfig& config) {
  auto out = config;
  out.FunctionArn = function.arn(qualifier);
  if (!out.DestinationConfig) out.DestinationConfig.emplace();
  if (!out.DestinationConfig->OnSuccess) out.DestinationConfig->OnSuccess.emplace();
  if (!out.DestinationConfig->OnFailure) out.DestinationConfig->OnFailure.emplace();
  return out;
}

struct Located {
  Place place;
  FunctionName name;
};
aws::ApiResult<Located> locate(Core& core, const aws::CallContext& context, const std::optional<std::string>& text,
                               const std::optional<std::string>& qualifier) {
  Located out;
  out.place = core.place(context);
  auto name = parse_function_name(text.value_or(""), qualifier, out.place);
  if (!name) return std::unexpected(std::move(name.error()));
  out.name = std::move(*name);
  return out;
}

aws::ApiResult<void> check_destination(Core& core, const Located& at, const std::string& arn, const char* member,
                                       const char* shape) {
  const auto parsed = delivery::parse_arn(arn);
  const auto service = parsed ? parsed->service : std::string();
  if (service != "sqs" && service != "sns" && service != "lambda" && service != "events" && service != "s3") {
    const auto given = fmt::format("{}(destination={})", shape, arn);
    const bool success = std::string_view(member) == "onSuccess";
    return refuse_parameter(
        fmt::format("The provided destination config DestinationConfig(onSuccess={}, onFailure={}) is invalid.",
                    success ? given : "null", success ? "null" : given));
  }
  if (!can_deliver_to(core, arn)) {
    return refuse_unsupported("A destination of " + service, "events cannot be delivered there");
  }
  if (service != "lambda") return {};
  const auto name = parse_function_name(arn, std::nullopt, at.place);
  if (!name) return std::unexpected(name.error());
  if (name->name == at.name.name)
    return refuse_parameter("You can't specify the function as a destination for itself.");
  const auto function = core.tables.function(at.place, name->name);
  if (!function || find_version(*function, name->qualifier) == nullptr) {
    return refuse_parameter(fmt::format("The destination ARN {} is invalid.", arn));
  }
  return {};
}

aws::ApiResult<void> check_destinations(Core& core, const Located& at,
                                        const std::optional<wire::DestinationConfig>& config) {
  if (!config) return {};
  if (config->OnSuccess && !config->OnSuccess->Destination.value_or("").empty()) {
    if (auto ok = check_destination(core, at, *config->OnSuccess->Destination, "onSuccess", "OnSuccess"); !ok)
      return ok;
  }
  if (config->OnFailure && !config->OnFailure->Destination.value_or("").empty()) {
    if (auto ok = check_destination(core, at, *config->OnFailure->Destination, "onFailure", "OnFailure"); !ok)
      return ok;
  }
  return {};
}

// Put replaces what is there, Update changes what is given.
enum class Manner : std::uint8_t { kPut, kUpdate };

template <typename Request>
Awaitable<aws::ApiResult<wire::FunctionEventInvokeConfig>> write_config(Core& core, const aws::CallContext& context,
                                                                        Request request, Manner manner) {
  auto at = locate(core, context, request.FunctionName, request.Qualifier);
  if (!at) co_return std::unexpected(std::move(at.error()));
  if (!request.MaximumRetryAttempts && !request.MaximumEventAgeInSeconds && !request.DestinationConfig) {
    co_return refuse_parameter(std::string(kNothingGiven));
  }
  const auto function = core.tables.function(at->place, at->name.name);
  if (!function || find_version(*function, at->name.qualifier) == nullptr) {
    co_return refuse_missing(std::string(kNoFunction));
  }
  auto checked = check_destinations(core, *at, request.DestinationConfig);
  if (!checked) co_return std::unexpected(std::move(checked.error()));
  const auto key = key_of(at->name.qualifier);
  const auto now = std::chrono::duration<double>(core.clock.now().time_since_epoch()).count();
  auto no_config = config_missing(at->place, at->name);
  FunctionEdit edit = [request, key, now, manner, no_config](FunctionRecord& record) -> aws::ApiResult<void> {
    const auto found = record.event_invoke.find(key);
    if (manner == Manner::kUpdate && found == record.event_invoke.end()) return std::unexpected(no_config);
    auto& config = record.event_invoke[key];
    if (manner == Manner::kPut) config = {};
    config.LastModified = now;
    if (request.MaximumRetryAttempts) config.MaximumRetryAttempts = request.MaximumRetryAttempts;
    if (request.MaximumEventAgeInSeconds) config.MaximumEventAgeInSeconds = request.MaximumEventAgeInSeconds;
    if (request.DestinationConfig) {
      if (!config.DestinationConfig) config.DestinationConfig.emplace();
      if (request.DestinationConfig->OnSuccess)
        config.DestinationConfig->OnSuccess = request.DestinationConfig->OnSuccess;
      if (request.DestinationConfig->OnFailure)
        config.DestinationConfig->OnFailure = request.DestinationConfig->OnFailure;
    }
    return {};
  };
  auto missing = refuse_missing(std::string(kNoFunction)).error();
  auto changed = co_await core.tables.change(at->place, at->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return shown_config(**changed, key, (*changed)->event_invoke.at(key));
}

Awaitable<aws::ApiResult<wire::PutFunctionEventInvokeConfig::Response>> put_config(
    Core& core, const aws::CallContext& context, wire::PutFunctionEventInvokeConfigRequest request) {
  return write_config(core, context, std::move(request), Manner::kPut);
}

Awaitable<aws::ApiResult<wire::UpdateFunctionEventInvokeConfig::Response>> update_config(
    Core& core, const aws::CallContext& context, wire::UpdateFunctionEventInvokeConfigRequest request) {
  return write_config(core, context, std::move(request), Manner::kUpdate);
}

Awaitable<aws::ApiResult<wire::GetFunctionEventInvokeConfig::Response>> get_config(
    Core& core, const aws::CallContext& context, wire::GetFunctionEventInvokeConfigRequest request) {
  auto at = locate(core, context, request.FunctionName, request.Qualifier);
  if (!at) co_return std::unexpected(std::move(at.error()));
  const auto key = key_of(at->name.qualifier);
  const auto function = core.tables.function(at->place, at->name.name);
  if (!function || !function->event_invoke.contains(key))
    co_return std::unexpected(config_missing(at->place, at->name));
  co_return shown_config(*function, key, function->event_invoke.at(key));
}

Awaitable<aws::ApiResult<wire::ListFunctionEventInvokeConfigsResponse>> list_configs(
    Core& core, const aws::CallContext& context, wire::ListFunctionEventInvokeConfigsRequest request) {
  auto at = locate(core, context, request.FunctionName, std::nullopt);
  if (!at) co_return std::unexpected(std::move(at.error()));
  const auto function = core.tables.function(at->place, at->name.name);
  if (!function) co_return refuse_missing(std::string(kNoFunction));
  std::vector<wire::FunctionEventInvokeConfig> all;
  for (const auto& [qualifier, config] : function->event_invoke) {
    all.push_back(shown_config(*function, qualifier, config));
  }
  const auto key = [](const wire::FunctionEventInvokeConfig& config) { return config.FunctionArn.value_or(""); };
  auto [page, next] = page_of(std::move(all), key, request.Marker, request.MaxItems);
  wire::ListFunctionEventInvokeConfigsResponse out;
  out.FunctionEventInvokeConfigs = std::move(page);
  out.NextMarker = std::move(next);
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteFunctionEventInvokeConfig::Response>> delete_config(
    Core& core, const aws::CallContext& context, wire::DeleteFunctionEventInvokeConfigRequest request) {
  auto at = locate(core, context, request.FunctionName, request.Qualifier);
  if (!at) co_return std::unexpected(std::move(at.error()));
  const auto key = key_of(at->name.qualifier);
  auto no_config = config_missing(at->place, at->name);
  FunctionEdit edit = [key, no_config](FunctionRecord& record) -> aws::ApiResult<void> {
    if (record.event_invoke.erase(key) == 0) return std::unexpected(no_config);
    return {};
  };
  auto changed = co_await core.tables.change(at->place, at->name.name, std::move(no_config), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteFunctionEventInvokeConfig::Response();
}

}  // namespace

void bind_event_invoke(aws::Service& service, Core& core) {
  bind_async_invoke(service, core);
  bind<wire::PutFunctionEventInvokeConfig>(service, core, put_config);
  bind<wire::UpdateFunctionEventInvokeConfig>(service, core, update_config);
  bind<wire::GetFunctionEventInvokeConfig>(service, core, get_config);
  bind<wire::ListFunctionEventInvokeConfigs>(service, core, list_configs);
  bind<wire::DeleteFunctionEventInvokeConfig>(service, core, delete_config);
}

}  // namespace mayfly::lambda
