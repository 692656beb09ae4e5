#include "services/sqs/moves.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time_format.h"
#include "services/sqs/limits.h"

namespace mayfly::sqs {
namespace {

constexpr std::string_view kPrefix = "sqs/move/";
constexpr std::size_t kMovePage = 256;
constexpr std::int32_t kBatch = 100;
constexpr std::chrono::seconds kLease{60};
constexpr std::string_view kQueueGone = "AWS.SimpleQueueService.NonExistentQueue";
constexpr std::string_view kSourceUnknown = "CouldNotDetermineMessageSource";

std::string key_of(const MoveRecord& record) {
  return fmt::format("{}{}/{}/{}/{:013}-{}", kPrefix, record.place.account, record.place.region, record.name,
                     record.started, record.id);
}

std::string to_text(const MoveRecord& record) {
  json::object out{{"id", record.id},
                   {"account", record.place.account},
                   {"region", record.place.region},
                   {"name", record.name},
                   {"generation", record.generation},
                   {"destination", record.destination_arn},
                   {"rate", record.rate.value_or(0)},
                   {"started", record.started},
                   {"status", to_string(record.status)},
                   {"moved", record.moved},
                   {"to_move", record.to_move},
                   {"failure", record.failure}};
  return to_json(out);
}

std::optional<MoveRecord> move_from_text(std::string_view text) {
  const auto parsed = parse_json(text);
  if (!parsed) return std::nullopt;
  const auto& in = *parsed;
  MoveRecord out;
  out.id = get_string(in, "id");
  out.place = {.account = std::string(get_string(in, "account")), .region = std::string(get_string(in, "region"))};
  out.name = get_string(in, "name");
  out.generation = get_string(in, "generation");
  out.destination_arn = get_string(in, "destination");
  if (const auto rate = get_int(in, "rate"); rate > 0) out.rate = static_cast<std::int32_t>(rate);
  out.started = get_int(in, "started");
  out.moved = get_int(in, "moved");
  out.to_move = get_int(in, "to_move");
  out.failure = get_string(in, "failure");
  for (const auto status :
       {MoveStatus::kRunning, MoveStatus::kCompleted, MoveStatus::kCancelled, MoveStatus::kFailed}) {
    if (get_string(in, "status") == to_string(status)) out.status = status;
  }
  if (out.id.empty() || out.name.empty()) return std::nullopt;
  return out;
}

// The same text always gives the same id.
std::string id_of(std::string_view text) {
  auto hex = hex_encode(sha256(text)).substr(0, 32);
  hex[12] = '8';  // a UUID of the kind that is made in a way of one's own (RFC 9562)
  hex[16] = 'a';
  for (const std::size_t at : {20U, 16U, 12U, 8U}) hex.insert(at, 1, '-');
  return hex;
}

}  // namespace

std::string_view to_string(MoveStatus status) {
  switch (status) {
    case MoveStatus::kRunning:
      return "RUNNING";
    case MoveStatus::kCompleted:
      return "COMPLETED";
    case MoveStatus::kCancelled:
      return "CANCELLED";
    case MoveStatus::kFailed:
      break;
  }
  return "FAILED";
}

std::string MoveRecord::handle() const {
  return base64_encode(to_json(json::object{{"taskId", id}, {"sourceArn", source_arn()}}));
}

store::NewMessage redriven(const QueueRecord& source, const std::string& id, std::string group,
                           const std::string& dedupe_id, Envelope envelope, std::string_view text) {
  if (envelope.dedupe_id.empty()) envelope.dedupe_id = dedupe_id;
  envelope.receives_before = 0;
  envelope.source_arn.clear();
  store::NewMessage out;
  out.id = id_of(source.generation + "/" + id);
  out.body = seal(envelope, text);
  out.group = std::move(group);
  return out;
}

Awaitable<Result<void>> Moves::load() {
  std::string after;
  for (;;) {
    auto page = co_await store_.list(std::string(kPrefix), after, kMovePage);
    if (!page) co_return std::unexpected(std::move(page.error()));
    for (const auto& entry : *page) {
      auto record = move_from_text(entry.value);
      if (!record) co_return fail(ErrorCode::kCorrupt, entry.key + ": the record of a move cannot be read");
      const auto id = record->id;
      const bool running = record->status == MoveStatus::kRunning;
      {
        const std::lock_guard lock(mutex_);
        moves_[id] = std::move(*record);
      }
      if (running) begin(id);
    }
    if (page->size() < kMovePage) co_return Result<void>();
    after = page->back().key;
  }
}

void Moves::stop() {
  scope_.stop();
  wake_.notify_all();
}

Awaitable<void> Moves::join() { co_await scope_.join(); }

void Moves::begin(const std::string& id) {
  // False while the server stops: the record says that it runs, and the next start takes it up.
  std::ignore = scope_.spawn(Reactor::current(), "message move", [this, id] { return run(id); });
}

Awaitable<aws::ApiResult<std::string>> Moves::start(QueuePtr source, std::string destination_arn,
                                                    std::optional<std::int32_t> rate) {
  auto port_name = source->port_name();
  auto counts = co_await port_.counts(std::move(port_name));
  if (!counts) co_return refuse_store(counts.error());
  MoveRecord record;
  record.id = uuid4();
  record.place = source->place;
  record.name = source->name;
  record.generation = source->generation;
  record.destination_arn = std::move(destination_arn);
  record.rate = rate;
  record.started = static_cast<std::int64_t>(epoch_seconds(clock_.now()) * 1000);
  record.to_move = static_cast<std::int64_t>(counts->ready);
  {
    const std::lock_guard lock(mutex_);
    const bool running = std::ranges::any_of(moves_, [&](const auto& item) {
      return item.second.status == MoveStatus::kRunning && item.second.generation == record.generation;
    });
    if (running) {
      co_return refuse_value(
          "There is already a task running. Only one active task is allowed for a source queue arn at a given time.");
    }
    moves_[record.id] = record;
  }
  auto dropped = co_await drop_old(record.place, record.name);
  if (dropped) dropped = co_await persist(record.id);
  if (!dropped) {
    const std::lock_guard lock(mutex_);
    moves_.erase(record.id);
    co_return refuse_store(dropped.error());
  }
  begin(record.id);
  co_return record.handle();
}

Awaitable<aws::ApiResult<std::int64_t>> Moves::cancel(std::string handle) {
  const auto bytes = base64_decode(handle);
  const auto parsed = bytes ? parse_json(*bytes) : fail(ErrorCode::kInvalid, "");
  if (!parsed || get_string(*parsed, "taskId").empty()) {
    co_return refuse_value("Value for parameter TaskHandle is invalid.");
  }
  const std::string id(get_string(*parsed, "taskId"));
  std::int64_t moved = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = moves_.find(id);
    if (found == moves_.end()) {
      co_return refuse(wire::errors::ResourceNotFoundException, "Task does not exist.");
    }
    if (found->second.status != MoveStatus::kRunning) {
      co_return refuse_value("Only active tasks can be cancelled.");
    }
    found->second.status = MoveStatus::kCancelled;
    moved = found->second.moved;
  }
  wake_.notify_all();
  auto persisted = co_await persist(id);
  if (!persisted) co_return refuse_store(persisted.error());
  co_return moved;
}

