#include "services/sqs/core.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "services/sqs/limits.h"

namespace mayfly::sqs {
namespace {

bool is_account(std::string_view text) {
  return text.size() == 12 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

struct UrlParts {
  std::string account;  // "" : the caller's
  std::string name;
};

// The last two segments of the path, so that every form of host works: sqs.<region>.<domain>, <region>.queue.<domain>,
// the address alone. The region is that of the signature.
std::optional<UrlParts> parse_url(std::string_view url) {
  if (url.find('/') == std::string_view::npos) return UrlParts{.account = "", .name = std::string(url)};
  // Nothing is cut off at the end: what may be done with a queue is decided by the same reading of its URL.
  if (url.find_first_of("?#") != std::string_view::npos) return std::nullopt;
  const auto last = url.rfind('/');
  if (last == std::string_view::npos) return std::nullopt;
  const auto name = url.substr(last + 1);
  auto account = url.substr(0, last);
  if (const auto before = account.rfind('/'); before != std::string_view::npos) account.remove_prefix(before + 1);
  if (!is_account(account) || name.empty()) return std::nullopt;
  return UrlParts{.account = std::string(account), .name = std::string(name)};
}

bool is_batch_id(std::string_view id) {
  return !id.empty() && id.size() <= kBatchIdLength && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

}  // namespace

Core::Core(store::KeyValue& store, store::Queue& port_in, Clock& clock_in, SqsSettings settings_in)
    : port(port_in),
      clock(clock_in),
      settings(std::move(settings_in)),
      tables(store, port_in),
      moves(store, port_in, clock_in, tables),
      attempts(clock_in) {}

bool Core::begin_purge(const QueueRecord& queue) {
  const auto now = clock.steady_now();
  const std::lock_guard lock(mutex_);
  std::erase_if(purges_, [&](const auto& purge) { return now - purge.second >= kPurgeInterval; });
  return purges_.emplace(queue.generation, now).second;
}

Place place_of(const aws::CallContext& context) {
  return {.account = context.principal.account, .region = context.region};
}

aws::ApiResult<QueuePtr> find_queue(const Core& core, const aws::CallContext& context,
                                    const std::optional<std::string>& url) {
  // Calls of the Query protocol may name the queue by sending the request to its URL.
  const auto& address = url ? *url : context.path;
  if (address.empty() || address == "/") return refuse_missing("QueueUrl");
  const auto parts = parse_url(address);
  if (!parts) {
    return refuse(wire::errors::InvalidAddress, fmt::format("The address {} is not valid for this endpoint.", address));
  }
  auto place = place_of(context);
  if (!parts->account.empty()) place.account = parts->account;
  auto queue = core.tables.find(place, parts->name);
  if (!queue) return refuse_queue();
  return queue;
}

std::string queue_url(const aws::CallContext& context, const QueueRecord& queue) {
  return fmt::format("{}://{}/{}/{}", context.tls ? "https" : "http", context.host, queue.place.account, queue.name);
}

std::string encode_marker(std::string_view key) { return base64_encode(key); }

std::optional<std::string> decode_marker(std::string_view marker) { return base64_decode(marker); }

aws::ApiResult<std::size_t> check_max_results(std::optional<std::int32_t> max_results) {
  if (!max_results) return kListedQueues;
  if (*max_results < 1 || *max_results > static_cast<std::int32_t>(kListedQueues)) {
    return refuse_parameter(std::to_string(*max_results), "MaxResults",
                            fmt::format("MaxResults must be an integer between 1 and {}.", kListedQueues));
  }
  return static_cast<std::size_t>(*max_results);
}

aws::ApiResult<void> check_batch(const std::vector<std::string_view>& ids, std::string_view entry) {
  if (ids.empty()) {
    return refuse(wire::errors::EmptyBatchRequest,
                  fmt::format("There should be at least one {} in the request.", entry));
  }
  if (ids.size() > kBatchEntries) {
    return refuse(
        wire::errors::TooManyEntriesInBatchRequest,
        fmt::format("Maximum number of entries per request are {}. You have sent {}.", kBatchEntries, ids.size()));
  }
  std::set<std::string_view> seen;
  for (const auto id : ids) {
    if (!is_batch_id(id)) {
      return refuse(wire::errors::InvalidBatchEntryId,
                    "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at "
                    "most 80 letters long.");
    }
    if (!seen.insert(id).second) {
      return refuse(wire::errors::BatchEntryIdsNotDistinct, fmt::format("Id {} repeated.", id));
    }
  }
  return {};
}

wire::BatchResultErrorEntry batch_error(std::string id, const aws::ApiError& error) {
  wire::BatchResultErrorEntry out;
  out.Id = std::move(id);
  out.SenderFault = error.model->sender_fault;
  out.Code = batch_code(*error.model);
  out.Message = error.message;
  return out;
}

}  // namespace mayfly::sqs
