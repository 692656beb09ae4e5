#include "services/lambda/mappings.h"

#include "base/log.h"
#include "delivery/targets.h"
#include "services/lambda/poller.h"

namespace mayfly::lambda {
namespace {

PollerSettings settings_of(const MappingRecord& record, const EventSources& sources) {
  const auto& config = record.config;
  PollerSettings out;
  out.place = record.place;
  out.function = record.function;
  out.qualifier = record.qualifier;
  out.batch_size = static_cast<std::uint32_t>(config.BatchSize.value_or(10));
  out.window = std::chrono::seconds(config.MaximumBatchingWindowInSeconds.value_or(0));
  if (config.ScalingConfig && config.ScalingConfig->MaximumConcurrency) {
    out.max_concurrency = static_cast<std::uint32_t>(*config.ScalingConfig->MaximumConcurrency);
  }
  for (const auto& type : config.FunctionResponseTypes.value_or(std::vector<std::string>())) {
    if (type == "ReportBatchItemFailures") out.partial_responses = true;
  }
  out.ordered = sources.is_ordered(config.EventSourceArn.value_or(""));
  std::vector<std::string> patterns;
  if (config.FilterCriteria && config.FilterCriteria->Filters) {
    for (const auto& filter : *config.FilterCriteria->Filters) {
      if (!filter.Pattern.value_or("").empty()) patterns.push_back(*filter.Pattern);
    }
  }
  // They were checked when the mapping was made.
  if (auto filters = parse_filters(patterns)) out.filters = std::move(*filters);
  return out;
}

}  // namespace

Mappings::Mappings() = default;
Mappings::~Mappings() = default;

void Mappings::add_sources(std::string service, std::unique_ptr<EventSources> sources, Reactors& reactors) {
  sources_[std::move(service)] = std::move(sources);
  reactors_ = &reactors;
}

const EventSources* Mappings::sources_of(std::string_view arn) const {
  const auto parsed = delivery::parse_arn(arn);
  const auto found = parsed ? sources_.find(parsed->service) : sources_.end();
  return found == sources_.end() ? nullptr : found->second.get();
}

void Mappings::start_all(Core& core) {
  for (const auto& record : table.all()) apply(core, *record);
}

void Mappings::stop_all() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  for (const auto& [uuid, poller] : pollers_) poller->stop();
}

void Mappings::apply(Core& core, const MappingRecord& record) {
  const auto arn = record.config.EventSourceArn.value_or("");
  const auto* sources = sources_of(arn);
  const std::lock_guard lock(mutex_);
  auto& slot = pollers_[record.uuid];
  if (slot) slot->stop();
  if (!record.enabled || stopping_) return;  // one that still works off its batches stays visible
  if (sources == nullptr || reactors_ == nullptr) {
    log(Level::kWarn, "an event source mapping reads from what is not here",
        {{"mapping", record.uuid}, {"source", arn}});
    return;
  }
  slot = std::make_shared<Poller>(core, sources->open(arn), settings_of(record, *sources));
  slot->start(reactors_->next());
}

void Mappings::end(const MappingRecord& record) {
  const std::lock_guard lock(mutex_);
  const auto found = pollers_.find(record.uuid);
  if (found == pollers_.end()) return;
  if (found->second) found->second->stop();
  pollers_.erase(found);
}

std::string Mappings::state_of(const MappingRecord& record) const {
  if (record.enabled) return "Enabled";
  const std::lock_guard lock(mutex_);
  const auto found = pollers_.find(record.uuid);
  const bool works = found != pollers_.end() && found->second && found->second->is_running();
  return works ? "Disabling" : "Disabled";
}

std::optional<std::string> Mappings::last_result_of(const MappingRecord& record) const {
  const std::lock_guard lock(mutex_);
  const auto found = pollers_.find(record.uuid);
  const char* result = found != pollers_.end() && found->second ? found->second->last_result() : nullptr;
  if (result == nullptr) return std::nullopt;
  return result;
}

}  // namespace mayfly::lambda
