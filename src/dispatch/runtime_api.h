// Lambda's Runtime API (2018-06-01) as HTTP: paths, headers, statuses, bounds. What a call means for an instance is the
// RuntimePeer's business.
//
// Concurrency. One reactor: the peer's. A handler keeps its peer alive.
// Limits.      A buffered response is bounded by the invocation's limit, a streamed one by 200 MiB, an error object by
//              256 KiB.
#pragma once

#include <memory>
#include <string>

#include "base/async.h"
#include "dispatch/ticket.h"
#include "http/server.h"

namespace mayfly::dispatch {

inline constexpr std::size_t kStreamLimit = 200UL * 1024 * 1024;
inline constexpr std::size_t kErrorLimit = 256UL * 1024;

// What the runtime said about an invocation.
struct RuntimeAnswer {
  OutcomeStatus status = OutcomeStatus::kSuccess;
  std::string payload;
  std::string content_type;
  std::string function_error;
  std::string stream_error_type;
};

// One call of next; cut where a later call takes its place.
struct NextCall {
  http::ResponseWriter& writer;
  bool gone = false;
};

struct Delivery {
  TicketPtr ticket;
  SystemTime deadline;
};

class RuntimePeer {
 public:
  virtual ~RuntimePeer() = default;
  // False when an event is out that has not been answered.
  virtual bool may_ask_next() const = 0;
  // The next event, marked as delivered; nullopt: the sandbox has ended, or the call has. `call` outlives the wait.
  virtual Awaitable<std::optional<Delivery>> next(NextCall& call) = 0;
  // The invocation that is out, or null.
  virtual TicketPtr current() const = 0;
  virtual bool was_last(const std::string& request_id) const = 0;
  // The invocation's end. Ignored where it has ended meanwhile (its time ran out).
  virtual void answer(const TicketPtr& ticket, RuntimeAnswer answer) = 0;
  // False after the first next.
  virtual bool initializing() const = 0;
  // Whether it is an instance of a snapshot that has not been restored yet.
  virtual bool may_ask_restore() const = 0;
  // Waits until it is restored; false: the sandbox has ended, or the call has.
  virtual Awaitable<bool> restore_next(NextCall& call) = 0;
  // Between the answer to restore_next() and the first next.
  virtual bool restoring() const = 0;
  virtual void restore_error(std::string error_type, std::string payload) = 0;
  // Compiled code of this version, or null; and what is to be kept of it, false where it is not wanted.
  virtual std::shared_ptr<const std::string> compiled_code() = 0;
  virtual bool keep_compiled_code(std::string code) = 0;
  virtual void init_error(std::string error_type, std::string payload) = 0;
};

http::ServerLimits runtime_api_limits();
// `platform` gets what is signed and no call of the Runtime API; it may be empty.
http::Handler runtime_api_handler(std::shared_ptr<RuntimePeer> peer, http::Handler platform);

}  // namespace mayfly::dispatch
