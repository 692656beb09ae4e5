// Mayfly's own API for its command line: status, runtimes, instances, logs, metrics. Signed with the service name
// "mayfly".
#pragma once

#include <atomic>
#include <string>

#include "base/async.h"
#include "base/json.h"
#include "http/server.h"

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

namespace mayfly::app {

struct OwnApiParts {
  const Clock* clock;
  BlockingPool* pool;
  dispatch::Dispatcher* dispatcher;
  observe::LogStore* logs;
  observe::Metrics* metrics;
  const sandbox::Runtimes* runtimes;
  sqs::Sqs* sqs;
  std::string account;
  std::string region;
  std::string capabilities_json;
};

class OwnApi {
 public:
  explicit OwnApi(OwnApiParts parts) : parts_(std::move(parts)) {}
  // GET /_mayfly/status, runtimes, instances, metrics, logs?function=NAME&limit=N[&follow=1] (JSON lines), and queues
  // (queues_api.h).
  Awaitable<void> handle(http::Request& request, http::ResponseWriter& response);
  Awaitable<void> metrics(http::ResponseWriter& response);
  // Ends the streams of followers, so that a drain does not wait for them.
  void stop() { stopping_ = true; }

 private:
  Awaitable<void> logs(http::Request& request, http::ResponseWriter& response);
  [[nodiscard]] json::value status() const;
  [[nodiscard]] json::value runtimes() const;
  [[nodiscard]] json::value instances() const;

  OwnApiParts parts_;
  std::atomic<bool> stopping_{false};
};

}  // namespace mayfly::app
