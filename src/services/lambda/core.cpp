#include "services/lambda/core.h"

#include <fmt/core.h>

#include <charconv>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/ids.h"
#include "base/time_format.h"
#include "http/query.h"

namespace mayfly::lambda {
namespace {

constexpr std::chrono::seconds kLinkLife{600};

std::string link_signature(const Core& core, std::string_view sha_hex, std::string_view expires) {
  return hex_encode(hmac_sha256(core.link_key, fmt::format("{}\n{}", sha_hex, expires)));
}

}  // namespace

Core::Core(store::KeyValue& store, store::Blob& blobs_in, BlockingPool& pool_in, Clock& clock_in, Invoker& invoker_in,
           LambdaSettings settings_in)
    : blobs(blobs_in),
      pool(pool_in),
      clock(clock_in),
      invoker(invoker_in),
      settings(std::move(settings_in)),
      tables(store, invoker_in, settings.code_directory),
      link_key(random_bytes(32)) {}

Place Core::place(const aws::CallContext& context) const {
  Place out;
  out.account = context.principal.account.empty() ? settings.account : context.principal.account;
  out.region = context.region.empty() ? settings.region : context.region;
  return out;
}

aws::ApiError function_missing(const Place& place, std::string_view name, std::string_view qualifier) {
  return refuse_missing(fmt::format("Function not found: {}", function_arn(place, name, qualifier))).error();
}

aws::ApiResult<Found> find_function(Core& core, const aws::CallContext& context, const std::optional<std::string>& text,
                                    const std::optional<std::string>& qualifier) {
  Found found;
  found.place = core.place(context);
  auto name = parse_function_name(text.value_or(""), qualifier, found.place);
  if (!name) return std::unexpected(std::move(name.error()));
  found.name = std::move(*name);
  found.function = core.tables.function(found.place, found.name.name);
  if (!found.function) return std::unexpected(function_missing(found.place, found.name.name, found.name.qualifier));
  return found;
}

const VersionRecord* find_version(const FunctionRecord& function, std::string_view qualifier) {
  if (qualifier.empty() || qualifier == kLatest) return &function.latest;
  std::string wanted(qualifier);
  if (!is_version_number(qualifier)) {
    const auto alias = function.aliases.find(wanted);
    if (alias == function.aliases.end()) return nullptr;
    wanted = alias->second.FunctionVersion.value_or("");
    if (wanted == kLatest) return &function.latest;
  }
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), number);
  if (error != std::errc() || end != wanted.data() + wanted.size()) return nullptr;
  const auto version = function.versions.find(number);
  return version == function.versions.end() ? nullptr : &version->second;
}

Awaitable<aws::ApiResult<StoredCode>> store_code(Core& core, std::string zip) {
  if (zip.empty()) co_return refuse_parameter("Uploaded file must be a non-empty zip");
  if (zip.size() > core.limits.zipped_bytes) {
    co_return refuse(kRequestEntityTooLarge,
                     fmt::format("Zipped size must be smaller than {} bytes", core.limits.zipped_bytes));
  }
  auto bytes = std::make_shared<std::string>(std::move(zip));
  StoredCode stored;
  stored.bytes = static_cast<std::int64_t>(bytes->size());
  const auto limits = core.limits;
  const auto folder = core.settings.code_directory;
  auto hold = std::make_shared<PackagesInHand::Hold>();
  PackagesInHand& packages = core.packages;
  const auto inspect = core.settings.inspect_package;
  std::function<Result<std::string>()> work = [bytes, limits, folder, hold, inspect,
                                               &packages]() -> Result<std::string> {
    if (inspect) {
      auto accepted = check_package(*bytes, limits);
      if (!accepted) return std::unexpected(std::move(accepted.error()));
      if (auto fit = inspect(*bytes); !fit) return std::unexpected(std::move(fit.error()));
    }
    auto digest = sha256(*bytes);
    *hold = packages.hold(hex_encode(digest));
    if (!*hold) return fail(ErrorCode::kConflict, "this very package is being removed; try again");
    auto done = unpack_package(*bytes, limits, folder + "/" + hex_encode(digest));
    if (!done) return std::unexpected(std::move(done.error()));
    return digest;
  };
  auto digest = co_await core.pool.run<std::string>(std::move(work));
  if (!digest) {
    if (digest.error().code == ErrorCode::kForbidden) co_return refuse_parameter(digest.error().message);
    if (digest.error().code == ErrorCode::kTooLarge) {
      co_return refuse_parameter(
          fmt::format("Unzipped size must be smaller than {} bytes", core.limits.unzipped_bytes));
    }
    if (digest.error().code == ErrorCode::kInvalid) {
      const std::string text = "Could not unzip uploaded file. Please check your file, then try to upload again.";
      if (digest.error().message == "the package is empty") {
        co_return refuse_parameter("Uploaded file must be a non-empty zip");
      }
      if (digest.error().message == "not a zip archive") co_return refuse_parameter(text);
      co_return refuse_parameter(fmt::format("{} ({})", text, digest.error().message));
    }
    co_return refuse_internal(digest.error());
  }
  stored.sha_hex = hex_encode(*digest);
  stored.sha_base64 = base64_encode(*digest);
  stored.hold = std::move(*hold);
  auto put = co_await core.blobs.put(std::move(*bytes));
  if (!put) co_return refuse_internal(put.error());
  co_return stored;
}

