// The queue's core against a simple model: random commands in random batches, batches that cannot be committed, and
// crashes in between, over and over from seeds. Whatever the core answers must be what the model allows; after each
// batch both hold the same messages in the same places. A failing seed is printed: MAYFLY_QUEUE_SEED=<n> repeats it.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "store/embedded/queue_core.h"

namespace mayfly::store {
namespace {

constexpr KeyedHash::Key kKey{1, 2};
constexpr Microseconds kSecond = 1'000'000;

// What has been committed, as the database would hold it.
struct Disk {
  struct Message {
    std::uint64_t queue = 0;
    NewMessage message;
    Microseconds sent_at = 0;
    Microseconds available_at = 0;
  };
  struct Lease {
    std::uint32_t count = 0;
    Microseconds first = 0;
    Microseconds until = 0;
    bool leased = false;
    std::string state;
  };
  struct Dedupe {
    std::uint64_t queue = 0;
    Microseconds at = 0;
    std::string group;
    std::string dedupe_id;
  };
  std::uint64_t reserved = 0;
  std::map<std::uint64_t, std::pair<std::string, std::uint64_t>> queues;  // name, purged
  std::map<std::uint64_t, Message> messages;
  std::map<std::uint64_t, Lease> leases;
  std::map<std::uint64_t, Dedupe> dedupe;

  void apply(const QueueChange& change) {
    using Kind = QueueChange::Kind;
    switch (change.kind) {
      case Kind::kReserve:
        reserved = change.sequence;
        break;
      case Kind::kAddQueue:
        queues[change.queue] = {*change.text, 0};
        break;
      case Kind::kRemoveQueue:
        queues.erase(change.queue);
        break;
      case Kind::kPurge:
        queues.at(change.queue).second = change.sequence;
        break;
      case Kind::kAddMessage:
        messages[change.sequence] = {change.queue, *change.message, change.sent_at, change.available_at};
        break;
      case Kind::kAddDedupe:
        dedupe[change.sequence] = {change.queue, change.sent_at, change.message->group, change.message->dedupe_id};
        break;
      case Kind::kLease: {
        auto& lease = leases[change.sequence];
        lease.count = change.receive_count;
        lease.first = change.first_leased_at;
        lease.until = change.available_at;
        lease.leased = true;
        break;
      }
      case Kind::kExtend:
        leases.at(change.sequence).until = change.available_at;
        leases.at(change.sequence).leased = change.leased;
        break;
      case Kind::kRelease:
        leases.at(change.sequence).until = change.available_at;
        leases.at(change.sequence).leased = false;
        leases.at(change.sequence).state = *change.text;
        break;
      case Kind::kDelete:
        if (change.leased) leases.erase(change.sequence);
        messages.erase(change.sequence);
        break;
      case Kind::kDropDedupe:
        dedupe.erase(change.sequence);
        break;
    }
  }

  void load(QueueCore& core) const {
    core.load_reserved(reserved);
    for (const auto& [number, queue] : queues) core.load_queue(number, queue.first, queue.second);
    for (const auto& [sequence, row] : messages) {
      QueueEntry entry;
      entry.sequence = sequence;
      entry.sent_at = row.sent_at;
      entry.available_at = row.available_at;
      entry.body_bytes = static_cast<std::uint32_t>(row.message.body.size());
      if (const auto lease = leases.find(sequence); lease != leases.end()) {
        entry.receive_count = lease->second.count;
        entry.first_leased_at = lease->second.first;
        entry.available_at = lease->second.until;
        entry.place = lease->second.leased ? Place::kLeased : Place::kDelayed;
        entry.has_state = !lease->second.state.empty();
      }
      static_cast<void>(core.load_message(row.queue, entry, row.message.id, row.message.group));
    }
    for (const auto& [sequence, row] : dedupe) {
      static_cast<void>(core.load_dedupe(row.queue, sequence, row.at, row.group, row.dedupe_id));
    }
  }
};

// What the port promises, in the plainest containers.
struct Model {
  struct Message {
    std::string id;
    std::string group;
    std::size_t bytes = 0;
    Microseconds sent_at = 0;
    Microseconds available_at = 0;
    std::uint32_t receive_count = 0;
    bool leased = false;  // while available_at is in the future; else it is delayed
  };
  struct Seen {
    std::string dedupe_id;
    std::string group;
    Microseconds at = 0;
    std::uint64_t sequence = 0;
  };
  struct Queue {
    QueueSettings settings;
    std::map<std::uint64_t, Message> messages;  // by sequence
    std::vector<Seen> seen;
    std::vector<QueueCore::Ticket> waiters;

