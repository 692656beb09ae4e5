// What the Queue port costs over its raw engine, and what a backlog costs as it grows. Prints one JSON object.
//
// The floor is SQLite alone: the same schema, settings and number of messages in a transaction, one thread, no index,
// no callers. Beside it, in the same run, as many coroutines as a transaction has messages publish, lease and
// acknowledge through the port, each one message at a time.
//
//   mayfly_queue_bench <folder> <messages> <repetitions> <backlog>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "store/embedded/queue_database.h"
#include "store/embedded/queue_engine.h"

using namespace mayfly;
using namespace mayfly::store;

namespace {

RealClock real_clock;

[[noreturn]] void give_up(const std::string& what) {
  fmt::print(stderr, "{}\n", what);
  std::_Exit(1);
}
template <typename T>
T must(Result<T> result) {
  if (!result) give_up(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

double seconds_of(const std::function<void()>& work) {
  const auto start = real_clock.steady_now();
  work();
  return std::chrono::duration<double>(real_clock.steady_now() - start).count();
}

struct Rates {
  std::vector<double> publish, lease, acknowledge;  // messages a second, one each repetition
};

std::string numbers(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return fmt::format("{{\"median\": {:.0f}, \"least\": {:.0f}, \"most\": {:.0f}}}", values[values.size() / 2],
                     values.front(), values.back());
}

std::vector<NewMessage> messages_of(std::size_t count, std::size_t bytes) {
  std::vector<NewMessage> messages(count);
  for (auto& message : messages) {
    message.id = uuid4();
    message.body = std::string(bytes, 'x');
  }
  return messages;
}

// ---- the floor

class Floor {
 public:
  explicit Floor(const std::filesystem::path& file)
      : sqlite_(must(SqliteFile::open(file, {.checkpoint_pages = 4'000, .cache_kib = 32'768}))) {
    add_ = must(sqlite_.prepare("INSERT INTO messages VALUES (?1, 1, ?2, ?2, ?3, x'', x'', ?4)"));
    lease_ =
        must(sqlite_.prepare("INSERT INTO leases VALUES (?1, 1, ?2, ?2, 1, x'') ON CONFLICT (sequence) DO UPDATE SET "
                             "count = excluded.count"));
    read_ = must(sqlite_.prepare("SELECT id, grp, dedupe, body FROM messages WHERE sequence = ?1"));
    delete_lease_ = must(sqlite_.prepare("DELETE FROM leases WHERE sequence = ?1"));
    delete_ = must(sqlite_.prepare("DELETE FROM messages WHERE sequence = ?1"));
  }

  double publish(const std::vector<NewMessage>& messages, std::size_t batch) {
    return each(messages.size(), batch, [&](std::size_t i) {
      bind_number(add_.get(), 1, static_cast<std::int64_t>(i + 1));
      bind_number(add_.get(), 2, real_clock.now().time_since_epoch().count());
      bind_bytes(add_.get(), 3, messages[i].id);
      bind_bytes(add_.get(), 4, messages[i].body);
      must(sqlite_.step(add_.get()));
    });
  }
  double lease(std::size_t count, std::size_t batch) {
    return each(count, batch, [&](std::size_t i) {
      bind_number(lease_.get(), 1, static_cast<std::int64_t>(i + 1));
      bind_number(lease_.get(), 2, real_clock.now().time_since_epoch().count());
      must(sqlite_.step(lease_.get()));
      bind_number(read_.get(), 1, static_cast<std::int64_t>(i + 1));
      must(sqlite_.row(read_.get()));
      bytes_read_ += column_bytes(read_.get(), 3).size();
      reset(read_.get());
    });
  }
  double acknowledge(std::size_t count, std::size_t batch) {
    return each(count, batch, [&](std::size_t i) {
      for (sqlite3_stmt* statement : {delete_lease_.get(), delete_.get()}) {
        bind_number(statement, 1, static_cast<std::int64_t>(i + 1));
        must(sqlite_.step(statement));
      }
    });
  }

 private:
  double each(std::size_t count, std::size_t batch, const std::function<void(std::size_t)>& work) {
    const double seconds = seconds_of([&] {
      for (std::size_t i = 0; i < count;) {
        must(sqlite_.begin());
        for (const std::size_t end = std::min(i + batch, count); i < end; ++i) work(i);
        must(sqlite_.commit());
      }
    });
    return static_cast<double>(count) / seconds;
  }

  SqliteFile sqlite_;
  SqliteFile::Statement add_, lease_, read_, delete_lease_, delete_;
  std::size_t bytes_read_ = 0;
};

// ---- the port

class Port {
 public:
  explicit Port(std::filesystem::path file) : file_(std::move(file)) { open(); }
  double open() {
    engine_.reset();
    database_.reset();
    const double seconds = seconds_of([this] {
      database_ = must(QueueDatabase::open(file_));
      auto core = std::make_unique<QueueCore>(KeyedHash::Key{1, 2});
      must(database_->load(*core));
      engine_ = std::make_unique<QueueEngine>(*database_, std::move(core), real_clock);
    });
    return seconds + seconds_of([this] {
             callers(1, [this](std::size_t) -> Awaitable<void> {
               const QueueSettings settings;
               must(co_await engine_->configure(name_, settings));
             });
           });
  }

  // Publishes every message once, `at_once` in a call. Seconds.
  double publish(const std::vector<NewMessage>& messages, std::size_t count, std::size_t at_once) {
    std::size_t next = 0;
    return callers(count, [&, at_once](std::size_t) -> Awaitable<void> {
      while (next < messages.size()) {
        const std::size_t end = std::min(next + at_once, messages.size());
        std::vector<NewMessage> mine(messages.begin() + static_cast<std::ptrdiff_t>(next),
                                     messages.begin() + static_cast<std::ptrdiff_t>(end));
        next = end;
        must(co_await engine_->publish(name_, std::move(mine)));
      }
    });
  }
  double lease(std::size_t total, std::size_t count, std::size_t at_once) {
    std::size_t left = total;
    tokens_.clear();
    return callers(count, [&, at_once](std::size_t) -> Awaitable<void> {
      while (left > 0) {
        LeaseRequest request;
        request.max_messages = static_cast<std::uint32_t>(std::min(at_once, left));
        request.duration = std::chrono::hours(1);
        left -= request.max_messages;
        const auto leased = must(co_await engine_->lease(name_, request));
        for (const Leased& each : leased) tokens_.push_back(each.token);
        if (leased.size() < request.max_messages) give_up("a lease gave too little");
      }
    });
  }
  double acknowledge(std::size_t count, std::size_t at_once) {
    std::size_t next = 0;
    return callers(count, [&, at_once](std::size_t) -> Awaitable<void> {
      while (next < tokens_.size()) {
        const std::size_t end = std::min(next + at_once, tokens_.size());
        std::vector<LeaseToken> mine(tokens_.begin() + static_cast<std::ptrdiff_t>(next),
                                     tokens_.begin() + static_cast<std::ptrdiff_t>(end));
        next = end;
        if (at_once == 1) {
          must(co_await engine_->acknowledge(name_, mine[0]));
          continue;
        }
        const auto answers = co_await engine_->acknowledge_all(name_, std::move(mine));
        for (const auto& answer : answers) must(answer);
      }
    });
  }
  double counts(std::size_t times) {
    return callers(1,
                   [&, times](std::size_t) -> Awaitable<void> {
                     for (std::size_t i = 0; i < times; ++i) must(co_await engine_->counts(name_));
                   }) /
           static_cast<double>(times);
  }
  std::size_t memory_bytes() {
    std::size_t bytes = 0;
    callers(1, [&](std::size_t) -> Awaitable<void> { bytes = must(co_await engine_->memory_bytes()); });
    return bytes;
  }

 private:
  double callers(std::size_t count, const std::function<Awaitable<void>(std::size_t)>& work) {
    Scope scope("callers");
    return seconds_of([&] {
      for (std::size_t i = 0; i < count; ++i) {
        scope.spawn(reactor_, "caller", [&, i]() -> Awaitable<void> {
          co_await work(i);
          reactor_.stop();
        });
      }
      while (scope.running() != 0) {
        reactor_.poll();
        if (scope.running() != 0) reactor_.run();
      }
    });
  }

  const std::filesystem::path file_;
  const QueueName name_{"bench"};
  Reactor& reactor_ = *new Reactor(real_clock, "bench");
  std::unique_ptr<QueueDatabase> database_;
  std::unique_ptr<QueueEngine> engine_;
  std::vector<LeaseToken> tokens_;
};

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t pages = 0;
  statm >> pages >> pages;
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void compare(const std::filesystem::path& folder, std::size_t count, std::size_t repetitions, std::size_t bytes,
             std::size_t callers) {
  Rates floor;
  Rates port;
  for (std::size_t i = 0; i < repetitions; ++i) {
    const auto messages = messages_of(count, bytes);
    const auto file = folder / fmt::format("floor-{}-{}-{}.db", bytes, callers, i);
    must(QueueDatabase::open(file)).reset();  // its schema
    {
      Floor raw(file);
      floor.publish.push_back(raw.publish(messages, callers));
      floor.lease.push_back(raw.lease(count, callers));
      floor.acknowledge.push_back(raw.acknowledge(count, callers));
    }
    std::filesystem::remove(file);
    std::filesystem::remove(file.string() + "-wal");
    Port queue(folder / fmt::format("port-{}-{}-{}.db", bytes, callers, i));
    const auto total = static_cast<double>(count);
    port.publish.push_back(total / queue.publish(messages, callers, 1));
    port.lease.push_back(total / queue.lease(count, callers, 1));
    port.acknowledge.push_back(total / queue.acknowledge(callers, 1));
  }
  fmt::print("  {{\"bytes\": {}, \"callers\": {}, \"messages\": {}, \"repetitions\": {},\n", bytes, callers, count,
             repetitions);
  fmt::print("   \"floor\": {{\"publish\": {}, \"lease\": {}, \"acknowledge\": {}}},\n", numbers(floor.publish),
             numbers(floor.lease), numbers(floor.acknowledge));
  fmt::print("   \"port\": {{\"publish\": {}, \"lease\": {}, \"acknowledge\": {}}}}}", numbers(port.publish),
             numbers(port.lease), numbers(port.acknowledge));
}

// Sends in ten steps, opens the file anew, and drains in ten steps.
void backlog(const std::filesystem::path& folder, std::size_t total) {
  Port queue(folder / "backlog.db");
  const std::size_t step = total / 10;
  const std::size_t before = resident_bytes();
  const auto line = [&](std::size_t held, double per_message, bool last) {
    fmt::print(
        "    {{\"backlog\": {}, \"microseconds_per_message\": {:.2f}, \"counts_microseconds\": {:.1f}, "
        "\"memory_mb\": {:.1f}}}{}\n",
        held, per_message, queue.counts(50) * 1e6, static_cast<double>(queue.memory_bytes()) / 1e6, last ? "" : ",");
  };
  fmt::print(" \"backlog\": {{\"send\": [\n");
  for (std::size_t i = 1; i <= 10; ++i) {
    const auto messages = messages_of(step, 100);
    const double seconds = queue.publish(messages, 64, 10);
    line(i * step, seconds * 1e6 / static_cast<double>(step), i == 10);
  }
  const std::size_t resident = resident_bytes() - before;
  const double reopened = queue.open();
  fmt::print("   ],\n   \"resident_mb\": {:.1f}, \"open_seconds\": {:.2f},\n   \"drain\": [\n",
             static_cast<double>(resident) / 1e6, reopened);
  for (std::size_t i = 1; i <= 10; ++i) {
    // Leases of one step stay below what a queue allows.
    double seconds = queue.lease(step, 64, 10);
    seconds += queue.acknowledge(64, 10);
    line(total - i * step, seconds * 1e6 / static_cast<double>(step), i == 10);
  }
  fmt::print("   ]}}\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) give_up("usage: mayfly_queue_bench <folder> <messages> <repetitions> <backlog>");
  const std::filesystem::path folder = std::filesystem::path(argv[1]) / ("mayfly-queue-bench-" + random_hex(6));
  std::filesystem::create_directories(folder);
  const auto count = static_cast<std::size_t>(std::atol(argv[2]));
  const auto repetitions = static_cast<std::size_t>(std::atol(argv[3]));
  fmt::print("{{\"rates\": [\n");
  bool first = true;
  for (const std::size_t bytes : {100, 1'000}) {
    for (const std::size_t callers : {64, 512}) {
      if (!first) fmt::print(",\n");
      first = false;
      compare(folder, count, repetitions, bytes, callers);
    }
  }
  fmt::print("],\n");
  backlog(folder, static_cast<std::size_t>(std::atol(argv[4])));
  fmt::print("}}\n");
  std::filesystem::remove_all(folder);
  return 0;
}
