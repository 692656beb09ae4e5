// A seeded simulation of everything that is event-driven, as the server puts it together: buses, topics, queues and the
// delivery between them on a virtual clock, with a function that fails, throttles, refuses and is slow, a disk that is
// full at times, and servers that are killed between any two durable steps. The engines are the real ones; their store,
// queue and stream are kept in memory, where they survive the servers. (Schedules have a simulation of their own.)
//
// What must hold. An event that was acknowledged is in the queue of every rule that matches it, and at the function or
// in its dead-letter queue; a message that was acknowledged is in the queue of every subscriber that it passes, once in
// a FIFO queue and in the order of its group; nothing is anywhere that nobody sent; a publish to a FIFO topic that is
// repeated within its window adds nothing; a rule's time is served once. Without a kill everything is there once.
//
// A failing seed is printed; MAYFLY_TEST_SEED=<seed> runs it alone, MAYFLY_TEST_SEEDS=<count> another number of them.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <set>

#include "base/encoding.h"
#include "base/json.h"
#include "base/signing_key.h"
#include "base/time_format.h"
#include "delivery/simulated_server.h"
#include "http/fake_exchange.h"
#include "services/events/events.h"
#include "services/sns/sns.h"
#include "services/sqs/sqs.h"
#include "store/fake_stream.h"

namespace mayfly::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const std::string kPlace = "us-east-1:000000000000:";
std::string queue_arn(const std::string& name) { return "arn:aws:sqs:" + kPlace + name; }
std::string topic_arn(const std::string& name) { return "arn:aws:sns:" + kPlace + name; }

struct Exchange {
  http::FakeRequest request;
  http::FakeResponse response;
  aws::CallContext context;
};

// What a client knows of one message: which kind, whether it was acknowledged, how often it was sent without an answer.
struct Sent {
  char kind = 'a';
  std::string group;
  bool acknowledged = false;
  int unanswered = 0;
  std::size_t order = 0;  // among the acknowledged ones
};

class EventSimulation final : public delivery::SimulatedServer {
 public:
  explicit EventSimulation(std::uint64_t seed) : SimulatedServer(seed) {
    static const auto key = SigningKey::make("test", VirtualClock().now()).value();
    const json::object text{{"privateKey", key.private_key_pem()}, {"certificate", key.certificate_pem()}};
    store_.entries["sns/signing-key"] = {.key = "sns/signing-key", .value = to_json(text), .revision = ++store_.last};
  }