    void expire(Microseconds now) {
      const Microseconds retention = std::chrono::microseconds(settings.retention).count();
      std::erase_if(messages, [&](const auto& item) { return item.second.sent_at + retention <= now; });
    }
    [[nodiscard]] bool leasable(std::uint64_t sequence, Microseconds now,
                                const std::set<std::uint64_t>& together) const {
      const Message& message = messages.at(sequence);
      if (message.available_at > now) return false;
      if (!settings.ordered) return true;
      return std::ranges::all_of(messages, [&](const auto& item) {
        return item.first >= sequence || item.second.group != message.group || together.contains(item.first);
      });
    }
    [[nodiscard]] std::uint64_t count_leased(Microseconds now) const {
      return static_cast<std::uint64_t>(std::ranges::count_if(
          messages, [now](const auto& item) { return item.second.leased && item.second.available_at > now; }));
    }
    [[nodiscard]] bool anything(Microseconds now, const std::set<std::uint64_t>& together) const {
      return std::ranges::any_of(messages, [&](const auto& item) {
        return !together.contains(item.first) && leasable(item.first, now, together);
      });
    }
  };
  std::map<std::string, Queue> queues;
  std::vector<std::pair<std::string, LeaseToken>> tokens;  // some that were given, good or stale
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : random_(seed) {
    for (const char* name : {"plain", "ordered"}) names_.emplace_back(name);
    start();
  }

  void batches(int count) {
    for (int i = 0; i < count && !::testing::Test::HasFailure(); ++i) {
      if (chance(4)) crash();
      batch();
      pass(chance(10) ? 120 * kSecond : static_cast<Microseconds>(number(3 * kSecond)));
    }
    collect();
  }

 private:
  std::uint64_t number(std::uint64_t below) { return random_() % below; }
  bool chance(std::uint64_t percent) { return number(100) < percent; }
  [[nodiscard]] SystemTime time() const { return SystemTime(std::chrono::microseconds(now_)); }
  void pass(Microseconds time) { now_ += time; }

  // A new process: what is on the disk, and the owner's settings.
  void start() {
    core_ = std::make_unique<QueueCore>(kKey);
    disk_.load(*core_);
    core_->begin(time());
    for (const auto& name : names_) configure(name);
    core_->finish();
    for (auto& [name, queue] : model_.queues) queue.expire(now_);
    commit();
  }
  void crash() {
    core_.reset();
    for (auto& [name, queue] : model_.queues) queue.waiters.clear();
    start();
  }
  void configure(const std::string& name) {
    auto& queue = model_.queues[name];
    queue.settings.ordered = name == "ordered";
    queue.settings.dedupe_by_group = name == "ordered";
    queue.settings.retention = std::chrono::seconds(chance(50) ? 300 : 60);
    queue.settings.dedupe_window = window_;
    queue.settings.max_leased = chance(20) ? 5 : 1'000;
    ASSERT_TRUE(core_->configure(QueueName(name), queue.settings));
  }

  void batch() {
    Model before = model_;
    const auto asked_before = asked_;
    const auto sequence_before = last_sequence_;
    cancelled_.clear();
    core_->begin(time());
    held_.clear();
    texts_.clear();
    if (chance(10)) configure(names_[number(2)]);
    const std::uint64_t commands = number(8);
    for (std::uint64_t i = 0; i < commands; ++i) command(names_[number(2)]);
    core_->finish();
    for (auto& [name, queue] : model_.queues) queue.expire(now_);
    take_grants(true);
    if (chance(15)) {
      core_->undo();  // the disk was full
      // Settings and cancellations stand: they are not written down.
      for (auto& [name, queue] : before.queues) {
        queue.settings = model_.queues.at(name).settings;
        std::erase_if(queue.waiters, [this](QueueCore::Ticket ticket) { return cancelled_.contains(ticket); });
      }
      model_ = std::move(before);
      asked_ = asked_before;
      last_sequence_ = sequence_before;
      core_->begin(time());
      core_->finish();
      for (auto& [name, queue] : model_.queues) queue.expire(now_);
      take_grants(true);
    }
    commit();
    compare();
  }

