// What every topic of the service works with, and the small things that they share. Operations are free coroutines,
// one file for each topic, bound to the service in bind_<topic>().
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/async.h"
#include "delivery/delivery.h"
#include "services/lambda/code_package.h"
#include "services/lambda/janitor.h"
#include "services/lambda/lambda.h"
#include "services/lambda/mappings.h"
#include "services/lambda/packages_in_hand.h"
#include "services/lambda/tables.h"
#include "services/operation.h"
#include "store/blob.h"

namespace mayfly::lambda {

struct Core {
  Core(store::KeyValue& store, store::Blob& blobs_in, BlockingPool& pool_in, Clock& clock_in, Invoker& invoker_in,
       LambdaSettings settings_in);

  store::Blob& blobs;
  BlockingPool& pool;
  Clock& clock;
  Invoker& invoker;
  LambdaSettings settings;
  PackageLimits limits;
  Tables tables;
  std::string link_key;  // of this run; links to code end with it
  Scope streams{"streamed invocations"};
  PackagesInHand packages;
  Janitor janitor;
  Scope polls{"event source mappings"};
  Mappings mappings;
  // Null until deliver_through(): asynchronous invocations are refused then.
  delivery::Delivery* delivery = nullptr;
  const delivery::Targets* targets = nullptr;

  [[nodiscard]] Place place(const aws::CallContext& context) const;
};

using services::bind;

void bind_functions(aws::Service& service, Core& core);
void bind_versions(aws::Service& service, Core& core);
void bind_aliases(aws::Service& service, Core& core);
void bind_urls(aws::Service& service, Core& core);
void bind_concurrency(aws::Service& service, Core& core);
void bind_provisioned(aws::Service& service, Core& core);
void bind_tags(aws::Service& service, Core& core);
void bind_policies(aws::Service& service, Core& core);
void bind_layers(aws::Service& service, Core& core);
void bind_event_sources(aws::Service& service, Core& core);
void bind_invoke(aws::Service& service, Core& core);

// "Function not found: <arn>" as an ApiError.
aws::ApiError function_missing(const Place& place, std::string_view name, std::string_view qualifier);
// Finds a function by the text of a request. Errors as parse_function_name, and function_missing().
struct Found {
  Place place;
  FunctionName name;
  FunctionPtr function;
};
aws::ApiResult<Found> find_function(Core& core, const aws::CallContext& context, const std::optional<std::string>& text,
                                    const std::optional<std::string>& qualifier);
// The version that a qualifier names: "" and "$LATEST" latest, a number, an alias' main version. Null where none.
const VersionRecord* find_version(const FunctionRecord& function, std::string_view qualifier);

// A package that has been checked, unpacked to the code folder, and stored. Each step is durable.
struct StoredCode {
  std::string sha_hex;
  std::string sha_base64;
  std::int64_t bytes = 0;
  PackagesInHand::Hold hold;  // until a record names it
};
Awaitable<aws::ApiResult<StoredCode>> store_code(Core& core, std::string zip);
// Unpacks what a stored package is missing on this machine.
Awaitable<Result<void>> restore_code(Core& core, std::string sha_hex);
// A link to a stored package, valid for ten minutes on this server.
std::string code_link(const Core& core, const aws::CallContext& context, const std::string& sha_hex);
bool check_code_link(const Core& core, std::string_view sha_hex, std::string_view query);

// A configuration as responses show it: with the qualifier in the ARN.
wire::FunctionConfiguration shown(const FunctionRecord& function, const VersionRecord& version,
                                  std::string_view qualifier);
// The same with what dispatch has of its snapshot at this moment, where it has SnapStart: State and its reason.
wire::FunctionConfiguration shown_now(const Core& core, const FunctionRecord& function, const VersionRecord& version,
                                      std::string_view qualifier);
// As lists show it: without states and runtime versions.
wire::FunctionConfiguration listed(const FunctionRecord& function, const VersionRecord& version,
                                   std::string_view qualifier);

// One page of `all`, which ascends by the text that `key_of` gives: a marker is the key of the last item, encoded.
template <typename T, typename KeyOf>
std::pair<std::vector<T>, std::optional<std::string>> page_of(std::vector<T> all, KeyOf key_of,
                                                              const std::optional<std::string>& marker,
                                                              std::optional<std::int32_t> max_items);
std::string encode_marker(std::string_view key);
std::string decode_marker(std::string_view marker);

template <typename T, typename KeyOf>
std::pair<std::vector<T>, std::optional<std::string>> page_of(std::vector<T> all, KeyOf key_of,
                                                              const std::optional<std::string>& marker,
                                                              std::optional<std::int32_t> max_items) {
  constexpr std::size_t kMost = 50;
  const auto limit =
      max_items && *max_items > 0 ? std::min<std::size_t>(static_cast<std::size_t>(*max_items), kMost) : kMost;
  std::size_t start = 0;
  if (marker && !marker->empty()) {
    // Past the marker's key, whether the item it came from is still there or not.
    const auto after = decode_marker(*marker);
    while (start < all.size() && key_of(all[start]) <= after) ++start;
  }
  std::vector<T> page;
  for (auto i = start; i < all.size() && page.size() < limit; ++i) page.push_back(std::move(all[i]));
  std::optional<std::string> next;
  if (start + page.size() < all.size()) next = encode_marker(key_of(page.back()));
  return {std::move(page), std::move(next)};
}

}  // namespace mayfly::lambda
