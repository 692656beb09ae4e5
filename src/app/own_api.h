// Mayfly's own API for its command line: status, runtimes, instances, logs, metrics. Signed with the service name
// "mayfly".
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "app/own_audit.h"
#include "app/own_keys.h"
#include "base/async.h"
#include "base/json.h"
#include "http/query.h"
#include "http/server.h"

namespace mayfly::delivery {
class Delivery;
}
namespace mayfly::scheduler {
class Scheduler;
}
namespace mayfly::dispatch {
class Dispatcher;
}
namespace mayfly::observe {
class LogStore;
class Metrics;
}  // namespace mayfly::observe
namespace mayfly::sandbox {
class Runtimes;
}
namespace mayfly::sqs {
class Sqs;
}
namespace mayfly::events {
class Events;
}

namespace mayfly::app {

class TestClock;

// A query parameter, decoded; "" where it is not there.
inline std::string query_value(std::string_view query, std::string_view name) {
  return http::query_value(query, name).value_or("");
}

struct OwnApiParts {
  const Clock* clock;
  BlockingPool* pool;
  dispatch::Dispatcher* dispatcher;
  observe::LogStore* logs;
  observe::Metrics* metrics;
  events::Events* events;
  const sandbox::Runtimes* runtimes;
  delivery::Delivery* delivery;
  scheduler::Scheduler* scheduler;
  TestClock* test_clock;  // null: real time
  sqs::Sqs* sqs;
  OwnKeys keys;
  audit::Trail* trail;
  std::string account;
  std::string region;
  std::string capabilities_json;
};

class OwnApi {
 public:
  explicit OwnApi(OwnApiParts parts) : parts_(std::move(parts)) {}
  // GET /_mayfly/status, runtimes, instances, metrics, logs?function=NAME&limit=N[&follow=1] (JSON lines), and what
  // queues_api.h and events_api.h serve.
  Awaitable<void> handle(http::Request& request, http::ResponseWriter& response);
  Awaitable<void> metrics(http::ResponseWriter& response);
  // GET /_mayfly/deliveries[?target=ARN&via=NAME&after=N&limit=N].
  Awaitable<void> deliveries(http::Request& request, http::ResponseWriter& response);
  // Before metrics(): what waits is counted when somebody looks.
  Awaitable<void> refresh_delivery_gauges();
  // Ends the streams of followers, so that a drain does not wait for them.
  void stop() { stopping_ = true; }

 private:
  Awaitable<void> waiting(http::Request& request, http::ResponseWriter& response, std::string target);
  Awaitable<void> logs(http::Request& request, http::ResponseWriter& response);
  [[nodiscard]] json::value status() const;
  [[nodiscard]] json::value runtimes() const;
  [[nodiscard]] json::value instances() const;

  OwnApiParts parts_;
  std::atomic<bool> stopping_{false};
};

}  // namespace mayfly::app
