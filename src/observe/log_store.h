// The functions' own logs: lines kept by function (log group) and instance (log stream) in bounded, rotated files, and
// followed live. Written from reactors without blocking: a bounded queue to one writer thread; what does not fit is
// counted and said.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace mayfly::observe {

struct LogLine {
  SystemTime time;
  std::string group;    // "/aws/lambda/<name>"
  std::string stream;   // "2026/01/31/[$LATEST]<instance id>"
  std::string message;  // one line, at most 256 KiB, without its line end
};

class LogStore {
 public:
  static Result<std::unique_ptr<LogStore>> open(const std::filesystem::path& directory, std::uint64_t bytes_per_group);
  ~LogStore();
  void append(LogLine line);  // any thread, never blocks
  // The last `limit` lines of a group at or after `since`, oldest first. Blocking: call it on the pool.
  Result<std::vector<LogLine>> read(const std::string& group, SystemTime since, std::size_t limit) const;
  // Each new line of `group` from now on, on the writer's thread; must not block. Ends when the token is destroyed.
  std::shared_ptr<void> follow(const std::string& group, std::function<void(const LogLine&)> callback);
  void remove_group(const std::string& group);
  [[nodiscard]] std::uint64_t dropped() const;
  void flush();  // until everything appended before is in the file; for tests and stop

 private:
  struct Impl;
  explicit LogStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::observe
