#include "app/test_clock.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <fstream>

#include "app/front.h"
#include "base/log.h"
#include "base/time_format.h"

namespace mayfly::app {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr std::chrono::hours kLongestMove{24 * 3660};
constexpr seconds kLongestSettling{60};  // of real time
constexpr microseconds kLook{200};
constexpr microseconds kLongestLook{20'000};
constexpr std::size_t kBodyBytes = 4096;

SystemTime kept_time(const std::filesystem::path& file, SystemTime start) {
  std::ifstream in(file);
  std::int64_t micros = 0;
  if (!(in >> micros)) return start;
  return std::max(start, SystemTime(microseconds(micros)));
}

// Where a POST wants the clock, or why not.
Result<SystemTime> wanted_time(std::string_view body, SystemTime now) {
  const auto request = parse_json(body);
  if (!request || !request->is_object()) return fail(ErrorCode::kInvalid, "the body is not a JSON object");
  const auto* by = find(*request, "advance_seconds");
  const auto* to = find(*request, "to");
  if ((by == nullptr) == (to == nullptr)) {
    return fail(ErrorCode::kInvalid, "the body has either advance_seconds or to");
  }
  if (by != nullptr) {
    if (!by->is_number()) return fail(ErrorCode::kInvalid, "advance_seconds is not a number");
    const auto number = by->to_number<double>();
    const auto longest = static_cast<double>(std::chrono::duration_cast<seconds>(kLongestMove).count());
    if (!(number >= 0 && number <= longest)) {
      return fail(ErrorCode::kInvalid, fmt::format("advance_seconds is a number from 0 to {}", longest));
    }
    return now + microseconds(static_cast<std::int64_t>(number * 1e6));
  }
  const auto time = to->is_string() ? parse_iso8601(to->get_string()) : std::nullopt;
  if (!time) return fail(ErrorCode::kInvalid, "to is not a time such as 2026-01-31T23:59:59Z");
  return *time;
}

json::object shown(SystemTime now) { return {{"now", iso8601_millis(now)}, {"epoch_seconds", epoch_seconds(now)}}; }

Awaitable<void> refuse(http::ResponseWriter& response, int status, std::string message) {
  http::Response out;
  out.head.status = status;
  out.head.headers.set("Content-Type", "application/json");
  out.body = to_json(json::object{{"message", message}});
  std::ignore = co_await response.send(std::move(out));
}

}  // namespace

TestClock::TestClock(std::filesystem::path file, SystemTime start)
    : file_(std::move(file)), clock_(kept_time(file_, start)) {}

void TestClock::keep() const {
  const auto fresh = file_.string() + ".new";
  {
    std::ofstream out(fresh, std::ios::trunc);
    out << clock_.now().time_since_epoch().count() << "\n";
    if (!out.flush()) {
      log(Level::kWarn, "the test clock's time cannot be kept", {{"file", fresh}});
      return;
    }
  }
  std::error_code error;
  std::filesystem::rename(fresh, file_, error);
}

Awaitable<bool> TestClock::settle() {
  Reactor& reactor = Reactor::current();
  const auto deadline = reactor.steady_now() + kLongestSettling;
  microseconds look = kLook;
  while (!std::ranges::all_of(settled_, [this](const auto& settled) { return settled(clock_.now()); })) {
    if (reactor.steady_now() >= deadline) co_return false;
    co_await reactor.sleep_for(look);
    look = std::min(look * 2, kLongestLook);
  }
  co_return true;
}

Awaitable<Result<void>> TestClock::move_to(SystemTime target) {
  if (moving_.exchange(true)) co_return fail(ErrorCode::kConflict, "the clock is being moved by another request");
  const std::shared_ptr<void> moved(nullptr, [this](void*) { moving_ = false; });
  if (target < clock_.now()) co_return fail(ErrorCode::kInvalid, "the clock does not go back");
  if (target - clock_.now() > kLongestMove) co_return fail(ErrorCode::kInvalid, "a move is at most ten years");
  bool settled = co_await settle();
  while (settled && clock_.now() < target) {
    nanoseconds step = target - clock_.now();
    if (const auto next = clock_.next_timer()) {
      step = std::clamp<nanoseconds>(*next - clock_.steady_now(), microseconds(1), step);
    }
    clock_.advance(step);
    settled = co_await settle();
  }
  keep();
  if (settled) co_return Result<void>();
  co_return fail(ErrorCode::kTimeout, fmt::format("what became due did not end within {} s; the clock stands at {}",
                                                  kLongestSettling.count(), iso8601_millis(clock_.now())));
}

Awaitable<void> TestClock::serve(TestClock* clock, http::Request& request, http::ResponseWriter& response) {
  if (clock == nullptr) {
    co_await refuse(response, 409, "this server runs on real time; start it with --test-clock");
    co_return;
  }
  if (request.head.method == "POST") {
    auto body = co_await request.read_all(kBodyBytes);
    if (!body) {
      co_await refuse(response, 400, "the body cannot be read");
      co_return;
    }
    const auto target = wanted_time(*body, clock->clock_.now());
    if (!target) {
      co_await refuse(response, 400, target.error().message);
      co_return;
    }
    const auto moved = co_await clock->move_to(*target);
    if (!moved) {
      const auto code = moved.error().code;
      int status = 400;
      if (code == ErrorCode::kConflict) status = 409;
      if (code == ErrorCode::kTimeout) status = 504;
      co_await refuse(response, status, moved.error().message);
      co_return;
    }
  } else if (request.head.method != "GET") {
    co_await refuse(response, 405, "GET or POST");
    co_return;
  }
  json::value body = shown(clock->clock_.now());
  co_await send_json(response, std::move(body));
}

}  // namespace mayfly::app
