#include "services/scheduler/scheduler.h"

#include <fmt/core.h>

#include "base/ids.h"
#include "base/log.h"
#include "services/scheduler/core.h"

namespace mayfly::scheduler {
namespace {

constexpr std::size_t kStartPage = 4'096;

Scheduler::Info info_of(const ScheduleRecord& record) {
  Scheduler::Info info;
  info.arn = text_of(record.shown.Arn);
  info.name = text_of(record.shown.Name);
  info.group = text_of(record.shown.GroupName);
  info.expression = text_of(record.shown.ScheduleExpression);
  info.zone = text_of(record.shown.ScheduleExpressionTimezone);
  info.state = text_of(record.shown.State);
  info.target_arn = text_of(record.shown.Target->Arn);
  info.next = record.due;
  info.last = record.last_due;
  return info;
}

}  // namespace

struct Scheduler::Impl {
  Impl(store::KeyValue& store, Submit submit_in, Supports supports, Clock& clock, SchedulerSettings settings)
      : submit(submit_in),
        core(store, std::move(submit_in), std::move(supports), clock, std::move(settings)),
        service(wire::service()) {
    bind_schedules(service, core);
    bind_groups(service, core);
    bind_tags(service, core);
    core.firing.on_completed([this](const std::string& key) { core.count(place_of(key), -1); });
  }

  [[nodiscard]] Place place(const std::string& region) const {
    return {.account = core.settings.account, .region = region.empty() ? core.settings.region : region};
  }

  Submit submit;
  Core core;
  aws::Service service;
  std::vector<std::string> unfinished;  // groups whose deletion the last server began
};

Scheduler::Scheduler(store::KeyValue& store, Submit submit, Supports supports, Clock& clock, SchedulerSettings settings)
    : impl_(std::make_unique<Impl>(store, std::move(submit), std::move(supports), clock, std::move(settings))) {}

Scheduler::~Scheduler() = default;

void Scheduler::add_to(delivery::Targets& targets) {
  targets.add(std::string(kAttemptHandler), attempt_handler(targets));
}

aws::Service& Scheduler::service() { return impl_->service; }

Awaitable<Result<void>> Scheduler::load() {
  auto& core = impl_->core;
  std::string after;
  for (;;) {
    auto page = co_await core.store.list(std::string(kSchedulePrefix), after, kStartPage);
    if (!page) co_return std::unexpected(std::move(page.error()));
    for (const auto& entry : *page) {
      const auto fires_at = fires_at_of(entry.value);
      if (!fires_at) co_return fail(fires_at.error().code, fmt::format("{}: {}", entry.key, fires_at.error().message));
      core.firing.set(entry.key, *fires_at);
      core.count(place_of(entry.key), 1);
    }
    if (page->size() < kStartPage) break;
    after = page->back().key;
  }
  after.clear();
  for (;;) {
    auto page = co_await core.store.list(std::string(kGroupPrefix), after, kStartPage);
    if (!page) co_return std::unexpected(std::move(page.error()));
    for (const auto& entry : *page) {
      const auto group = group_from_text(entry.key, entry.value);
      if (!group) co_return fail(group.error().code, fmt::format("{}: {}", entry.key, group.error().message));
      if (group->state == "DELETING") impl_->unfinished.push_back(entry.key);
    }
    if (page->size() < kStartPage) break;
    after = page->back().key;
  }
  co_return Result<void>();
}

void Scheduler::start(Reactor& reactor) {
  for (auto& key : impl_->unfinished) delete_group(impl_->core, reactor, std::move(key));
  impl_->unfinished.clear();
  impl_->core.firing.start(reactor);
}

Awaitable<void> Scheduler::stop() {
  impl_->core.deletions.stop();
  co_await impl_->core.firing.stop();
  co_await impl_->core.deletions.join();
}

Awaitable<Result<std::vector<Scheduler::Info>>> Scheduler::list(std::string region, std::string group,
                                                                std::string after, std::size_t limit) {
  const auto place = impl_->place(region);
  const auto all = fmt::format("{}{}/{}/", kSchedulePrefix, place.account, place.region);
  const auto prefix = group.empty() ? all : schedule_key(place, group, "");
  const auto from = after.empty() ? std::string() : all + after;
  auto page = co_await impl_->core.store.list(prefix, from, limit);
  if (!page) co_return std::unexpected(std::move(page.error()));
  std::vector<Info> out;
  for (const auto& entry : *page) {
    auto record = schedule_from_text(entry.key, entry.value);
    if (!record) co_return std::unexpected(std::move(record.error()));
    out.push_back(info_of(*record));
  }
  co_return out;
}

Awaitable<Result<Scheduler::Info>> Scheduler::find(std::string region, std::string group, std::string name,
                                                   std::size_t upcoming) {
  if (group.empty()) group = kDefaultGroup;
  const auto key = schedule_key(impl_->place(region), group, name);
  auto entry = co_await impl_->core.store.get(key);
  if (!entry) co_return std::unexpected(std::move(entry.error()));
  if (!*entry) co_return fail(ErrorCode::kNotFound, fmt::format("Schedule {} does not exist.", name));
  auto record = schedule_from_text(key, (*entry)->value);
  if (!record) co_return std::unexpected(std::move(record.error()));
  auto info = info_of(*record);
  const auto timing = timing_of(*record, impl_->core.zones);
  while (timing && record->due && info.upcoming.size() < upcoming) {
    info.upcoming.push_back(*record->due);
    plan_next(*record, *timing, *record->due);
  }
  co_return info;
}

Awaitable<Result<void>> Scheduler::run_now(std::string region, std::string group, std::string name) {
  if (group.empty()) group = kDefaultGroup;
  const auto key = schedule_key(impl_->place(region), group, name);
  auto entry = co_await impl_->core.store.get(key);
  if (!entry) co_return std::unexpected(std::move(entry.error()));
  if (!*entry) co_return fail(ErrorCode::kNotFound, fmt::format("Schedule {} does not exist.", name));
  auto record = schedule_from_text(key, (*entry)->value);
  if (!record) co_return std::unexpected(std::move(record.error()));
  auto requests = requests_of(*record, impl_->core.clock.now(), uuid4());
  if (!requests) co_return std::unexpected(std::move(requests.error()));
  co_return co_await impl_->submit(std::move(*requests));
}

Scheduler::Counts Scheduler::counts() const {
  const auto& firing = impl_->core.firing;
  return {.fired = firing.fired(), .waiting = firing.waiting(), .next = firing.next()};
}

bool Scheduler::is_settled(SystemTime now) const { return impl_->core.firing.is_settled(now); }

}  // namespace mayfly::scheduler
