#include "services/audit/trail.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "base/time_format.h"

namespace mayfly::audit {
namespace {

constexpr std::size_t kMostWaiting = 65'536;
constexpr std::size_t kMostWaitingBytes = 64UL * 1024 * 1024;
constexpr std::size_t kBatch = 1'000;
constexpr std::size_t kBatchBytes = 8UL * 1024 * 1024;
constexpr std::size_t kReadPage = 500;
constexpr std::chrono::seconds kLongestWait{5};
constexpr std::chrono::hours kTrimEvery{1};

store::StreamName name() { return store::StreamName("audit/trail"); }

bool mentions(const json::value& value, std::string_view wanted) {
  if (value.is_string()) {
    const std::string_view text(value.get_string());
    return text == wanted ||
           (text.ends_with(wanted) && text.size() > wanted.size() &&
            (text[text.size() - wanted.size() - 1] == ':' || text[text.size() - wanted.size() - 1] == '/'));
  }
  if (value.is_array()) {
    return std::ranges::any_of(value.get_array(), [&](const json::value& item) { return mentions(item, wanted); });
  }
  if (value.is_object()) {
    return std::ranges::any_of(value.get_object(),
                               [&](const auto& member) { return mentions(member.value(), wanted); });
  }
  return false;
}

bool mentions_member(const json::value& record, std::string_view key, std::string_view wanted) {
  const auto* part = find(record, key);
  return part != nullptr && mentions(*part, wanted);
}

}  // namespace

bool matches(const json::value& record, const Filter& filter) {
  const auto is = [&](const std::string& wanted, std::string_view key) {
    return wanted.empty() || get_string(record, key) == wanted;
  };
  const auto* who = find(record, "userIdentity");
  const json::value nobody = json::object();
  const auto& identity = who == nullptr ? nobody : *who;
  if (!is(filter.account, "recipientAccountId") || !is(filter.region, "awsRegion") || !is(filter.event_id, "eventID") ||
      !is(filter.event_name, "eventName") || !is(filter.event_source, "eventSource")) {
    return false;
  }
  if (!filter.access_key_id.empty() && get_string(identity, "accessKeyId") != filter.access_key_id) return false;
  if (!filter.user.empty()) {
    const auto arn = get_string(identity, "arn");
    const auto last = arn.substr(arn.find_last_of("/:") + 1);
    if (filter.user != last && filter.user != arn && filter.user != get_string(identity, "userName")) return false;
  }
  if (filter.read_only && get_bool(record, "readOnly", false) != *filter.read_only) return false;
  const auto error = get_string(record, "errorCode");
  if ((filter.errors_only || filter.denials_only) && error.empty()) return false;
  if (filter.denials_only && !error.starts_with("AccessDenied")) return false;
  if (!filter.resource_name.empty() && !mentions_member(record, "requestParameters", filter.resource_name) &&
      !mentions_member(record, "responseElements", filter.resource_name)) {
    return false;
  }
  if (!filter.from && !filter.to) return true;
  const auto time = parse_iso8601(get_string(record, "eventTime"));
  return time && (!filter.from || *time >= *filter.from) && (!filter.to || *time <= *filter.to);
}

Trail::Trail(store::Stream& stream, Clock& clock, TrailSettings settings)
    : stream_(stream), clock_(clock), settings_(settings) {}

bool Trail::push(Waiting& waiting) {
  const std::lock_guard lock(mutex_);
  if (queue_.size() >= kMostWaiting || queued_bytes_ + waiting.text.size() > kMostWaitingBytes) return false;
  queued_bytes_ += waiting.text.size();
  queue_.push_back(std::move(waiting));
  return true;
}

Awaitable<void> Trail::record(std::string text, Wait wait) {
  Waiting waiting;
  waiting.text = std::move(text);
  OneShot<bool> done;
  if (wait == Wait::kUntilDurable) waiting.done = done;
  const auto deadline = Reactor::current().steady_now() + kLongestWait;
  while (!push(waiting)) {
    const bool notified = co_await room_.wait_until(deadline);
    if (notified) continue;
    ++lost_;
    log(Level::kError, "a call could not be recorded: too many wait", {{"lost", lost_.load()}});
    co_return;
  }
  work_.notify();
  if (wait == Wait::kUntilDurable) std::ignore = co_await done.get_until(deadline);
}

Awaitable<void> Trail::write_batch(std::vector<Waiting> batch) {
  std::vector<std::string> texts;
  texts.reserve(batch.size());
  for (const auto& waiting : batch) texts.push_back(waiting.text);
  const std::optional<std::uint64_t> whatever;
  auto appended = co_await stream_.append(name(), std::move(texts), whatever);
  if (!appended) {
    lost_ += batch.size();
    log(Level::kError, "calls could not be recorded", {{"records", batch.size()}, {"error", appended.error().message}});
  }
  for (auto& waiting : batch) {
    if (waiting.done) waiting.done->set(appended.has_value());
    if (appended) followers_.publish(waiting.text, [](const std::string&) { return true; });
  }
}

Awaitable<void> Trail::trim() {
  auto trimmed = co_await stream_.trim_to(name(), clock_.now() - settings_.retention, settings_.most_bytes);
  if (!trimmed && trimmed.error().code != ErrorCode::kNotFound) {
    log(Level::kWarn, "the audit trail could not be trimmed", {{"error", trimmed.error().message}});
  }
}

Awaitable<void> Trail::write() {
  for (;;) {
    std::vector<Waiting> batch;
    {
      const std::lock_guard lock(mutex_);
      std::size_t bytes = 0;
      while (!queue_.empty() && batch.size() < kBatch && bytes < kBatchBytes) {
        bytes += queue_.front().text.size();
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
      queued_bytes_ -= bytes;
    }
    if (!batch.empty()) {
      room_.notify_all();
      co_await write_batch(std::move(batch));
      continue;
    }
    if (tasks_.stopping()) co_return;
    if (clock_.steady_now() >= next_trim_) {
      next_trim_ = clock_.steady_now() + kTrimEvery;
      co_await trim();
    }
    std::ignore = co_await work_.wait_until(clock_, next_trim_);
  }
}

Awaitable<Result<Page>> Trail::read(Filter filter, std::uint64_t before, std::size_t limit, std::size_t look) {
  Page page;
  auto info = co_await stream_.info(name());
  if (!info && info.error().code == ErrorCode::kNotFound) co_return page;
  if (!info) co_return std::unexpected(std::move(info.error()));
  std::uint64_t end = before == 0 ? info->last + 1 : std::min(before, info->last + 1);  // exclusive
  std::size_t looked = 0;
  while (end > info->first && page.found.size() < limit && looked < look) {
    const std::uint64_t begin = end > info->first + kReadPage ? end - kReadPage : info->first;
    const store::StreamRead bound{.max_records = end - begin, .max_bytes = kMostWaitingBytes};
    auto records = co_await stream_.read(name(), begin - 1, bound);
    if (!records) co_return std::unexpected(std::move(records.error()));
    for (auto at = records->rbegin(); at != records->rend(); ++at) {
      if (at->sequence >= end) continue;
      ++looked;
      end = at->sequence;
      auto record = parse_json(at->data);
      if (!record || !matches(*record, filter)) continue;
      page.found.push_back({.sequence = at->sequence, .record = std::move(*record)});
      if (page.found.size() == limit) break;
    }
    // Nothing older than the time that is asked for is worth a look.
    if (filter.from && !records->empty() && records->front().at + std::chrono::minutes(1) < *filter.from) {
      if (page.found.size() < limit) end = info->first;
      break;
    }
    if (page.found.size() < limit) end = begin;
  }
  page.next = end > info->first ? end : 0;
  co_return page;
}

std::shared_ptr<void> Trail::follow(std::function<void(const std::string& text)> callback) {
  return followers_.add("", std::move(callback));
}

void Trail::start(Reactor& reactor) {
  tasks_.spawn(reactor, "writer", [this] { return write(); });
}

Awaitable<void> Trail::stop() {
  tasks_.stop();
  work_.notify();
  co_await tasks_.join();
}

}  // namespace mayfly::audit
