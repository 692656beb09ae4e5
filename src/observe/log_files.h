// The files of one log group: <folder>/<n>.log, appended to, rotated and bounded; and reading them back.
//
// Operation.   Lines gather in a buffer that write() puts into the file. When the file has reached a quarter of the
//              group's bytes the next one begins, and the oldest go until all fit the bound.
// Concurrency. LogFiles belongs to the writer's thread; read_log_files() may run beside it, in any thread.
// Recovery.    Lines are not synced: a power failure may take the last ones. A half line at the end of a file is
//              closed with a line end when the file is taken up again, and skipped by readers.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "observe/log_store.h"

namespace mayfly::observe {

class LogFiles {
 public:
  LogFiles(std::filesystem::path folder, std::uint64_t limit);

  // Gathers one line with its line end; kTooLarge where it alone is beyond the group's bytes.
  Result<void> add(std::string_view line);
  // Writes what was gathered. On an error it is lost.
  Result<void> write();
  // Lines that were gathered or written but lost to an error since the last call.
  std::uint64_t take_lost();
  [[nodiscard]] bool has_unwritten() const { return !buffer_.empty(); }

 private:
  struct File {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
  };
  Result<void> open();
  Result<void> open_file(std::uint64_t number);
  Result<void> rotate();
  Result<void> write_buffer();

  std::filesystem::path folder_;
  std::uint64_t limit_;
  std::deque<File> files_;  // oldest first; the last is being written
  UniqueFd fd_;
  std::string buffer_;
  std::uint64_t buffered_lines_ = 0;
  std::uint64_t lost_ = 0;
};

// The last `limit` lines at or after `since`, oldest first.
Result<std::vector<LogLine>> read_log_files(const std::filesystem::path& folder, const std::string& group,
                                            SystemTime since, std::size_t limit);

}  // namespace mayfly::observe
