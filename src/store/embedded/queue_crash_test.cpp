// kill -9 at any moment: every message is accounted for. None is lost or invented, none is given again while its lease
// or its delay lives, a group keeps its order, and a dedupe id is still known.
//
// The child publishes, leases, extends, gives back and acknowledges, and tells of each what it means to do and what it
// was answered. From this the parent knows of every message whether it must be there, may be there or must not, and
// whether it may be ready. The time stands still while a child runs; between two of them all leases and delays run out.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "store/embedded/crash_support.h"
#include "store/embedded/embedded.h"
#include "store/embedded/test_support.h"

namespace mayfly::store {
namespace {

using std::chrono::seconds;
using testing::tell;
using testing::TemporaryDirectory;

constexpr int kPublishers = 3;
constexpr int kConsumers = 5;
constexpr seconds kRoundTime{1'000};
constexpr seconds kLease{600};

const QueueName kPlain{"plain"};
const QueueName kOrdered{"ordered"};

QueueSettings settings_of(const QueueName& queue) {
  QueueSettings settings;
  settings.ordered = queue == kOrdered;
  settings.dedupe_window = seconds(2'000);
  settings.retention = seconds(100'000'000);
  return settings;
}

// "<round>.<publisher>.<number>": ten in a row are one group of the ordered queue.
std::string id_of(int round, int publisher, int number) { return fmt::format("{}.{}.{:06}", round, publisher, number); }
std::string group_of(const std::string& id) { return id.substr(0, id.size() - 1); }
std::string body_of(const std::string& id) { return id + std::string(id.back() == '7' ? 9'000 : 50, '.'); }

// ---- the child

struct ChildWorld {
  Queue& queue;
  int round = 0;
  // Of the ordered queue, by group: ids that somebody holds or that are delayed, and nobody is about to change.
  std::map<std::string, std::set<std::string>> held;
};

Awaitable<void> publish_for_ever(ChildWorld& world, int publisher) {
  std::mt19937 random(static_cast<std::uint32_t>(world.round * 100 + publisher));
  for (int number = 0;;) {
    const QueueName queue = publisher == 0 ? kPlain : kOrdered;
    std::vector<NewMessage> messages;
    std::string ids;
    for (auto count = random() % 3 + 1; count > 0; --count) {
      NewMessage message;
      message.id = id_of(world.round, publisher, number++);
      message.body = body_of(message.id);
      message.group = group_of(message.id);
      message.dedupe_id = message.id;
      ids += " " + message.id;
      messages.push_back(std::move(message));
    }
    const std::string first_id = messages.front().id;
    tell("P" + ids);
    const auto published = co_await world.queue.publish(queue, std::move(messages));
    if (!published) _exit(10);
    tell("p" + ids);
    if (random() % 4 != 0) continue;
    // Once more under another id: it has been seen.
    NewMessage again;
    again.id = "again " + first_id;
    again.dedupe_id = first_id;
    again.group = group_of(first_id);
    std::vector<NewMessage> repeated{std::move(again)};
    const auto known = co_await world.queue.publish(queue, std::move(repeated));
    if (!known || !known->at(0).duplicate || known->at(0).id != first_id) _exit(11);
  }
}

// Nothing of a group is given while an earlier message of it is held.
void check_order(const ChildWorld& world, const std::vector<Leased>& leased) {
  std::map<std::string, std::string> last;
  for (const Leased& each : leased) {
    std::string& before = last[each.group];
    if (each.id <= before) _exit(12);
    before = each.id;
    const auto found = world.held.find(each.group);
    if (found != world.held.end() && !found->second.empty() && *found->second.begin() < each.id) _exit(13);
  }
}

Awaitable<void> finish_with(ChildWorld& world, QueueName queue, Leased leased, std::uint32_t choice) {
  auto& held = world.held[leased.group];
  Result<void> done;
  if (choice < 60) {
    held.erase(leased.id);
    tell("A " + leased.id);
    done = co_await world.queue.acknowledge(queue, leased.token);
    tell("a " + leased.id);
  } else if (choice < 80) {
    held.erase(leased.id);
    tell("R " + leased.id);
    const std::chrono::microseconds at_once{0};
    done = co_await world.queue.release(queue, leased.token, at_once, "given back");
    tell("r " + leased.id);
  } else if (choice < 87) {
    tell("D " + leased.id);
    done = co_await world.queue.release(queue, leased.token, kLease, "later");
    tell("d " + leased.id);
  } else if (choice < 94) {
    done = co_await world.queue.extend(queue, leased.token, kLease);
  }
  if (!done) _exit(14);
}

Awaitable<void> consume_for_ever(ChildWorld& world, int consumer) {
  std::mt19937 random(static_cast<std::uint32_t>(world.round * 100 + 50 + consumer));
  const QueueName queue = consumer < 2 ? kPlain : kOrdered;
  LeaseRequest request;
  request.duration = kLease;
  request.wait_until = kNoDeadline;
  for (;;) {
    request.max_messages = static_cast<std::uint32_t>(random() % 4 + 1);
    auto leased = co_await world.queue.lease(queue, request);
    if (!leased || leased->empty()) _exit(15);
    std::string line = "L";
    for (const Leased& each : *leased) {
      if (each.body != body_of(each.id)) _exit(16);
      line += fmt::format(" {}:{}", each.id, each.receive_count);
    }
    tell(line);
    if (queue == kOrdered) {
      check_order(world, *leased);
      for (const Leased& each : *leased) world.held[each.group].insert(each.id);
    }
    for (Leased& each : *leased) {
      const auto choice = static_cast<std::uint32_t>(random() % 100);
      co_await finish_with(world, queue, std::move(each), choice);
    }
  }
}

void use_queues(const std::filesystem::path& directory, int round) {
  VirtualClock clock;
  clock.advance(kRoundTime * round);
  auto store = Embedded::open(directory, clock);
  if (!store) _exit(1);
  Reactor reactor(clock, "child");
  Scope scope("workers");
  ChildWorld world{.queue = (*store)->queue(), .round = round, .held = {}};
  scope.spawn(reactor, "start", [&]() -> Awaitable<void> {
    for (const QueueName& queue : {kPlain, kOrdered}) {
      const auto configured = co_await world.queue.configure(queue, settings_of(queue));
      if (!configured) _exit(17);
    }
    for (int i = 0; i < kPublishers; ++i) {
      scope.spawn(reactor, "publisher", [&world, i]() -> Awaitable<void> { return publish_for_ever(world, i); });
    }
    for (int i = 0; i < kConsumers; ++i) {
      scope.spawn(reactor, "consumer", [&world, i]() -> Awaitable<void> { return consume_for_ever(world, i); });
    }
  });
  reactor.run();
}

[[maybe_unused]] const auto* const kQueueChild =
    ::testing::AddGlobalTestEnvironment(new testing::ChildEnvironment("queue", use_queues));

// ---- the parent

struct Known {
  enum class There : std::uint8_t { kMaybe, kYes, kNo } there = There::kMaybe;
  bool held = false;       // a lease or a delay lives
  bool uncertain = false;  // something was under way that ends or begins one
  std::uint32_t count = 0;
};
using Book = std::map<std::string, Known>;

void enter(Book& book, const std::string& line) {
  std::istringstream words(line);
  std::string kind;
  std::string id;
  words >> kind;
  while (words >> id) {
    std::uint32_t count = 0;
    if (kind == "L") {
      count = static_cast<std::uint32_t>(std::stoul(id.substr(id.find(':') + 1)));
      id.resize(id.find(':'));
    }
    Known& known = book[id];
    if (kind == "P") known.there = Known::There::kMaybe;
    // Somebody may have leased it, and begun to acknowledge it, before its publisher was answered.
    if (kind == "p" && known.count == 0) known.there = Known::There::kYes;
    if (kind == "L") known = {.there = Known::There::kYes, .held = true, .uncertain = false, .count = count};
    if (kind == "A") known.there = Known::There::kMaybe;
    if (kind == "a") known.there = Known::There::kNo;
    if (kind == "R" || kind == "D") known.uncertain = true;
    // What was given back at once may have been leased by somebody else before the one who gave it back was answered.
    if (kind == "r" && known.uncertain) known = {.there = Known::There::kYes, .held = false, .count = known.count};
    if (kind == "d") known.uncertain = false;
  }
}

class QueueCrashTest : public ::testing::Test {
 protected:
  template <typename T>
  T run(Awaitable<T> task) {
    std::optional<T> result;
    Scope scope("test");
    scope.spawn(*reactor_, "task", [&]() -> Awaitable<void> {
      result.emplace(co_await std::move(task));
      reactor_->stop();
    });
    while (scope.running() != 0) {
      reactor_->poll();
      if (scope.running() != 0) reactor_->run();
    }
    return std::move(*result);
  }

  void open(int round) {
    store_.reset();
    clock_ = std::make_unique<VirtualClock>();
    clock_->advance(kRoundTime * round);
    reactor_ = std::make_unique<Reactor>(*clock_, "test");
    auto store = Embedded::open(directory_.path(), *clock_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    for (const QueueName& queue : {kPlain, kOrdered}) {
      ASSERT_TRUE(run(store_->queue().configure(queue, settings_of(queue))));
    }
  }

  // Everything that lies there is as the book says; then the book is made exact.
  void compare() {
    std::set<std::string> there;
    for (const QueueName& queue : {kPlain, kOrdered}) {
      std::uint64_t after = 0;
      for (;;) {
        const auto messages = run(store_->queue().peek(queue, after, 500)).value();
        if (messages.empty()) break;
        after = messages.back().sequence;
        for (const PeekedMessage& message : messages) {
          there.insert(message.id);
          compare(message);
          if (HasFatalFailure()) return;
        }
      }
    }
    for (auto& [id, known] : book_) {
      ASSERT_TRUE(known.there != Known::There::kYes || there.contains(id)) << id << " was lost";
    }
    std::erase_if(book_, [&there](const auto& each) { return !there.contains(each.first); });
  }

  void compare(const PeekedMessage& message) {
    const auto found = book_.find(message.id);
    ASSERT_NE(found, book_.end()) << message.id << " was invented, or came back";
    Known& known = found->second;
    ASSERT_NE(known.there, Known::There::kNo) << message.id << " came back";
    ASSERT_EQ(message.body, body_of(message.id));
    const bool ready = message.available_at <= clock_->now();
    if (known.held && !known.uncertain) {
      ASSERT_FALSE(ready) << message.id << " would be given again while it is held";
      ASSERT_EQ(message.receive_count, known.count) << message.id;
    } else {
      // One lease may have been under way.
      ASSERT_GE(message.receive_count, known.count) << message.id;
      ASSERT_LE(message.receive_count, known.count + 1) << message.id;
    }
    known = {.there = Known::There::kYes, .held = false, .uncertain = false, .count = message.receive_count};
  }

  // Of what was published in this round, dedupe ids are still known.
  void compare_dedupe(int round) {
    int left = 10;
    for (const auto& [id, known] : book_) {
      if (left == 0 || !id.starts_with(fmt::format("{}.1.", round))) continue;
      --left;
      NewMessage again;
      again.id = "again " + id;
      again.dedupe_id = id;
      again.group = group_of(id);
      const auto published = run(store_->queue().publish(kOrdered, {again})).value();
      ASSERT_TRUE(published.at(0).duplicate) << id;
      ASSERT_EQ(published.at(0).id, id);
    }
  }

  // All leases have run out: everything can be leased, groups in order. Much is acknowledged, the rest stays.
  void drain(std::mt19937& random) {
    std::set<std::string> leased_ids;
    std::map<std::string, std::string> last;
    LeaseRequest request;
    request.max_messages = 1'000;
    request.duration = seconds(1);
    for (const QueueName& queue : {kPlain, kOrdered}) {
      const bool everything = queue == kOrdered || random() % 4 == 0;
      for (;;) {
        const auto leased = run(store_->queue().lease(queue, request)).value();
        if (leased.empty()) break;
        std::vector<LeaseToken> done;
        for (const Leased& each : leased) {
          leased_ids.insert(each.id);
          Known& known = book_[each.id];
          ASSERT_EQ(each.receive_count, ++known.count) << each.id;
          if (queue == kOrdered) {
            ASSERT_LT(last[each.group], each.id) << "out of order";
            last[each.group] = each.id;
          }
          if (!everything && random() % 2 == 0) continue;
          done.push_back(each.token);
          known.there = Known::There::kNo;
        }
        for (const auto& answer : run(store_->queue().acknowledge_all(queue, done))) ASSERT_TRUE(answer);
      }
    }
    for (const auto& [id, known] : book_) ASSERT_TRUE(leased_ids.contains(id)) << id << " cannot be leased";
  }

  TemporaryDirectory directory_;
  std::unique_ptr<VirtualClock> clock_;
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<Embedded> store_;
  Book book_;
};

TEST_F(QueueCrashTest, EveryMessageIsAccountedFor) {
  std::mt19937 random = testing::seeded_random();
  const int rounds = testing::crash_rounds(40);
  std::size_t lines_seen = 0;
  std::size_t messages_seen = 0;
  for (int round = 0; round < rounds; ++round) {
    store_.reset();
    const auto lines = testing::run_and_kill("queue", directory_.path(), round, random);
    if (HasFailure()) return;
    for (const std::string& line : lines) enter(book_, line);
    lines_seen += lines.size();
    open(round);
    if (HasFailure()) return;
    compare();
    if (HasFatalFailure()) return;
    messages_seen += book_.size();
    compare_dedupe(round);
    if (HasFatalFailure()) return;
    clock_->advance(kRoundTime - seconds(10));
    drain(random);
    if (HasFatalFailure()) return;
  }
  fmt::print("{} rounds, {} lines told, {} messages found after the kills\n", rounds, lines_seen, messages_seen);
  EXPECT_GT(lines_seen, static_cast<std::size_t>(rounds) * 20);
}

}  // namespace
}  // namespace mayfly::store
