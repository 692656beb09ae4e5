// A seeded simulation of scheduler, delivery and queue on a virtual clock: targets that fail, throttle, refuse and are
// slow, and servers that are killed between any two durable steps and started again. The engines are the real ones;
// their store and queue are kept in memory, where they survive the servers.
//
// What must hold. Every occurrence of every schedule is delivered or dead-lettered, and nothing else is. It is handed
// to delivery once, whatever is killed when, as long as a server comes back within delivery's window of five minutes.
// Without a kill it is delivered once.
//
// A failing seed is printed; MAYFLY_TEST_SEED=<seed> runs it alone, MAYFLY_TEST_SEEDS=<count> another number of them.
#include <fmt/core.h>

#include <set>

#include "delivery/simulated_server.h"
#include "services/scheduler/record.h"
#include "services/scheduler/target.h"
#include "services/scheduler/test_world.h"

namespace mayfly::scheduler::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

struct Planned {
  std::string key;
  std::string name;
  std::string body;  // of CreateSchedule
  std::string generation;
  std::vector<SystemTime> due;
};

class Simulation final : public delivery::SimulatedServer {
 public:
  explicit Simulation(std::uint64_t seed) : SimulatedServer(seed) {}

  // "" or what is wrong.
  std::string run() {
    // Long enough that no schedule is completed, and deleted, while it is created.
    horizon_ = clock_.now() + minutes(61 + pick(120));
    begin_server();
    const auto count = 1 + pick(4);
    for (std::uint64_t i = 0; i < count && wrong_.empty(); ++i) plan_schedule(i);
    while (clock_.now() < horizon_ && wrong_.empty()) {
      if (pick(12) == 0) fate_.steps_left = 1 + pick(60);
      if (pick(25) == 0 && !planned_.empty()) touch(planned_[pick(planned_.size())]);
      advance(random_step());
      if (fate_.dead) end_server_and_begin();
    }
    // From here on everything works, and what waits is worked off.
    fate_.steps_left = 0;
    calm_ = true;
    if (fate_.dead) end_server_and_begin();
    for (int i = 0; i < 30 && wrong_.empty(); ++i) advance(minutes(6));
    if (wrong_.empty()) check();
    stop();
    return wrong_;
  }

