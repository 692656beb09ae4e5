#include "store/embedded/queue_engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "base/log.h"

namespace mayfly::store {

namespace {

constexpr std::uint32_t kMaxLeases = 10'000;

// The state on disk is unknown after a failed commit, and nobody may be answered on a guess.
[[noreturn]] void die_of_queues(const Error& error) {
  log(Level::kError, "the queues could not be written or read; ending the process so that the next start recovers",
      {{"error", error.message}});
  std::abort();
}

SystemTime system_time(Microseconds time) { return SystemTime(std::chrono::microseconds(time)); }

Leased to_leased(const QueueCore::Item& item, QueueContent content) {
  Leased leased;
  leased.token = to_token(LeaseTokenParts{.queue = item.queue,
                                          .sequence = item.entry.sequence,
                                          .receive_count = item.entry.receive_count,
                                          .slot = item.slot});
  leased.id = std::move(content.id);
  leased.body = std::move(content.body);
  leased.group = std::move(content.group);
  leased.dedupe_id = std::move(content.dedupe_id);
  leased.state = std::move(content.state);
  leased.sequence = item.entry.sequence;
  leased.receive_count = item.entry.receive_count;
  leased.sent_at = system_time(item.entry.sent_at);
  leased.first_leased_at = system_time(item.entry.first_leased_at);
  leased.leased_until = system_time(item.entry.available_at);
  return leased;
}

}  // namespace

Result<QueueContent> QueueReader::read(const QueueEntry& entry) {
  if (const QueueContent* kept = contents_.find(entry.sequence)) return *kept;
  return database_.read(entry.sequence, entry.has_state);
}

// Its answer comes with a batch's grants.
class QueueEngine::LeaseCommand final : public QueueCommand {
 public:
  LeaseCommand(QueueEngine& engine, QueueName queue, Ticket ticket, QueueCore::LeaseTerms terms, bool waits,
               LeaseAnswer answer)
      : QueueCommand(Kind::kOther, queue.str().size()),
        engine_(engine),
        queue_(std::move(queue)),
        ticket_(ticket),
        terms_(terms),
        waits_(waits),
        answer_(std::move(answer)) {}

  void decide(QueueCore& core) override {
    engine_.pending_.insert_or_assign(ticket_, answer_);
    core.lease(ticket_, queue_, terms_, waits_);
  }
  void answer() override {}
  void refuse(const Error& error) override { engine_.answer_lease(ticket_, std::unexpected(error)); }

 private:
  QueueEngine& engine_;
  QueueName queue_;
  Ticket ticket_;
  QueueCore::LeaseTerms terms_;
  bool waits_;
  LeaseAnswer answer_;
};

// Ends a lease that has waited long enough. Where it has been granted meanwhile, the grant stands.
class QueueEngine::CancelCommand final : public QueueCommand {
 public:
  CancelCommand(QueueEngine& engine, Ticket ticket) : QueueCommand(Kind::kOther, 0), engine_(engine), ticket_(ticket) {}

  void decide(QueueCore& core) override { cancelled_ = core.cancel(ticket_) || cancelled_; }
  void answer() override {
    if (cancelled_) engine_.answer_lease(ticket_, std::vector<Leased>());
  }
  void refuse(const Error&) override { answer(); }

 private:
  QueueEngine& engine_;
  Ticket ticket_;
  bool cancelled_ = false;
};

QueueEngine::QueueEngine(QueueDatabase& database, std::unique_ptr<QueueCore> core, Clock& clock)
    : database_(database), core_(std::move(core)), clock_(clock) {
  clock.on_advance([inbox = std::weak_ptr<Inbox>(inbox_)] {
    const auto held = inbox.lock();
    if (!held) return;
    // Under the lock: the thread either has not looked at the clock yet, or waits already.
    const std::lock_guard lock(held->mutex);
    held->wake.notify_one();
  });
  thread_ = std::thread([this] { run(); });
}

QueueEngine::~QueueEngine() {
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->stopping = true;
  }
  inbox_->wake.notify_one();
  thread_.join();
  for (auto& [ticket, answer] : pending_) answer.set(fail(ErrorCode::kCancelled, "the store is closing"));
}

Result<void> QueueEngine::submit(std::unique_ptr<QueueCommand> command) {
  {
    const std::lock_guard lock(inbox_->mutex);
    if (inbox_->stopping) return fail(ErrorCode::kCancelled, "the store is closing");
    // A cancellation has no size: there is at most one for each lease that was taken.
    const std::size_t bytes = command->bytes();
    if (bytes > 0 && (inbox_->commands.size() >= kMaxWaiting || inbox_->bytes + bytes > kMaxWaitingBytes)) {
      return fail(ErrorCode::kThrottled, "too many messages wait for the disk");
    }
    inbox_->bytes += bytes;
    inbox_->commands.push_back(std::move(command));
    const std::size_t waiting = inbox_->commands.size();
    if (waiting != 1 && waiting != inbox_->wanted) return {};
  }
  inbox_->wake.notify_one();
  return {};
}