  void commit() {
    for (const auto& change : core_->changes()) disk_.apply(change);
    core_->committed();
  }

  void command(const std::string& name) {
    auto& queue = model_.queues.at(name);
    queue.expire(now_);
    const auto kind = number(100);
    if (kind < 35) {
      publish(name, queue);
    } else if (kind < 60) {
      lease(name, queue);
    } else if (kind < 92) {
      use_token(name, queue, kind);
    } else if (kind < 94) {
      ASSERT_TRUE(core_->purge(QueueName(name)));
      queue.messages.clear();
      queue.seen.clear();
    } else if (kind < 96 && !queue.messages.empty()) {
      const auto victim = std::next(queue.messages.begin(), static_cast<std::ptrdiff_t>(number(queue.messages.size())));
      ASSERT_TRUE(core_->take_out(QueueName(name), victim->second.id));
      queue.messages.erase(victim);
    } else if (kind < 97 && !queue.waiters.empty()) {
      EXPECT_TRUE(core_->cancel(queue.waiters.front()));
      cancelled_.insert(queue.waiters.front());
      queue.waiters.erase(queue.waiters.begin());
    } else {
      counts(name, queue);
    }
  }

  void publish(const std::string& name, Model::Queue& queue) {
    auto& message = held_.emplace_back();
    message.id =
        chance(5) && !queue.messages.empty() ? queue.messages.begin()->second.id : fmt::format("m{}", ++last_id_);
    message.body = std::string(number(50), 'x');
    if (chance(70)) message.group = fmt::format("g{}", number(3));
    if (chance(40)) message.dedupe_id = fmt::format("d{}", number(4));
    if (chance(20)) message.delay = std::chrono::microseconds(number(5 * kSecond));
    if (chance(10)) message.sent_at = time() - std::chrono::seconds(number(50));
    const auto published = core_->publish(QueueName(name), std::span(&message, 1));
    ASSERT_TRUE(published);
    const auto& answer = published->front();
    const auto same =
        std::ranges::find_if(queue.messages, [&](const auto& item) { return item.second.id == message.id; });
    if (same != queue.messages.end()) {
      EXPECT_TRUE(answer.duplicate);
      EXPECT_EQ(answer.sequence, same->first);
      return;
    }
    const Microseconds window = std::chrono::microseconds(queue.settings.dedupe_window).count();
    if (!message.dedupe_id.empty() && window > 0) {
      const auto seen = std::ranges::find_if(queue.seen, [&](const Model::Seen& one) {
        return one.dedupe_id == message.dedupe_id && one.at > now_ - window &&
               (!queue.settings.dedupe_by_group || one.group == message.group);
      });
      EXPECT_EQ(answer.duplicate, seen != queue.seen.end());
      if (answer.duplicate) return;
      queue.seen.push_back({message.dedupe_id, message.group, now_, answer.sequence});
    }
    EXPECT_FALSE(answer.duplicate);
    EXPECT_GT(answer.sequence, last_sequence_) << "a sequence was given twice";
    last_sequence_ = answer.sequence;
    queue.messages[answer.sequence] = {.id = message.id,
                                       .group = message.group,
                                       .bytes = message.body.size(),
                                       .sent_at = message.sent_at ? message.sent_at->time_since_epoch().count() : now_,
                                       .available_at = now_ + std::chrono::microseconds(message.delay).count()};
  }

  void lease(const std::string& name, Model::Queue& queue) {
    QueueCore::LeaseTerms terms;
    terms.max_messages = static_cast<std::uint32_t>(1 + number(5));
    terms.max_bytes = 1'000'000;
    terms.duration = static_cast<Microseconds>(1 + number(6 * kSecond));
    const auto ticket = ++last_ticket_;
    asked_[ticket] = {name, terms};
    const bool waits = chance(30);
    // Who came earlier is served first.
    queue.waiters.push_back(ticket);
    core_->lease(ticket, QueueName(name), terms, waits);
    take_grants(false);
    if (!waits) EXPECT_TRUE(std::ranges::find(queue.waiters, ticket) == queue.waiters.end());
  }

