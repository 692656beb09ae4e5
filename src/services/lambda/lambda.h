// The Lambda service: control plane, invocations, function URLs, links to code.
//
// Operation.   Records live in memory (Tables) and in the store; every change is one durable compare-and-set before it
//              is acknowledged. Packages go to the blob store and are unpacked once to <code_directory>/<sha256>/,
//              until no function and no layer names them (see janitor.h).
// Concurrency. Any reactor; nothing is locked across a wait.
// Limits.      AWS's own: 50 MB zipped, 250 MB unzipped, 6 MB payloads, 50 tags, 5 layers, 4 KB of environment.
// Recovery.    load() reads all records and unpacks again what is missing in the code folder.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "aws/api.h"
#include "base/async.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "delivery/targets.h"
#include "http/server.h"
#include "services/lambda/event_source.h"
#include "services/lambda/invoker.h"
#include "store/blob.h"
#include "store/key_value.h"

namespace mayfly::lambda {

struct LambdaSettings {
  std::string account = "000000000000";
  std::string region = "us-east-1";
  std::string endpoint_url = "http://localhost:4566";  // what links and URLs are made of where the Host header is odd
  std::string code_directory;                          // absolute; made by load()
  std::string url_domain = "localhost";                // <id>.lambda-url.<region>.<url_domain>
  std::uint32_t account_concurrency = 1000;
  // Whether Lambda may assume a role; a function with another one is refused. Empty: every role is taken.
  std::function<bool(const std::string& role_arn)> role_is_usable;
  // Looks into a package before it is accepted, on the pool; an error refuses it with its message. Empty: no look.
  std::function<Result<void>(std::string_view zip)> inspect_package;
  // Asked when a function is created or its runtime changes; an error refuses it with its message. Empty: no question.
  std::function<Result<void>(const std::string& runtime)> check_runtime;
};

class Lambda {
 public:
  Lambda(store::KeyValue& store, store::Blob& blobs, BlockingPool& pool, Clock& clock, Invoker& invoker,
         LambdaSettings settings);
  ~Lambda();
  Lambda(const Lambda&) = delete;
  Lambda& operator=(const Lambda&) = delete;

  Awaitable<Result<void>> load();
  // Ends the polling of event sources, and waits for streamed invocations that still run; new ones are refused.
  Awaitable<void> stop();
  // Until no batch of an event source is left. After stop() and the dispatcher's stop, before destruction.
  Awaitable<void> join();
  [[nodiscard]] aws::Service& service();
  // Takes events for functions, and hands over those of asynchronous invocations. Before load() and before the
  // delivery's start; both outlive this.
  void deliver_through(delivery::Targets& targets, delivery::Delivery& delivery);
  // Event source mappings can read from `sources` of this service ("sqs"), on these reactors. Before load().
  void read_from(std::string service, std::unique_ptr<EventSources> sources, Reactors& reactors);
  // Starts the mappings that are enabled. After load(), when their sources are there.
  void start_mappings();
  // Packages that nothing names any more are removed from now on. After load().
  void start_janitor(Reactor& reactor);

  // Function URLs. Hosts are "<id>.lambda-url.<region>.<url_domain>[:port]".
  [[nodiscard]] bool is_function_url_host(std::string_view host) const;
  // True where the URL has AuthType AWS_IAM: the front then verifies the signature (service "lambda") and passes the
  // caller, or answers the refusal itself.
  [[nodiscard]] bool function_url_needs_caller(std::string_view host) const;
  // The ARN of the function or alias behind a URL's host; nullopt where there is none.
  [[nodiscard]] std::optional<std::string> function_of_url(std::string_view host) const;
  // `permitted`: what policies say of lambda:InvokeFunctionUrl for this caller, or for everybody where there is none.
  Awaitable<void> serve_function_url(const aws::CallContext& context, std::optional<aws::Principal> caller,
                                     bool permitted, http::Request& request, http::ResponseWriter& response);

  // Runs what an ARN names for another part of the server, which has made sure that it may. kNotFound where nothing has
  // that ARN, and as Dispatcher::invoke.
  Awaitable<Result<dispatch::Outcome>> invoke(std::string arn, std::string payload, std::string request_id,
                                              std::string trace_id);

  // Whether there is the function, version or alias that an ARN names.
  [[nodiscard]] bool has(std::string_view arn) const;
  // The policy document of the function, version or alias that an ARN names; nullopt where it has none.
  [[nodiscard]] std::optional<std::string> resource_policy(std::string_view arn) const;

  // Links of GetFunction and GetLayerVersion: GET /_mayfly/code/<sha>?expires=..&signature=.. ; no other signature.
  [[nodiscard]] static bool is_code_path(std::string_view path);
  Awaitable<void> serve_code(http::Request& request, http::ResponseWriter& response);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::lambda