std::optional<MoveRecord> Moves::get(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = moves_.find(id);
  return found == moves_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<MoveRecord> Moves::list(const Place& place, const std::string& name) const {
  std::vector<MoveRecord> out;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, move] : moves_) {
      if (move.place == place && move.name == name) out.push_back(move);
    }
  }
  std::ranges::sort(out, std::greater(), &MoveRecord::started);
  return out;
}

Awaitable<Result<void>> Moves::forget(Place place, std::string name) {
  for (const auto& move : list(place, name)) {
    {
      const std::lock_guard lock(mutex_);
      moves_.erase(move.id);
    }
    auto removed = co_await store_.remove(key_of(move), std::nullopt);
    if (!removed) co_return removed;
  }
  wake_.notify_all();
  co_return Result<void>();
}

Awaitable<Result<void>> Moves::drop_old(Place place, std::string name) {
  const auto all = list(place, name);
  for (std::size_t i = kListedMoves; i < all.size(); ++i) {
    {
      const std::lock_guard lock(mutex_);
      moves_.erase(all[i].id);
    }
    auto removed = co_await store_.remove(key_of(all[i]), std::nullopt);
    if (!removed) co_return removed;
  }
  co_return Result<void>();
}

Awaitable<Result<void>> Moves::persist(std::string id) {
  const auto record = get(id);
  if (!record) co_return Result<void>();
  auto written = co_await store_.put(key_of(*record), to_text(*record));
  if (!written) co_return std::unexpected(std::move(written.error()));
  co_return Result<void>();
}