  // Every grant so far is one that the model allows; at a batch's end nobody waits beside what could be given.
  void take_grants(bool at_end) {
    for (auto& grant : core_->grants()) {
      if (!asked_.contains(grant.ticket)) continue;  // looked at before
      const auto [name, terms] = asked_.at(grant.ticket);
      asked_.erase(grant.ticket);
      auto& queue = model_.queues.at(name);
      const auto place = std::ranges::find(queue.waiters, grant.ticket);
      ASSERT_TRUE(place != queue.waiters.end());
      const bool first = place == queue.waiters.begin();
      queue.waiters.erase(place);
      check_grant(queue, terms, grant, first);
    }
    if (!at_end) return;
    for (const auto& [name, queue] : model_.queues) {
      if (queue.waiters.empty() || queue.count_leased(now_) >= queue.settings.max_leased) continue;
      EXPECT_FALSE(queue.anything(now_, {})) << "somebody waits in " << name << " beside a message";
    }
  }

  void check_grant(Model::Queue& queue, const QueueCore::LeaseTerms& terms, const QueueCore::Grant& grant, bool first) {
    queue.expire(now_);
    if (!grant.items) {
      EXPECT_EQ(grant.items.error().code, ErrorCode::kThrottled);
      EXPECT_GE(queue.count_leased(now_), queue.settings.max_leased);
      return;
    }
    std::set<std::uint64_t> together;
    Microseconds last = 0;
    const std::uint64_t room =
        queue.settings.max_leased - std::min<std::uint64_t>(queue.count_leased(now_), queue.settings.max_leased);
    EXPECT_LE(grant.items->size(), std::min<std::uint64_t>(terms.max_messages, room));
    for (const auto& item : *grant.items) {
      const auto sequence = item.entry.sequence;
      const auto found = queue.messages.find(sequence);
      ASSERT_TRUE(found != queue.messages.end()) << "a message that is gone was given";
      EXPECT_TRUE(first) << "somebody was served out of turn";
      EXPECT_FALSE(together.contains(sequence));
      EXPECT_TRUE(queue.leasable(sequence, now_, together)) << "message " << sequence;
      if (!queue.settings.ordered) EXPECT_GE(found->second.available_at, last);
      last = found->second.available_at;
      together.insert(sequence);
      EXPECT_EQ(item.entry.receive_count, found->second.receive_count + 1);
      const LeaseTokenParts parts{
          .queue = item.queue, .sequence = sequence, .receive_count = item.entry.receive_count, .slot = item.slot};
      model_.tokens.emplace_back(queue.settings.ordered ? "ordered" : "plain", to_token(parts));
    }
    if (grant.items->size() < std::min<std::uint64_t>(terms.max_messages, room)) {
      EXPECT_FALSE(queue.anything(now_, together)) << "a lease was given less than there was";
    }
    for (const auto sequence : together) {
      auto& message = queue.messages.at(sequence);
      ++message.receive_count;
      message.leased = true;
      message.available_at = now_ + terms.duration;
    }
    if (model_.tokens.size() > 40) model_.tokens.erase(model_.tokens.begin(), model_.tokens.begin() + 20);
  }

  void use_token(const std::string& name, Model::Queue& queue, std::uint64_t kind) {
    if (model_.tokens.empty()) return;
    const auto [owner, token] = model_.tokens[number(model_.tokens.size())];
    const auto parts = parse_token(token);
    if (owner != name) {
      const auto refused = core_->acknowledge(QueueName(name), token);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, ErrorCode::kInvalid);
      return;
    }
    const auto found = queue.messages.find(parts->sequence);
    const bool there = found != queue.messages.end();
    const bool mine = there && found->second.receive_count == parts->receive_count;
    if (kind < 75) {
      const auto done = core_->acknowledge(QueueName(name), token);
      EXPECT_EQ(done.has_value(), !there || mine);
      if (done && there) queue.messages.erase(found);
      return;
    }
    const bool waits = mine && found->second.available_at > now_;
    // What was given back with a delay is nobody's; in an ordered queue neither is what has run out.
    const bool allowed = mine && (waits ? found->second.leased : !queue.settings.ordered);
    const Microseconds duration = chance(30) ? 0 : static_cast<Microseconds>(1 + number(4 * kSecond));
    Result<void> done;
    if (kind < 84) {
      done = core_->extend(QueueName(name), token, duration);
    } else {
      texts_.push_back(chance(50) ? "state" : "");
      done = core_->release(QueueName(name), token, duration, texts_.back());
    }
    EXPECT_EQ(done.has_value(), allowed);
    if (!done) return;
    found->second.available_at = now_ + duration;
    found->second.leased = kind < 84;
  }

