#include "services/sqs/tables.h"

#include <set>

#include "base/log.h"

namespace mayfly::sqs {

Awaitable<Result<void>> Tables::load() {
  auto loaded = co_await records_.load();
  if (!loaded) co_return loaded;
  for (const auto& record : all()) {
    auto configured = co_await configure(record->key());
    if (!configured) co_return configured;
  }
  co_return co_await remove_forgotten();
}

Awaitable<Result<void>> Tables::remove_forgotten() {
  auto names = co_await port_.list(std::string(kPortPrefix));
  if (!names) co_return std::unexpected(std::move(names.error()));
  std::set<std::string> known;
  for (const auto& record : all()) known.insert(record->port_name().str());
  for (auto& name : *names) {
    if (known.contains(name.str())) continue;
    log(Level::kInfo, "a queue that was being made or deleted when the server ended is removed",
        {{"queue", name.str()}});
    auto removed = co_await port_.remove(std::move(name));
    if (!removed) co_return std::unexpected(std::move(removed.error()));
  }
  co_return Result<void>();
}

QueuePtr Tables::find(const Place& place, std::string_view name) const { return records_.find(queue_key(place, name)); }

QueuePtr Tables::find_arn(std::string_view arn) const {
  const auto parsed = delivery::parse_arn(arn);
  if (!parsed || parsed->service != "sqs") return nullptr;
  const Place place{.account = parsed->account, .region = parsed->region};
  return find(place, parsed->resource);
}

std::vector<QueuePtr> Tables::list(const Place& place, std::string_view prefix) const {
  return records_.list(queue_key(place, prefix));
}

std::vector<QueuePtr> Tables::all() const { return records_.list(std::string(QueueRecord::kPrefix)); }

std::vector<QueuePtr> Tables::sources_of(std::string_view dead_letter_arn) const {
  auto out = all();
  std::erase_if(out, [&](const QueuePtr& queue) { return queue->dead_letter_arn != dead_letter_arn; });
  return out;
}

Awaitable<Result<void>> Tables::configure(std::string key) {
  for (;;) {
    const auto current = records_.find(key);
    if (!current) co_return Result<void>();
    auto name = current->port_name();
    auto settings = current->port_settings();
    auto configured = co_await port_.configure(std::move(name), settings);
    if (!configured) co_return std::unexpected(std::move(configured.error()));
    // Where the record changed meanwhile, the two calls may have passed each other.
    if (records_.find(key) == current) co_return Result<void>();
  }
}

Awaitable<aws::ApiResult<QueuePtr>> Tables::create(QueueRecord record) {
  // The port's queue first: whoever sees the record can use it.
  auto name = record.port_name();
  auto settings = record.port_settings();
  auto configured = co_await port_.configure(name, settings);
  if (!configured) co_return refuse_store(configured.error());
  auto created = co_await records_.create(std::move(record));
  if (created) co_return std::move(*created);
  const bool taken = created.error().code == ErrorCode::kExists;
  auto removed = co_await port_.remove(std::move(name));
  if (!removed) co_return refuse_store(removed.error());
  if (!taken) co_return refuse_store(created.error());
  co_return QueuePtr();
}

Awaitable<aws::ApiResult<QueuePtr>> Tables::change(Place place, std::string name, QueueEdit edit) {
  const auto key = queue_key(place, name);
  aws::ApiError missing = refuse_queue().error();
  auto changed = co_await records_.change(key, std::move(missing), std::move(edit));
  if (!changed && changed.error().model == &aws::common_errors::ThrottlingException) {
    co_return refuse(wire::errors::RequestThrottled, changed.error().message);
  }
  if (!changed) co_return changed;
  auto configured = co_await configure(key);
  if (!configured) co_return refuse_store(configured.error());
  co_return changed;
}

Awaitable<aws::ApiResult<void>> Tables::erase(Place place, std::string name) {
  const auto key = queue_key(place, name);
  auto erased = co_await records_.erase(key);
  if (!erased) co_return refuse_store(erased.error());
  if (!*erased) co_return refuse_queue();
  auto gone = (*erased)->port_name();
  auto removed = co_await port_.remove(std::move(gone));
  if (!removed) co_return refuse_store(removed.error());
  co_return aws::ApiResult<void>();
}

}  // namespace mayfly::sqs