 private:
  std::chrono::nanoseconds random_step() {
    return pick(3) == 0 ? std::chrono::nanoseconds(milliseconds(1 + pick(5'000)))
                        : std::chrono::nanoseconds(seconds(10 + pick(300)));
  }

  void add_targets() override {
    targets_->add("sqs",
                  [this](delivery::Arn arn, delivery::Event event) { return take(std::move(arn), std::move(event)); });
  }
  void make_services() override {
    const auto submit = [this](std::vector<delivery::Request> requests) {
      return delivery_->submit_all(std::move(requests));
    };
    scheduler_ = std::make_unique<Scheduler>(store_, submit, supports_test_targets, clock_, SchedulerSettings{});
  }
  Awaitable<bool> start_services() override {
    const auto loaded = co_await scheduler_->load();
    const auto taken_up = co_await delivery_->start();
    scheduler_->start(reactors_->at(0));
    co_return loaded&& taken_up;
  }
  Awaitable<void> stop_services() override {
    co_await scheduler_->stop();
    co_await delivery_->stop(seconds(1));
    co_await delivery_->join();
  }
  void drop_services() override { scheduler_.reset(); }
  std::chrono::nanoseconds away() override {
    const bool long_away = pick(8) == 0;
    long_away_ = long_away_ || long_away;
    return long_away ? std::chrono::nanoseconds(minutes(6 + pick(60))) : std::chrono::nanoseconds(seconds(pick(50)));
  }
  void advance(std::chrono::nanoseconds by) { SimulatedServer::advance(by, minutes(10)); }

  Awaitable<delivery::Attempt> take(delivery::Arn arn, delivery::Event event) {
    delivery::Attempt out;
    // A dead letter has an id of its own and its event's payload.
    const auto payload = parse_json(event.payload);
    const std::string occurrence(payload ? get_string(*payload, "id") : std::string_view());
    if (!calm_ && pick(6) == 0) {
      Signal never;
      const auto until = clock_.steady_now() + seconds(1 + pick(40));
      ++slow_;
      co_await never.wait_until(until);
      --slow_;
    }
    // What a dead server still computes reaches nobody.
    if (fate_.dead) co_return out;
    if (!calm_ && arn.resource != "dead") {
      const auto luck = pick(10);
      if (luck < 2) out.kind = delivery::Attempt::Kind::kRetry;
      if (luck == 2) out.kind = delivery::Attempt::Kind::kThrottled;
      if (luck == 3) out.kind = delivery::Attempt::Kind::kRefused;
    }
    if (out.kind == delivery::Attempt::Kind::kDone) {
      ++(arn.resource == "dead" ? dead_ : delivered_)[occurrence];
      text_[occurrence] = event.payload;
    }
    co_return out;
  }

  std::string random_expression() {
    static const std::vector<std::string> kAll{
        "rate(1 minute)",          "rate(7 minutes)",        "rate(1 hour)",
        "cron(0/5 * * * ? *)",     "cron(13,14 * * * ? *)",  "cron(* 1 ? * THU *)",
        "at(2026-01-01T00:41:07)", "at(2026-01-01T00:20:00)"};
    return kAll[pick(kAll.size())];
  }

  void plan_schedule(std::uint64_t number) {
    Planned one;
    one.name = fmt::format("s{}", number);
    one.key = schedule_key({.account = "000000000000", .region = "us-east-1"}, "default", one.name);
    const auto expression = random_expression();
    const auto window = pick(4) == 0 ? R"({"Mode":"FLEXIBLE","MaximumWindowInMinutes":9})" : R"({"Mode":"OFF"})";
    one.body =
        fmt::format(R"j({{"FlexibleTimeWindow":{},"ScheduleExpression":"{}","EndDate":{},)j", window, expression,
                    epoch_seconds(horizon_)) +
        (pick(2) == 0 ? R"("ActionAfterCompletion":"DELETE",)" : "") + kQueueTarget +
        R"(,"DeadLetterConfig":{"Arn":"arn:aws:sqs:us-east-1:000000000000:dead"},"RetryPolicy":{"MaximumRetryAttempts":)" +
        fmt::format("{}}}}}}}", pick(5));
    const auto now = clock_.now();
    if (call("POST", one, one.body) != 200) wrong_ = "a schedule is not created: " + one.body;
    if (!wrong_.empty()) return;
    const auto entry = store_.entries.find(one.key);
    if (entry == store_.entries.end()) return;
    auto record = schedule_from_text(one.key, entry->second.value);
    one.generation = record->generation;
    const auto parsed = schedule::Schedule::parse(expression, schedule::Dialect::kScheduler);
    for (auto after = now - std::chrono::microseconds(1);;) {
      const auto due = parsed->next_after(after, now);
      const bool one_time = parsed->kind() == schedule::Schedule::Kind::kAt;
      if (!due || (!one_time && *due >= horizon_)) break;
      // A cron schedule begins behind the moment of its creation.
      if (parsed->kind() != schedule::Schedule::Kind::kCron || *due > now) one.due.push_back(*due);
      after = *due;
    }
    planned_.push_back(std::move(one));
  }
  // A new description, which moves nothing.
  void touch(const Planned& one) {
    const auto status = call("PUT", one, R"({"Description":"touched",)" + one.body.substr(1));
    if (status != 200 && status != 404 && status != 409 && !fate_.dead) wrong_ = "an update is refused";
  }
  int call(const char* method, const Planned& one, std::string body) {
    int status = 0;
    json::value answer;
    task([&]() -> Awaitable<void> {
      return call_service(scheduler_.get(), method, "/schedules/" + one.name, body, &status, &answer);
    });
    return status;
  }

  void check() {
    std::set<std::string> expected;
    for (const auto& one : planned_) {
      for (const auto due : one.due) {
        const auto id = uuid_of(fmt::format("{}/{}", one.generation, due.time_since_epoch().count()));
        expected.insert(id);
        const auto text = fmt::format("{} of {}", iso8601_millis(due), one.body);
        if (!delivered_.contains(id) && !dead_.contains(id)) wrong_ = "lost: " + text;
        const auto handed_over = queue_.accepted["delivery/arn:aws:sqs:us-east-1:000000000000:jobs " + id];
        if (handed_over != 1 && !long_away_) wrong_ = fmt::format("handed over {} times: {}", handed_over, text);
        if (delivered_[id] > 1 && kills_ == 0) wrong_ = "delivered twice: " + text;
      }
    }
    for (const auto& [id, times] : delivered_) {
      if (times > 0 && !expected.contains(id)) wrong_ = "invented: " + text_[id];
    }
    for (const auto& [name, content] : memory_.queues) {
      if (!content.messages.empty()) wrong_ = "something still waits in " + name;
    }
  }

  SystemTime horizon_;
  std::vector<Planned> planned_;
  std::map<std::string, int> delivered_;
  std::map<std::string, int> dead_;
  std::map<std::string, std::string> text_;  // payloads
  bool long_away_ = false;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST(SchedulerSimulation, NothingIsLostInventedOrHandedOverTwice) {
  delivery::simulate(1'000, Level::kError, [](std::uint64_t seed) { return Simulation(seed).run(); });
}

}  // namespace
}  // namespace mayfly::scheduler::testing
