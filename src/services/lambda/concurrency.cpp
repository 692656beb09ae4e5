// Reserved concurrency and the account's settings. At least 100 executions of the account stay unreserved.
#include <fmt/core.h>

#include "services/lambda/core.h"

namespace mayfly::lambda {
namespace {

constexpr std::int64_t kUnreservedLeast = 100;
constexpr std::int64_t kTotalCodeBytes = 80'530'636'800;  // AWS's default quota

std::int64_t reserved_by_others(const Core& core, const Place& place, std::string_view except) {
  std::int64_t sum = 0;
  for (const auto& function : core.tables.functions(place)) {
    if (function->name != except) sum += function->reserved_concurrency.value_or(0);
  }
  return sum;
}

Awaitable<aws::ApiResult<wire::Concurrency>> put_concurrency(Core& core, const aws::CallContext& context,
                                                             wire::PutFunctionConcurrencyRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto wanted = request.ReservedConcurrentExecutions.value_or(0);
  const auto left = std::int64_t{core.settings.account_concurrency} - wanted -
                    reserved_by_others(core, found->place, found->name.name);
  if (wanted != 0 && left < kUnreservedLeast) {
    auto refused =
        refuse_parameter(fmt::format("Specified ReservedConcurrentExecutions for function decreases account's "
                                     "UnreservedConcurrentExecution below its minimum value of [{}].",
                                     kUnreservedLeast));
    refused.error().members["Type"] = nullptr;  // AWS leaves it out of this one
    co_return refused;
  }
  FunctionEdit edit = [wanted](FunctionRecord& function) -> aws::ApiResult<void> {
    function.reserved_concurrency = wanted;
    return {};
  };
  auto missing = function_missing(found->place, found->name.name, "");
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::Concurrency out;
  out.ReservedConcurrentExecutions = wanted;
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetFunctionConcurrencyResponse>> get_concurrency(
    Core& core, const aws::CallContext& context, wire::GetFunctionConcurrencyRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  wire::GetFunctionConcurrencyResponse out;
  out.ReservedConcurrentExecutions = found->function->reserved_concurrency;
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteFunctionConcurrency::Response>> delete_concurrency(
    Core& core, const aws::CallContext& context, wire::DeleteFunctionConcurrencyRequest request) {
  auto found = find_function(core, context, request.FunctionName, std::nullopt);
  if (!found) co_return std::unexpected(std::move(found.error()));
  FunctionEdit edit = [](FunctionRecord& function) -> aws::ApiResult<void> {
    function.reserved_concurrency.reset();
    return {};
  };
  auto missing = function_missing(found->place, found->name.name, "");
  auto changed = co_await core.tables.change(found->place, found->name.name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::DeleteFunctionConcurrency::Response();
}

Awaitable<aws::ApiResult<wire::GetAccountSettingsResponse>> get_account_settings(Core& core,
                                                                                 const aws::CallContext& context,
                                                                                 wire::GetAccountSettingsRequest) {
  const auto place = core.place(context);
  wire::GetAccountSettingsResponse out;
  auto& limit = out.AccountLimit.emplace();
  limit.TotalCodeSize = kTotalCodeBytes;
  limit.CodeSizeUnzipped = static_cast<std::int64_t>(core.limits.unzipped_bytes);
  limit.CodeSizeZipped = static_cast<std::int64_t>(core.limits.zipped_bytes);
  limit.ConcurrentExecutions = static_cast<std::int32_t>(core.settings.account_concurrency);
  limit.UnreservedConcurrentExecutions =
      static_cast<std::int32_t>(std::int64_t{core.settings.account_concurrency} - reserved_by_others(core, place, ""));
  auto& usage = out.AccountUsage.emplace();
  std::int64_t count = 0;
  std::int64_t bytes = 0;
  for (const auto& function : core.tables.functions(place)) {
    ++count;
    bytes += static_cast<std::int64_t>(code_bytes(*function));
  }
  usage.FunctionCount = count;
  usage.TotalCodeSize = bytes;
  co_return out;
}

}  // namespace

void bind_concurrency(aws::Service& service, Core& core) {
  bind<wire::PutFunctionConcurrency>(service, core, put_concurrency);
  bind<wire::GetFunctionConcurrency>(service, core, get_concurrency);
  bind<wire::DeleteFunctionConcurrency>(service, core, delete_concurrency);
  bind<wire::GetAccountSettings>(service, core, get_account_settings);
}

}  // namespace mayfly::lambda
