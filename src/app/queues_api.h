// The queues in Mayfly's own API: what lies in them, and single dead letters on their way back. Looking changes
// nothing.
//   GET  /_mayfly/queues
//   GET  /_mayfly/queues/messages?queue=NAME-or-ARN&after=SEQUENCE&limit=N
//   POST /_mayfly/queues/redrive   {"Queue": "..", "Destination": ".." or "", "Messages": [{"Sequence", "MessageId"}]}
#pragma once

#include <string>

#include "base/async.h"
#include "http/server.h"

namespace mayfly::sqs {
class Sqs;
}

namespace mayfly::app {

struct QueuesApiParts {
  sqs::Sqs* sqs = nullptr;
  const Clock* clock = nullptr;
  std::string account;
  std::string region;
};

// False where the path is none of these; nothing has been sent then.
Awaitable<bool> handle_queues(QueuesApiParts parts, http::Request& request, http::ResponseWriter& response);

}  // namespace mayfly::app