Awaitable<void> Moves::run(std::string id) {
  for (;;) {
    const auto record = get(id);
    if (!record || scope_.stopping()) co_return;
    if (record->status != MoveStatus::kRunning) {
      // Once more, as a progress that was being written may have come after the cancellation.
      std::ignore = co_await persist(id);
      co_return;
    }
    auto moved = co_await move_some(*record);
    if (!moved) {
      co_await finish(id, MoveStatus::kFailed, moved.error().message);
      co_return;
    }
    if (*moved == 0) {
      co_await finish(id, MoveStatus::kCompleted, "");
      co_return;
    }
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = moves_.find(id); found != moves_.end()) {
        found->second.moved += static_cast<std::int64_t>(*moved);
      }
    }
    auto persisted = co_await persist(id);
    if (!persisted) log(Level::kWarn, "the progress of a message move was not stored", {{"move", id}});
    if (!record->rate) continue;
    const auto pause =
        std::chrono::nanoseconds(std::chrono::seconds(1)) * static_cast<std::int64_t>(*moved) / *record->rate;
    const auto until = clock_.steady_now() + pause;
    // A wake that comes between the two is missed, which costs one pause: a second at most.
    if (!scope_.stopping()) std::ignore = co_await wake_.wait_until(clock_, until);
  }
}

Awaitable<void> Moves::finish(std::string id, MoveStatus status, std::string failure) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = moves_.find(id);
    if (found == moves_.end()) co_return;
    if (found->second.status == MoveStatus::kRunning) {
      found->second.status = status;
      found->second.failure = std::move(failure);
    }
  }
  auto persisted = co_await persist(id);
  if (!persisted) {
    log(Level::kWarn, "the end of a message move was not stored; the next start goes on with it",
        {{"move", id}, {"error", persisted.error().message}});
  }
}

Awaitable<Result<std::size_t>> Moves::move_some(MoveRecord record) {
  const auto source = tables_.find(record.place, record.name);
  if (!source || source->generation != record.generation) co_return fail(ErrorCode::kNotFound, std::string(kQueueGone));
  store::LeaseRequest request;
  request.max_messages = static_cast<std::uint32_t>(std::min(kBatch, record.rate.value_or(kBatch)));
  request.duration = kLease;
  auto leased = co_await port_.lease(source->port_name(), request);
  if (!leased) co_return std::unexpected(std::move(leased.error()));
  const auto count = leased->size();
  // By destination, in the order in which they were leased.
  std::map<std::string, std::vector<store::Leased>> batches;
  bool homeless = false;
  for (auto& message : *leased) {
    auto destination = record.destination_arn;
    if (destination.empty()) {
      const auto opened = open(message.body);
      if (opened) destination = opened->envelope.source_arn;
    }
    homeless = homeless || destination.empty();
    batches[destination].push_back(std::move(message));
  }
  Result<void> result;
  if (homeless) result = fail(ErrorCode::kInvalid, std::string(kSourceUnknown));
  for (auto& [destination, messages] : batches) {
    std::vector<store::LeaseToken> tokens;
    for (const auto& message : messages) tokens.push_back(message.token);
    if (result) result = co_await publish_batch(source, destination, std::move(messages));
    if (result) continue;
    for (auto& token : tokens) {
      auto released = co_await port_.release(source->port_name(), std::move(token), std::chrono::microseconds(0), "");
      if (!released) log(Level::kDebug, "a message of a failed move is free again later", {});
    }
  }
  if (!result) co_return std::unexpected(std::move(result.error()));
  co_return count;
}

Awaitable<Result<void>> Moves::publish_batch(QueuePtr source, std::string destination_arn,
                                             std::vector<store::Leased> leased) {
  const auto destination = tables_.find_arn(destination_arn);
  if (!destination) co_return fail(ErrorCode::kNotFound, std::string(kQueueGone));
  std::vector<store::NewMessage> messages;
  std::vector<store::LeaseToken> tokens;
  for (auto& message : leased) {
    auto opened = open(message.body);
    if (!opened) co_return std::unexpected(std::move(opened.error()));
    const auto text = std::string_view(message.body).substr(opened->text_at);
    messages.push_back(
        redriven(*source, message.id, std::move(message.group), message.dedupe_id, std::move(opened->envelope), text));
    tokens.push_back(std::move(message.token));
  }
  auto published = co_await port_.publish(destination->port_name(), std::move(messages));
  if (!published) co_return std::unexpected(std::move(published.error()));
  auto ended = co_await port_.acknowledge_all(source->port_name(), std::move(tokens));
  for (const auto& one : ended) {
    if (!one) log(Level::kWarn, "a message that was moved could not be removed", {{"error", one.error().message}});
  }
  co_return Result<void>();
}

}  // namespace mayfly::sqs
