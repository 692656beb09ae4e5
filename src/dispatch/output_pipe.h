// The read end of an instance's standard output and error, cut into lines.
//
// Operation.   Reads when the kernel says there is something, a bounded piece at a time so that a chatty function does
//              not hold its reactor; drain() reads what is there now, so that lines written before a response come
//              before END.
// Concurrency. One reactor.
// Limits.      A line of more than 256 KiB is cut (CloudWatch Logs' bound of an event); drain() reads at most 1 MiB.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/async.h"
#include "base/fd.h"

namespace mayfly::dispatch {

class OutputPipe {
 public:
  OutputPipe(Reactor& reactor, UniqueFd fd, std::function<void(std::string line)> on_line);
  ~OutputPipe();
  OutputPipe(const OutputPipe&) = delete;
  OutputPipe& operator=(const OutputPipe&) = delete;
  void drain();
  void flush_partial();  // an unfinished line becomes a line
  void close();          // no more callbacks; idempotent

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace mayfly::dispatch
