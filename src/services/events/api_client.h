// Calls API destinations: outbound HTTP with the credentials of their connections.
//
// Operation.   A call waits for nobody: where the destination's rate is used up it is throttled and comes again. It
// runs
//              on threads of its own, so that slow endpoints hold up nothing else. Answers of 2xx are done; 409, 429
//              and 5xx come again; others are refused, as the service does.
// Concurrency. Any reactor.
// Limits.      5 seconds for connecting and for each wait, 1 MiB of answer, kThreads calls at a time.
// Secrets.     Credentials and tokens go into requests and nowhere else: not into errors, not into the log.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/async.h"
#include "base/clock.h"
#include "base/token_bucket.h"
#include "delivery/targets.h"
#include "http/client.h"
#include "services/events/records.h"
#include "services/record_table.h"

namespace mayfly::events {

using ConnectionTable = services::RecordTable<ConnectionRecord>;
using DestinationTable = services::RecordTable<DestinationRecord>;
using ConnectionPtr = ConnectionTable::Ptr;
using DestinationPtr = DestinationTable::Ptr;

class ApiClient {
 public:
  ApiClient(Clock& clock, ConnectionTable& connections, const DestinationTable& destinations);

  // One call of "api-destination/<name>/<id>" with the event's payload as its body.
  Awaitable<delivery::Attempt> call(delivery::Arn target, delivery::Event event);

 private:
  static constexpr std::size_t kMostBuckets = 16'384;
  struct Token {
    std::string value;
    SteadyTime until;
    double modified = 0;  // of the connection it belongs to
  };

  bool take(const DestinationRecord& destination);
  // The value of the Authorization header of an OAuth connection.
  Awaitable<Result<std::string>> token_for(ConnectionPtr connection);
  Awaitable<Result<http::Response>> fetch(http::ClientRequest request);

  Clock& clock_;
  ConnectionTable& connections_;
  const DestinationTable& destinations_;
  BlockingPool pool_;
  TokenBuckets buckets_{kMostBuckets};  // by the destination's key
  std::mutex mutex_;
  std::map<std::string, Token> tokens_;  // by the connection's key
};

}  // namespace mayfly::events
