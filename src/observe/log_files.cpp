#include "observe/log_files.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <utility>

#include "observe/log_text.h"

namespace mayfly::observe {

namespace {

constexpr std::uint64_t kFilesPerGroup = 4;
constexpr std::size_t kMaxBuffer = 256UL * 1024;

std::filesystem::path file_path(const std::filesystem::path& folder, std::uint64_t number) {
  return folder / fmt::format("{}.log", number);
}

std::optional<std::uint64_t> number_of(const std::string& name) {
  if (!name.ends_with(".log")) return std::nullopt;
  const char* end = name.data() + name.size() - 4;
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(name.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// Ascending. A folder that does not exist has none.
std::vector<std::uint64_t> numbers_in(const std::filesystem::path& folder) {
  std::vector<std::uint64_t> numbers;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (const auto number = number_of(it->path().filename().string())) numbers.push_back(*number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

// nullopt where the file went away (rotated or removed since it was listed).
Result<std::optional<std::string>> read_file(const std::filesystem::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return std::optional<std::string>();
  if (!fd) return fail_errno(fmt::format("open {}", path.string()));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(fmt::format("stat {}", path.string()));
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(fmt::format("read {}", path.string()));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  text.resize(done);
  return std::optional<std::string>(std::move(text));
}

}  // namespace

LogFiles::LogFiles(std::filesystem::path folder, std::uint64_t limit) : folder_(std::move(folder)), limit_(limit) {}

Result<void> LogFiles::add(std::string_view line) {
  if (line.size() > limit_) {
    ++lost_;
    return fail(ErrorCode::kTooLarge, "a log line is larger than its group may be");
  }
  if (!fd_) {
    if (auto opened = open(); !opened) {
      ++lost_;
      return opened;
    }
  }
  const std::uint64_t present = files_.back().bytes + buffer_.size();
  if (present != 0 && present + line.size() > limit_ / kFilesPerGroup) {
    if (auto rotated = rotate(); !rotated) {
      ++lost_;
      return rotated;
    }
  }
  // The line counts before it is written, so that the bound holds at every moment.
  std::uint64_t total = buffer_.size() + line.size();
  for (const File& file : files_) total += file.bytes;
  while (files_.size() > 1 && total > limit_) {
    total -= files_.front().bytes;
    ::unlink(file_path(folder_, files_.front().number).c_str());
    files_.pop_front();
  }
  buffer_ += line;
  ++buffered_lines_;
  return buffer_.size() >= kMaxBuffer ? write_buffer() : Result<void>();
}

Result<void> LogFiles::write() { return write_buffer(); }

std::uint64_t LogFiles::take_lost() { return std::exchange(lost_, 0); }

Result<void> LogFiles::open() {
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno("create a log group's folder");
  files_.clear();
  for (const std::uint64_t number : numbers_in(folder_)) {
    struct stat status{};
    if (::stat(file_path(folder_, number).c_str(), &status) != 0) continue;
    files_.push_back({.number = number, .bytes = static_cast<std::uint64_t>(status.st_size)});
  }
  return open_file(files_.empty() ? 1 : files_.back().number);
}

Result<void> LogFiles::open_file(std::uint64_t number) {
  const auto path = file_path(folder_, number);
  fd_.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!fd_) return fail_errno(fmt::format("open {}", path.string()));
  if (files_.empty() || files_.back().number != number) files_.push_back({.number = number, .bytes = 0});
  File& file = files_.back();
  char last = '\n';
  if (file.bytes > 0 && ::pread(fd_.get(), &last, 1, static_cast<off_t>(file.bytes - 1)) == 1 && last != '\n') {
    buffer_.insert(0, "\n");
  }
  return {};
}

Result<void> LogFiles::rotate() {
  if (auto written = write_buffer(); !written) return written;
  return open_file(files_.back().number + 1);
}

Result<void> LogFiles::write_buffer() {
  std::string_view rest = buffer_;
  Result<void> result;
  while (!rest.empty() && result) {
    const ssize_t written = ::write(fd_.get(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      result = fail_errno("write to a log file");
      break;
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
    files_.back().bytes += static_cast<std::uint64_t>(written);
  }
  if (!result) {
    // How many of the lines the kernel took is not worth knowing; the file is taken up again at the next line.
    lost_ += buffered_lines_;
    fd_.reset();
  }
  buffer_.clear();
  buffered_lines_ = 0;
  return result;
}

Result<std::vector<LogLine>> read_log_files(const std::filesystem::path& folder, const std::string& group,
                                            SystemTime since, std::size_t limit) {
  std::vector<LogLine> newest_first;
  auto numbers = numbers_in(folder);
  std::ranges::reverse(numbers);
  for (const std::uint64_t number : numbers) {
    auto text = read_file(file_path(folder, number));
    if (!text) return std::unexpected(text.error());
    if (!*text) continue;
    std::string_view rest = **text;
    // What follows the last line end is being written at this moment.
    rest = rest.substr(0, rest.rfind('\n') == std::string_view::npos ? 0 : rest.rfind('\n'));
    bool any = false;
    while (!rest.empty() && newest_first.size() < limit) {
      const auto line_end = rest.rfind('\n');
      const auto begin = line_end == std::string_view::npos ? 0 : line_end + 1;
      auto line = decode_line(rest.substr(begin), group);
      rest = rest.substr(0, begin == 0 ? 0 : line_end);
      if (!line || line->time < since) continue;
      any = true;
      newest_first.push_back(std::move(*line));
    }
    // Lines of different instances come slightly out of order, whole files do not.
    if (!any || newest_first.size() >= limit) break;
  }
  std::ranges::reverse(newest_first);
  return newest_first;
}

}  // namespace mayfly::observe