  // "" or what is wrong.
  std::string run() {
    begin_server();
    set_up();
    const auto horizon = clock_.now() + minutes(20 + pick(60));
    while (clock_.now() < horizon && wrong_.empty()) {
      if (pick(8) == 0) fate_.steps_left = 1 + pick(40);
      if (pick(20) == 0) memory_.broken = store_.full = true;
      for (auto calls = pick(4); calls > 0 && !fate_.dead; --calls) send();
      memory_.broken = store_.full = false;
      advance(pick(3) == 0 ? std::chrono::nanoseconds(milliseconds(1 + pick(3'000)))
                           : std::chrono::nanoseconds(seconds(1 + pick(200))));
      if (fate_.dead) end_server_and_begin();
    }
    fate_.steps_left = 0;
    calm_ = true;
    if (fate_.dead) end_server_and_begin();
    call("events", "DisableRule", R"({"Name":"tick"})");
    for (int i = 0; i < 20 && wrong_.empty(); ++i) advance(minutes(6));
    if (wrong_.empty()) check();
    stop();
    return wrong_;
  }

 private:
  void add_targets() override {
    targets_->add("lambda", [this](delivery::Arn, delivery::Event event) { return run_function(std::move(event)); });
  }
  void make_services() override {
    const auto submit = [this](std::vector<delivery::Request> requests) {
      return delivery_->submit_all(std::move(requests));
    };
    const auto deliver = [this](std::string arn, delivery::Event event) {
      return targets_->deliver(std::move(arn), std::move(event));
    };
    sqs_ = std::make_unique<sqs::Sqs>(store_, queue_, clock_, sqs::SqsSettings{});
    sqs_->add_to(*targets_);
    events_ = std::make_unique<events::Events>(store_, streams_, clock_, submit, *targets_, events::EventsSettings{});
    targets_->add("events", events_->target_handler());
    sns_ = std::make_unique<sns::Sns>(store_, queue_, submit, deliver, pool(), clock_, sns::SnsSettings{});
    sns_->add_to(*targets_);
  }
  Awaitable<bool> start_services() override {
    const auto queues = co_await sqs_->load();
    const auto buses = co_await events_->load();
    const auto topics = co_await sns_->load();
    const auto taken_up = co_await delivery_->start();
    events_->start(reactors_->at(0));
    co_return queues&& buses&& topics&& taken_up;
  }
  Awaitable<void> stop_services() override {
    co_await events_->stop();
    co_await delivery_->stop(seconds(1));
    co_await sqs_->stop();
    co_await delivery_->join();
  }
  void drop_services() override {
    sns_.reset();
    events_.reset();
    sqs_.reset();
  }
  static BlockingPool& pool() {
    static BlockingPool one(1, 16);
    return one;
  }
  void advance(std::chrono::nanoseconds by) { SimulatedServer::advance(by, minutes(1)); }

  aws::Service& service(const std::string& name) {
    if (name == "sns") return sns_->service();
    return name == "sqs" ? sqs_->service() : events_->service();
  }
  // One call: true where it was acknowledged.
  bool call(const std::string& name, const std::string& operation, std::string body) {
    const auto exchange = std::make_shared<Exchange>();
    exchange->context.request_id = "00000000-0000-4000-8000-000000000001";
    exchange->context.principal = {.account = "000000000000", .arn = "arn:aws:iam::000000000000:root"};
    exchange->context.region = "us-east-1";
    exchange->context.host = "localhost:4566";
    auto& head = exchange->request.head;
    head.method = "POST";
    head.target = "/";
    if (name == "sns") {
      head.headers.set("Content-Type", "application/x-www-form-urlencoded");
      body = "Action=" + operation + "&Version=2010-03-31&" + body;
    } else {
      head.headers.set("X-Amz-Target", (name == "sqs" ? "AmazonSQS." : "AWSEvents.") + operation);
      head.headers.set("Content-Type", name == "sqs" ? "application/x-amz-json-1.0" : "application/x-amz-json-1.1");
    }
    task([this, exchange, name, body]() -> Awaitable<void> {
      co_await service(name).serve(exchange->context, exchange->request, body, exchange->response);
    });
    answer_ = exchange->response.got.body;
    return !fate_.dead && exchange->response.got.head.status == 200;
  }
  void must(const std::string& name, const std::string& operation, std::string body) {
    if (!call(name, operation, std::move(body)) && wrong_.empty()) wrong_ = operation + ": " + answer_;
  }

  void set_up() {
    for (const auto* name : {"jobs", "letters", "fan", "other", "ticks", "plain", "direct"}) {
      must("sqs", "CreateQueue", fmt::format(R"({{"QueueName":"{}"}})", name));
    }
    must("sqs", "CreateQueue", R"({"QueueName":"order.fifo","Attributes":{"FifoQueue":"true"}})");
    const auto topic = [this](const std::string& fields) { must("sns", "CreateTopic", fields); };
    topic("Name=news");
    topic("Name=order.fifo&Attributes.entry.1.key=FifoTopic&Attributes.entry.1.value=true");
    for (const auto& [from, to] :
         {std::pair("news", "fan"), std::pair("order.fifo", "order.fifo"), std::pair("order.fifo", "plain")}) {
      must("sns", "Subscribe",
           fmt::format("TopicArn={}&Protocol=sqs&Endpoint={}&Attributes.entry.1.key=RawMessageDelivery&"
                       "Attributes.entry.1.value=true",
                       topic_arn(from), queue_arn(to)));
    }
    must("events", "CreateEventBus", R"({"Name":"second"})");
    const auto letters = fmt::format(R"("DeadLetterConfig":{{"Arn":"{}"}})", queue_arn("letters"));
    rule("a", "default", R"(,"InputPath":"$.detail.n"})", queue_arn("jobs"));
    targets("a", "default",
            fmt::format(R"({{"Id":"f","Arn":"arn:aws:lambda:{}function:work","InputPath":"$.detail.n",)"
                        R"("RetryPolicy":{{"MaximumRetryAttempts":{}}},{}}})",
                        kPlace, pick(4), letters));
    rule("b", "default", R"(,"InputPath":"$.detail.n"})", topic_arn("news"));
    rule("c", "default", "}", fmt::format("arn:aws:events:{}event-bus/second", kPlace));
    rule("c", "second", R"(,"InputPath":"$.detail.n"})", queue_arn("other"));
    must("events", "PutRule", R"j({"Name":"tick","ScheduleExpression":"rate(5 minutes)"})j");
    targets("tick", "default", fmt::format(R"({{"Id":"q","Arn":"{}","InputPath":"$.time"}})", queue_arn("ticks")));
  }
  // Events of one kind to one target.
  void rule(const std::string& kind, const std::string& bus, const std::string& more, const std::string& arn) {
    const auto pattern = fmt::format(R"({{\"source\":[\"sim\"],\"detail\":{{\"kind\":[\"{}\"]}}}})", kind);
    must("events", "PutRule",
         fmt::format(R"({{"Name":"{}","EventBusName":"{}","EventPattern":"{}"}})", kind, bus, pattern));
    targets(kind, bus, fmt::format(R"({{"Id":"t","Arn":"{}"{})", arn, more));
  }
  void targets(const std::string& name, const std::string& bus, const std::string& target) {
    must("events", "PutTargets",
         fmt::format(R"({{"Rule":"{}","EventBusName":"{}","Targets":[{}]}})", name, bus, target));
  }

  // Something new, or a publish to the FIFO topic again.
  void send() {
    // Repeats lie within the topic's window of five minutes.
    std::erase_if(repeatable_, [this](const auto& one) { return one.second < clock_.now() - minutes(4); });
    if (pick(5) == 0 && !repeatable_.empty()) {
      publish_in_order(repeatable_[pick(repeatable_.size())].first);
      return;
    }
    const auto number = fmt::format("n{}", sent_.size());
    auto& one = sent_[number];
    one.kind = "abcdefd"[pick(7)];
    if (one.kind == 'd') {
      one.group = fmt::format("g{}", pick(2));
      repeatable_.emplace_back(number, clock_.now());
      publish_in_order(number);
      return;
    }
    bool done = false;
    if (one.kind == 'e') {
      done = call("sns", "Publish", fmt::format("TopicArn={}&Message={}", topic_arn("news"), number));
    } else if (one.kind == 'f') {
      done = call("sqs", "SendMessage", fmt::format(R"({{"QueueUrl":"direct","MessageBody":"{}"}})", number));
    } else {
      const auto detail = fmt::format(R"({{\"kind\":\"{}\",\"n\":\"{}\"}})", one.kind, number);
      done = call("events", "PutEvents",
                  fmt::format(R"({{"Entries":[{{"Source":"sim","DetailType":"t","Detail":"{}"}}]}})", detail)) &&
             answer_.contains(R"("FailedEntryCount":0)");
    }
    one.acknowledged = done;
    if (!done) ++one.unanswered;
  }
  void publish_in_order(const std::string& number) {
    auto& one = sent_[number];
    const bool done = call("sns", "Publish",
                           fmt::format("TopicArn={}&Message={}&MessageGroupId={}&MessageDeduplicationId={}",
                                       topic_arn("order.fifo"), number, one.group, number));
    if (!done) ++one.unanswered;
    if (done && !one.acknowledged) {
      one.acknowledged = true;
      one.order = ++acknowledged_;
    }
  }

  Awaitable<delivery::Attempt> run_function(delivery::Event event) {
    delivery::Attempt out;
    if (!calm_ && pick(6) == 0) {
      Signal never;
      const auto until = clock_.steady_now() + seconds(1 + pick(40));
      ++slow_;
      co_await never.wait_until(until);
      --slow_;
    }
    // What a dead server still computes reaches nobody.
    if (fate_.dead) co_return out;
    const auto luck = calm_ ? 9 : pick(10);
    if (luck < 2) out.kind = delivery::Attempt::Kind::kRetry;
    if (luck == 2) out.kind = delivery::Attempt::Kind::kThrottled;
    if (luck == 3) out.kind = delivery::Attempt::Kind::kRefused;
    if (out.kind == delivery::Attempt::Kind::kDone) ran_.insert(unquoted(event.payload));
    co_return out;
  }
  static std::string unquoted(const std::string& payload) {
    const auto value = parse_json(payload);
    return value && value->is_string() ? std::string(value->get_string()) : payload;
  }
  // The bodies that lie in a queue, in order.
  std::vector<std::string> bodies(const std::string& name) {
    std::vector<std::string> out;
    task([this, &out, name]() -> Awaitable<void> {
      const auto lying = co_await sqs_->peek(queue_arn(name), 0, 10'000);
      if (!lying) wrong_ = "a queue cannot be looked at";
      if (!lying) co_return;
      for (const auto& one : *lying) out.push_back(unquoted(one.message.body));
    });
    return out;
  }

  void check() {
    const auto jobs = bodies("jobs");
    const auto letters = bodies("letters");
    const auto order = bodies("order.fifo");
    const std::map<char, std::vector<std::string>> queues{
        {'a', jobs}, {'b', bodies("fan")}, {'c', bodies("other")}, {'d', bodies("plain")}, {'f', bodies("direct")}};
    const auto times = [](const std::vector<std::string>& in, const std::string& what) {
      return std::ranges::count(in, what);
    };
    for (const auto& [number, one] : sent_) {
      const auto& queue = queues.at(one.kind == 'e' ? 'b' : one.kind);
      const auto there = times(queue, number);
      const auto text = fmt::format("{} of kind {}, {} times in its queue", number, one.kind, there);
      if (one.acknowledged && there == 0) wrong_ = "lost: " + text;
      if (kills_ == 0 && there > 1) wrong_ = "twice: " + text;
      const bool handled = ran_.contains(number) || times(letters, number) > 0;
      if (one.kind == 'a' && one.acknowledged && !handled) wrong_ = "neither run nor dead: " + text;
      if (one.kind != 'd') continue;
      if (there > 1 + one.unanswered) wrong_ = "a repeat was delivered: " + text;
      if (times(order, number) > 1 || (one.acknowledged && times(order, number) == 0)) wrong_ = "in order: " + text;
    }
    check_order(order);
    for (const auto& [kind, queue] : queues) {
      for (const auto& body : queue) {
        if (!sent_.contains(body)) wrong_ = fmt::format("invented: {}", body);
      }
    }
    const auto ticks = bodies("ticks");
    if (std::set(ticks.begin(), ticks.end()).size() != ticks.size()) wrong_ = "a rule's time was served twice";
    if (ticks.empty()) wrong_ = "a rule's times were not served";
    for (const auto& [name, content] : memory_.queues) {
      if (name.starts_with("delivery/") && !content.messages.empty()) wrong_ = "something still waits in " + name;
    }
  }
  // Of a group those that were answered at their first try lie in the order of their answers.
  void check_order(const std::vector<std::string>& lying) {
    std::map<std::string, std::size_t> last;
    for (const auto& number : lying) {
      const auto& one = sent_[number];
      if (!one.acknowledged || one.unanswered > 0) continue;
      auto& before = last[one.group];
      if (one.order < before) wrong_ = "out of order: " + number;
      before = one.order;
    }
  }

  store::FakeStream streams_{clock_};
  std::map<std::string, Sent> sent_;
  std::vector<std::pair<std::string, SystemTime>> repeatable_;  // publishes to the FIFO topic of the last minutes
  std::size_t acknowledged_ = 0;
  std::set<std::string> ran_;
  std::string answer_;
  std::unique_ptr<sqs::Sqs> sqs_;
  std::unique_ptr<events::Events> events_;
  std::unique_ptr<sns::Sns> sns_;
};

TEST(EventSimulation, NothingAcknowledgedIsLostAndNothingIsInvented) {
  delivery::simulate(100, Level::kWarn, [](std::uint64_t seed) { return EventSimulation(seed).run(); });
}

}  // namespace
}  // namespace mayfly::app