  void counts(const std::string& name, Model::Queue& queue) {
    const auto counts = core_->counts(QueueName(name));
    ASSERT_TRUE(counts);
    std::uint64_t ready = 0;
    std::uint64_t bytes = 0;
    for (const auto& [sequence, message] : queue.messages) {
      if (message.available_at <= now_) ++ready;
      bytes += message.bytes;
    }
    const auto leased = queue.count_leased(now_);
    EXPECT_EQ(counts->ready, ready);
    EXPECT_EQ(counts->leased, leased);
    EXPECT_EQ(counts->delayed, queue.messages.size() - ready - leased);
    EXPECT_EQ(counts->bytes, bytes);
  }

  void compare() {
    core_->begin(time());
    for (auto& [name, queue] : model_.queues) {
      queue.expire(now_);
      counts(name, queue);
      const auto peeked = core_->peek(QueueName(name), 0, 100'000, 1'000'000'000);
      ASSERT_TRUE(peeked);
      ASSERT_EQ(peeked->size(), queue.messages.size());
      auto wanted = queue.messages.begin();
      for (const auto& item : *peeked) {
        EXPECT_EQ(item.entry.sequence, wanted->first);
        EXPECT_EQ(item.entry.receive_count, wanted->second.receive_count);
        ++wanted;
      }
    }
    core_->finish();
    take_grants(true);
    commit();
  }

  // In the end the disk holds what is there and nothing else.
  void collect() {
    for (int i = 0; i < 20 && core_->next_due() == SystemTime{}; ++i) {
      core_->begin(time());
      core_->finish();
      take_grants(true);
      commit();
    }
    compare();
    std::set<std::uint64_t> wanted;
    for (const auto& [name, queue] : model_.queues) {
      for (const auto& [sequence, message] : queue.messages) wanted.insert(sequence);
    }
    std::set<std::uint64_t> rows;
    for (const auto& [sequence, row] : disk_.messages) rows.insert(sequence);
    EXPECT_EQ(rows, wanted);
    for (const auto& [sequence, row] : disk_.leases) EXPECT_TRUE(wanted.contains(sequence)) << "a lease of nothing";
  }

  std::mt19937_64 random_;
  std::vector<std::string> names_;
  const std::chrono::seconds window_{chance(10) ? 0 : 100};
  Microseconds now_ = 1'700'000'000 * kSecond;
  Disk disk_;
  Model model_;
  std::unique_ptr<QueueCore> core_;
  std::deque<NewMessage> held_;
  std::deque<std::string> texts_;
  std::map<QueueCore::Ticket, std::pair<std::string, QueueCore::LeaseTerms>> asked_;
  std::set<QueueCore::Ticket> cancelled_;
  QueueCore::Ticket last_ticket_ = 0;
  std::uint64_t last_id_ = 0;
  std::uint64_t last_sequence_ = 0;
};

TEST(QueueModelTest, RandomCommandsFailedBatchesAndCrashesDoWhatTheModelDoes) {
  constexpr std::uint64_t kSeeds = 3'000;
  constexpr int kBatches = 60;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
  if (const char* given = std::getenv("MAYFLY_QUEUE_SEED"); given != nullptr) {
    Simulation(std::strtoull(given, nullptr, 10)).batches(kBatches);
    return;
  }
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Simulation(seed).batches(kBatches);
    ASSERT_FALSE(HasFailure()) << "repeat with MAYFLY_QUEUE_SEED=" << seed;
  }
}

}  // namespace
}  // namespace mayfly::store
