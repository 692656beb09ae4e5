// Operation.   append() puts the line into a queue; the writer's thread lets lines gather for a moment, takes all that
//              waits, adds each line to its group's file, writes the files, and then calls the followers. So the line
//              of an invocation wakes no thread while others come, and one write holds many.
// Concurrency. Any thread appends, reads, follows and removes. Files are touched by the writer's thread only.
// Limits.      65,536 lines and 64 MiB waiting, 128 files open; a line beyond 256 KiB is cut. What does not fit is
//              counted in dropped() and said in the server's log, at most once for each pass of the writer.
#include "observe/log_store.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/subscribers.h"
#include "observe/log_files.h"
#include "observe/log_text.h"

namespace mayfly::observe {

namespace {

constexpr std::size_t kMaxWaiting = 65'536;
constexpr std::size_t kMaxWaitingBytes = 64UL * 1024 * 1024;
constexpr std::size_t kMaxOpenGroups = 128;
// Long beside an invocation, short for somebody who follows a log.
constexpr std::chrono::milliseconds kGather{20};
constexpr std::uint64_t kMinBytesPerGroup = 4'096;

struct Item {
  LogLine line;
  bool remove_group = false;
};

std::size_t bytes_of(const LogLine& line) { return line.message.size() + line.stream.size() + line.group.size(); }

}  // namespace

struct LogStore::Impl {
  Impl(std::filesystem::path path, std::uint64_t limit)
      : directory(std::move(path)), bytes_per_group(limit), thread([this] { run(); }) {}

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_one();
    thread.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[nodiscard]] std::filesystem::path folder_of(const std::string& group) const {
    return directory / folder_name(group);
  }

  void append(LogLine line) {
    bool asleep = false;
    {
      std::lock_guard lock(mutex);
      const std::size_t bytes = bytes_of(line);
      if (queue.size() >= kMaxWaiting || queued_bytes + bytes > kMaxWaitingBytes) {
        ++dropped;
        return;
      }
      queued_bytes += bytes;
      queue.push_back({.line = std::move(line), .remove_group = false});
      ++appended;
      asleep = std::exchange(idle, false);
      if (queue.size() == kMaxWaiting / 2 || queued_bytes > kMaxWaitingBytes / 2) asleep = hurry = true;
    }
    if (asleep) wake.notify_one();
  }

  // Goes the way of the lines, so that it comes after those appended before; it is not dropped, for it makes room.
  void remove_group(const std::string& group) {
    {
      std::lock_guard lock(mutex);
      Item& item = queue.emplace_back();
      item.line.group = group;
      item.remove_group = true;
      ++appended;
      hurry = true;
    }
    wake.notify_one();
  }

  void flush() {
    std::unique_lock lock(mutex);
    const std::uint64_t until = appended;
    hurry = true;
    wake.notify_one();
    written.wait(lock, [&] { return processed >= until; });
  }

  void run() {
    for (;;) {
      std::deque<Item> batch;
      {
        std::unique_lock lock(mutex);
        idle = queue.empty();
        wake.wait(lock, [this] { return stopping || !queue.empty(); });
        idle = false;
        if (queue.empty()) return;
        wake.wait_for(lock, kGather, [this] { return stopping || hurry; });
        batch.swap(queue);
        queued_bytes = 0;
        hurry = false;
      }
      write(batch);
      {
        std::lock_guard lock(mutex);
        processed += batch.size();
      }
      written.notify_all();
    }
  }

  void write(std::deque<Item>& batch) {
    std::set<std::string> touched;
    for (Item& item : batch) {
      if (item.remove_group) {
        open_groups.erase(item.line.group);
        touched.erase(item.line.group);
        std::error_code ignored;  // what is left is found again by the next removal; there is nobody to tell
        std::filesystem::remove_all(folder_of(item.line.group), ignored);
        continue;
      }
      make_valid_utf8(item.line.message, kMaxMessageBytes);
      make_valid_utf8(item.line.stream, 1'024);
      LogFiles& files = files_of(item.line.group, touched);
      note(files, files.add(encode_line(item.line)));
      touched.insert(item.line.group);
    }
    for (const auto& group : touched) {
      if (const auto it = open_groups.find(group); it != open_groups.end()) note(it->second, it->second.write());
    }
    tell_of_drops();
    for (const Item& item : batch) {
      if (item.remove_group) continue;
      followers.publish(item.line, [&item](const std::string& group) { return group == item.line.group; });
    }
  }

  LogFiles& files_of(const std::string& group, std::set<std::string>& touched) {
    if (const auto it = open_groups.find(group); it != open_groups.end()) return it->second;
    // All are closed at once: simple, and reopening costs less than a line's way here.
    if (open_groups.size() >= kMaxOpenGroups) {
      for (auto& [name, files] : open_groups) note(files, files.write());
      open_groups.clear();
      touched.clear();
    }
    return open_groups.try_emplace(group, folder_of(group), bytes_per_group).first->second;
  }

  void note(LogFiles& files, const Result<void>& result) {
    dropped += files.take_lost();
    if (!result) last_error = result.error().message;
  }

  void tell_of_drops() {
    const std::uint64_t now = dropped;
    if (now == told) return;
    log(Level::kWarn, "lines of functions' logs were dropped",
        {{"lines", now - told}, {"error", last_error.empty() ? std::string("the queue was full") : last_error}});
    told = now;
    last_error.clear();
  }

  const std::filesystem::path directory;
  const std::uint64_t bytes_per_group;
  Subscribers<std::string, LogLine> followers;
  std::atomic<std::uint64_t> dropped{0};

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable written;
  std::deque<Item> queue;
  std::size_t queued_bytes = 0;
  std::uint64_t appended = 0;
  std::uint64_t processed = 0;
  bool stopping = false;
  bool idle = false;   // the writer waits for the first line
  bool hurry = false;  // somebody waits for what is queued, or the queue fills

  // The writer's thread only.
  std::map<std::string, LogFiles> open_groups;
  std::uint64_t told = 0;
  std::string last_error;

  std::thread thread;  // last: it uses all of the above
};

Result<std::unique_ptr<LogStore>> LogStore::open(const std::filesystem::path& directory,
                                                 std::uint64_t bytes_per_group) {
  if (bytes_per_group < kMinBytesPerGroup) return fail(ErrorCode::kInvalid, "a log group needs at least 4,096 bytes");
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return std::unexpected(errno_error(error.value(), "create the folder for logs"));
  // Functions' output may hold what only their owner should see.
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  if (error) return std::unexpected(errno_error(error.value(), "restrict the folder for logs"));
  return std::unique_ptr<LogStore>(new LogStore(std::make_unique<Impl>(directory, bytes_per_group)));
}

LogStore::LogStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogStore::~LogStore() = default;

void LogStore::append(LogLine line) { impl_->append(std::move(line)); }

Result<std::vector<LogLine>> LogStore::read(const std::string& group, SystemTime since, std::size_t limit) const {
  impl_->flush();  // who has seen an answer finds its lines
  return read_log_files(impl_->folder_of(group), group, since, limit);
}

std::shared_ptr<void> LogStore::follow(const std::string& group, std::function<void(const LogLine&)> callback) {
  return impl_->followers.add(group, std::move(callback));
}

void LogStore::remove_group(const std::string& group) { impl_->remove_group(group); }
std::uint64_t LogStore::dropped() const { return impl_->dropped; }
void LogStore::flush() { impl_->flush(); }

}  // namespace mayfly::observe
