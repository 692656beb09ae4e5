// A bounded pipe from an instance's reactor, where a function's streamed response arrives, to the connection's reactor,
// where it is written. Holds the invocation's outcome at its end.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/async.h"
#include "dispatch/invocation.h"

namespace mayfly::lambda {

class StreamPipe {
 public:
  static constexpr std::size_t kHeldBytes = 256UL * 1024;  // the function waits while more than this is unread

  // The sink of an invocation that writes into `pipe`.
  static std::shared_ptr<dispatch::ResponseSink> sink(std::shared_ptr<StreamPipe> pipe);

  void start(std::string content_type);
  void finish(Result<dispatch::Outcome> outcome);
  void close();  // the reader gives up; writers are told

  // The next part, or nullopt when the invocation has ended.
  Awaitable<std::optional<std::string>> next();
  // After next() gave nullopt.
  [[nodiscard]] const Result<dispatch::Outcome>& outcome() const { return *outcome_; }
  [[nodiscard]] std::string content_type() const;

 private:
  static Awaitable<bool> push(std::shared_ptr<StreamPipe> pipe, std::string data);

  mutable std::mutex mutex_;
  std::deque<std::string> parts_;
  std::size_t held_bytes_ = 0;
  std::string content_type_;
  bool closed_ = false;
  std::optional<Result<dispatch::Outcome>> outcome_;
  Signal readable_;
  Signal writable_;
};

}  // namespace mayfly::lambda