// The other calls are in queue_calls.cpp.
Awaitable<Result<std::vector<Leased>>> QueueEngine::lease(QueueName queue, LeaseRequest request) {
  if (request.max_messages == 0 || request.max_messages > kMaxLeases) {
    co_return fail(ErrorCode::kInvalid, fmt::format("1 to {} messages can be leased at a time", kMaxLeases));
  }
  if (request.duration.count() < 0 || request.duration > std::chrono::days(3'660)) {
    co_return fail(ErrorCode::kInvalid, "a lease's duration is out of range");
  }
  const bool waits = request.wait_until > Reactor::current().steady_now();
  const Ticket ticket = ++last_ticket_;
  LeaseAnswer answer;
  const QueueCore::LeaseTerms terms{
      .max_messages = request.max_messages, .max_bytes = request.max_bytes, .duration = request.duration.count()};
  std::unique_ptr<QueueCommand> command =
      std::make_unique<LeaseCommand>(*this, std::move(queue), ticket, terms, waits, answer);
  if (auto queued = submit(std::move(command)); !queued) co_return std::unexpected(queued.error());
  const SteadyTime deadline = waits ? request.wait_until : kNoDeadline;
  auto leased = co_await answer.get_until(deadline);
  if (!leased) {
    command = std::make_unique<CancelCommand>(*this, ticket);
    if (auto queued = submit(std::move(command)); !queued) co_return std::unexpected(queued.error());
    leased = co_await answer.get_until(kNoDeadline);
  }
  co_return std::move(*leased);
}

// --- the thread ------------------------------------------------------------------------------------------------------

void QueueEngine::run() {
  for (;;) {
    Batch batch;
    if (!take(batch)) return;
    const SteadyTime from = clock_.steady_now();
    last_batch_ = batch.size();
    process(batch);
    last_took_ = clock_.steady_now() - from;
  }
}

bool QueueEngine::take(Batch& batch) {
  std::unique_lock lock(inbox_->mutex);
  if (!wait_for_work(lock)) return false;
  wait_for_company(lock);
  std::size_t bytes = 0;
  bool configures = true;
  auto& commands = inbox_->commands;
  while (!commands.empty() && batch.size() < kMaxBatch) {
    const std::size_t next = commands.front()->bytes();
    if (!batch.empty() && bytes + next > kMaxBatchBytes) break;
    const bool configure = commands.front()->kind() == QueueCommand::Kind::kConfigure;
    if (configure && !configures) break;
    configures = configure;
    bytes += next;
    batch.push_back(std::move(commands.front()));
    commands.pop_front();
  }
  inbox_->bytes -= bytes;
  return true;
}

// True when there are commands or something is due; false when the engine stops and nothing is queued.
bool QueueEngine::wait_for_work(std::unique_lock<std::mutex>& lock) {
  for (;;) {
    if (!inbox_->commands.empty()) return true;
    if (inbox_->stopping) return false;
    auto due = core_->next_due();
    if (due) due = std::max(*due, no_work_before_);
    const SystemTime now = clock_.now();
    if (due && *due <= now) return true;
    if (due && clock_.is_real()) {
      // At most an hour: the system's time may be set meanwhile.
      inbox_->wake.wait_for(lock, std::min<std::chrono::microseconds>(*due - now, std::chrono::hours(1)));
    } else {
      inbox_->wake.wait(lock);
    }
  }
}

// Who was just answered comes back one after the other: without a pause the first of them would get a sync of its own,
// and the rest, who come while it runs, every other one. No longer than the last batch took, and not at all where few
// callers are about or nobody comes any more.
void QueueEngine::wait_for_company(std::unique_lock<std::mutex>& lock) {
  constexpr std::size_t kFew = 8;
  constexpr std::chrono::microseconds kPause{50};
  if (last_batch_ < kFew || !clock_.is_real()) return;
  const SteadyTime until = clock_.steady_now() + last_took_;
  inbox_->wanted = std::min(last_batch_, kMaxBatch);
  while (inbox_->commands.size() < inbox_->wanted && !inbox_->stopping && clock_.steady_now() < until) {
    const std::size_t before = inbox_->commands.size();
    inbox_->wake.wait_for(lock, kPause);
    if (inbox_->commands.size() == before) break;
  }
  inbox_->wanted = 1;
}

void QueueEngine::process(Batch& batch) {
  Scope scope = Scope::kAll;
  decide(batch, scope);
  auto written = write_down(batch, scope);
  const bool publishes =
      std::ranges::any_of(batch, [](const auto& command) { return command->kind() == QueueCommand::Kind::kPublish; });
  if (!written && publishes) {
    // Acknowledgements make room, so they are not held up by what needs it.
    scope = Scope::kWithoutPublishing;
    decide(batch, scope);
    written = write_down(batch, scope);
  }
  if (written) {
    answer(batch, scope);
  } else {
    refuse(batch);
  }
}

void QueueEngine::decide(Batch& batch, Scope scope) {
  core_->begin(clock_.now());
  for (const auto& command : batch) {
    if (scope == Scope::kAll || command->kind() != QueueCommand::Kind::kPublish) command->decide(*core_);
  }
  core_->finish();
}

// Fails where the disk is full; everything is undone then.
Result<void> QueueEngine::write_down(Batch& batch, Scope scope) {
  auto written = write_changes();
  if (written) written = read_grants();
  for (const auto& command : batch) {
    if (!written) break;
    if (scope == Scope::kAll || command->kind() != QueueCommand::Kind::kPublish) written = command->read(reader_);
  }
  if (written && !core_->changes().empty()) {
    written = database_.commit();
    if (written && scope == Scope::kAll && std::exchange(disk_full_, false)) {
      log(Level::kInfo, "the queues' disk has room again", {});
    }
  }
  if (written) {
    core_->committed();
    return {};
  }
  if (written.error().code != ErrorCode::kTooLarge) die_of_queues(written.error());
  if (const auto undone = database_.rollback(); !undone) die_of_queues(undone.error());
  for (const QueueChange& change : core_->changes()) contents_.erase(change.sequence);
  std::vector<Ticket> tickets;
  for (const auto& grant : core_->grants()) tickets.push_back(grant.ticket);
  granted_.clear();
  core_->undo();
  if (!std::exchange(disk_full_, true)) {
    log(Level::kError, "the queues' disk is full; messages are refused until there is room", {});
  }
  no_work_before_ = clock_.now() + std::chrono::seconds(1);
  if (scope == Scope::kAll &&
      std::ranges::any_of(batch, [](const auto& command) { return command->kind() == QueueCommand::Kind::kPublish; })) {
    return written;  // there is a second attempt
  }
  for (const Ticket ticket : tickets) {
    static_cast<void>(core_->cancel(ticket));
    answer_lease(ticket, fail(ErrorCode::kIo, "the store's disk is full"));
  }
  return written;
}

Result<void> QueueEngine::write_changes() {
  if (core_->changes().empty()) return {};
  if (auto begun = database_.begin(); !begun) return begun;
  for (const QueueChange& change : core_->changes()) {
    if (auto done = database_.write(change); !done) return done;
    switch (change.kind) {
      case QueueChange::Kind::kAddMessage:
        contents_.insert(change.sequence, *change.message);
        break;
      case QueueChange::Kind::kRelease:
        contents_.set_state(change.sequence, *change.text);
        break;
      case QueueChange::Kind::kDelete:
        contents_.erase(change.sequence);
        break;
      default:
        break;
    }
  }
  return {};
}

Result<void> QueueEngine::read_grants() {
  for (auto& grant : core_->grants()) {
    if (!grant.items) {
      granted_.emplace_back(grant.ticket, std::unexpected(grant.items.error()));
      continue;
    }
    std::vector<Leased> leased;
    leased.reserve(grant.items->size());
    for (const QueueCore::Item& item : *grant.items) {
      auto content = reader_.read(item.entry);
      if (!content) return std::unexpected(content.error());
      leased.push_back(to_leased(item, std::move(*content)));
    }
    granted_.emplace_back(grant.ticket, std::move(leased));
  }
  return {};
}

void QueueEngine::answer(Batch& batch, Scope scope) {
  for (auto& [ticket, leased] : granted_) answer_lease(ticket, std::move(leased));
  granted_.clear();
  const Error full{ErrorCode::kIo, "the store's disk is full", "free space under the data directory"};
  for (const auto& command : batch) {
    if (scope == Scope::kAll || command->kind() != QueueCommand::Kind::kPublish) {
      command->answer();
    } else {
      command->refuse(full);
    }
  }
}

void QueueEngine::refuse(Batch& batch) {
  const Error full{ErrorCode::kIo, "the store's disk is full", "free space under the data directory"};
  for (const auto& command : batch) command->refuse(full);
}

void QueueEngine::answer_lease(Ticket ticket, Result<std::vector<Leased>> leased) {
  const auto found = pending_.find(ticket);
  if (found == pending_.end()) return;
  LeaseAnswer answer = std::move(found->second);
  pending_.erase(found);
  answer.set(std::move(leased));
}

}  // namespace mayfly::store