Awaitable<Result<void>> restore_code(Core& core, std::string sha_hex) {
  const auto target = core.settings.code_directory + "/" + sha_hex;
  std::error_code error;
  if (std::filesystem::exists(target, error)) co_return Result<void>();
  store::BlobId id(sha_hex);
  auto bytes = co_await core.blobs.get(std::move(id), core.limits.zipped_bytes);
  if (!bytes) co_return std::unexpected(std::move(bytes.error()));
  auto shared = std::make_shared<std::string>(std::move(*bytes));
  const auto limits = core.limits;
  std::function<Result<void>()> work = [shared, limits, target] { return unpack_package(*shared, limits, target); };
  co_return co_await core.pool.run<void>(std::move(work));
}

std::string code_link(const Core& core, const aws::CallContext& context, const std::string& sha_hex) {
  const auto until = core.clock.now() + kLinkLife;
  const auto expires = std::to_string(std::chrono::floor<std::chrono::seconds>(until).time_since_epoch().count());
  const auto base = context.host.empty() ? core.settings.endpoint_url
                                         : fmt::format("{}://{}", context.tls ? "https" : "http", context.host);
  return fmt::format("{}/_mayfly/code/{}?expires={}&signature={}", base, sha_hex, expires,
                     link_signature(core, sha_hex, expires));
}

bool check_code_link(const Core& core, std::string_view sha_hex, std::string_view query) {
  const auto expires = http::query_value(query, "expires").value_or("");
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(expires.data(), expires.data() + expires.size(), seconds);
  if (error != std::errc() || end != expires.data() + expires.size()) return false;
  if (!constant_time_equal(http::query_value(query, "signature").value_or(""), link_signature(core, sha_hex, expires)))
    return false;
  return core.clock.now().time_since_epoch() < std::chrono::seconds(seconds);
}

wire::FunctionConfiguration shown(const FunctionRecord& function, const VersionRecord& version,
                                  std::string_view qualifier) {
  auto config = version.config;
  config.FunctionArn = function.arn(qualifier);
  return config;
}

wire::FunctionConfiguration shown_now(const Core& core, const FunctionRecord& function, const VersionRecord& version,
                                      std::string_view qualifier) {
  auto config = shown(function, version, qualifier);
  const auto target = core.tables.target(function.place, function.name, version.config.Version.value_or(""));
  if (!target || !target->snap_start) return config;
  const auto state = core.invoker.snapshot(*target);
  if (state.pending) {
    config.State = "Pending";
    config.StateReason = "The function is being created.";
    config.StateReasonCode = "Creating";
  } else if (state.failed) {
    // It can be invoked all the same: its instances are initialised when they are needed.
    config.SnapStart->OptimizationStatus = "Off";
    config.StateReason = "The function has no snapshot: " + state.reason;
    config.StateReasonCode = "FunctionError";
  }
  return config;
}

wire::FunctionConfiguration listed(const FunctionRecord& function, const VersionRecord& version,
                                   std::string_view qualifier) {
  auto config = shown(function, version, qualifier);
  config.State.reset();
  config.StateReason.reset();
  config.StateReasonCode.reset();
  config.LastUpdateStatus.reset();
  config.LastUpdateStatusReason.reset();
  config.LastUpdateStatusReasonCode.reset();
  config.RuntimeVersionConfig.reset();
  return config;
}

std::string encode_marker(std::string_view key) { return base64_encode(key); }
std::string decode_marker(std::string_view marker) { return base64_decode(marker).value_or(std::string()); }

}  // namespace mayfly::lambda
