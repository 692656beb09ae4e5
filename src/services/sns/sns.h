// The SNS service: topics, subscriptions, and messages that fan out to queues, functions and HTTP endpoints.
//
// Operation.   Records live in memory (Table) and in the store. A message of a standard topic is handed to delivery for
//              all subscribers that it passes in one durable write, and delivery retries it by each one's policy. A
//              message of a FIFO topic is given to each queue before the publish is answered, so that queues get a
//              group's messages in the order of publishing; what cannot be given goes to the dead-letter queue, or to
//              delivery.
// Concurrency. Any reactor; nothing is locked across a wait. HTTP endpoints are called on threads of their own.
// Limits.      AWS's own: 256 KiB messages, ten in a batch, 5 keys and 150 combinations in a filter policy, 50 tags.
// Recovery.    load() reads all records, what FIFO topics remember, and the signing key, which it makes where there is
//              none.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "aws/api.h"
#include "base/async.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "delivery/targets.h"
#include "http/server.h"
#include "store/key_value.h"
#include "store/queue.h"

namespace mayfly::sns {

struct SnsSettings {
  std::string account = "000000000000";
  std::string region = "us-east-1";
  std::string endpoint_url = "http://localhost:4566";  // until set_endpoint()
  std::string ca_file;                                 // of https endpoints; "" : the system's store
};

class Sns {
 public:
  // All or none, durable on return: Delivery::submit_all.
  using Submit = std::function<Awaitable<Result<void>>(std::vector<delivery::Request>)>;
  // One attempt, now: Targets::deliver.
  using Deliver = std::function<Awaitable<delivery::Attempt>(std::string arn, delivery::Event event)>;

  Sns(store::KeyValue& store, store::Queue& queue, Submit submit, Deliver deliver, BlockingPool& pool, Clock& clock,
      SnsSettings settings);
  ~Sns();
  Sns(const Sns&) = delete;
  Sns& operator=(const Sns&) = delete;

  // On a reactor, before the first request.
  Awaitable<Result<void>> load();
  // Where clients reach this server: what links in messages begin with. After load(); from any thread.
  void set_endpoint(std::string url);
  [[nodiscard]] aws::Service& service();
  // A topic's policy document, the one it has by default included, by its ARN.
  [[nodiscard]] std::optional<std::string> resource_policy(std::string_view arn) const;
  // Events for "arn:aws:sns:..." are published; deliveries to HTTP endpoints are carried out.
  void add_to(delivery::Targets& targets);

  // What needs no signature: the links to confirm and to unsubscribe, and the certificate of signatures.
  [[nodiscard]] static bool is_open(const http::RequestHead& head);
  Awaitable<void> serve_open(http::Request& request, http::ResponseWriter& response);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::sns
