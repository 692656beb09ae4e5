// What it costs to know who calls and whether they may, as users, access keys, policies and routes grow. Prints one
// JSON object.
//
// Each user has an access key and a managed policy of its own, both of which a request's decision needs; the requests
// are Invoke calls signed as clients sign them, of users taken in turn. The functions have resource policies, too.
//
//   mayfly_access_bench [requests]
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "app/authorizer.h"
#include "aws/gen/lambda.h"
#include "aws/sigv4.h"
#include "base/crypto.h"
#include "base/encoding.h"
#include "base/ids.h"
#include "gateway/route_table.h"
#include "services/iam/iam.h"
#include "services/iam/records.h"
#include "store/fake_key_value.h"

namespace {

using namespace mayfly;

constexpr std::string_view kAccount = "000000000000";
constexpr std::array<std::size_t, 4> kSizes = {10, 100, 1'000, 10'000};
constexpr int kRepetitions = 5;

[[noreturn]] void give_up(const std::string& what) {
  fmt::print(stderr, "{}\n", what);
  std::_Exit(1);
}

// Records to begin with; nothing is written while the bench runs.
void add(store::FakeKeyValue& records, std::string key, const json::object& document) {
  records.entries[key] = {.key = key, .value = to_json(document), .revision = ++records.last};
}

std::string user_name(std::size_t i) { return fmt::format("user-{}", i); }
std::string key_id(std::size_t i) { return fmt::format("AKIA{:016}", i); }

// As people write them: what everybody may read, and what this one may call.
void add_user(store::FakeKeyValue& records, std::size_t i) {
  iam::ManagedPolicy policy;
  policy.account = kAccount;
  policy.name = fmt::format("policy-{}", i);
  policy.id = fmt::format("ANPA{:017}", i);
  policy.versions[1].document = fmt::format(
      R"({{"Version":"2012-10-17","Statement":[)"
      R"({{"Effect":"Allow","Action":["logs:Get*","logs:Describe*","sqs:GetQueue*"],"Resource":"*"}},)"
      R"({{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket-{0}/*"}},)"
      R"({{"Effect":"Allow","Action":"lambda:Invoke*","Resource":"arn:aws:lambda:*:{1}:function:app-{0}-*",)"
      R"("Condition":{{"IpAddress":{{"aws:SourceIp":["127.0.0.0/8","10.0.0.0/8"]}}}}}},)"
      R"({{"Effect":"Deny","Action":"lambda:*","Resource":"arn:aws:lambda:*:{1}:function:*-secret"}}]}})",
      i, kAccount);
  add(records, policy.key(), policy.document());
  iam::Entity user;
  user.kind = iam::EntityKind::kUser;
  user.account = kAccount;
  user.name = user_name(i);
  user.id = fmt::format("AIDA{:017}", i);
  user.attached.push_back(policy.arn());
  user.access_keys.push_back({.id = key_id(i), .active = true, .created = 0});
  add(records, user.key(), user.document());
}

http::RequestHead signed_request(const identity::ServerKey& key, std::size_t i, const std::string& body,
                                 SystemTime now) {
  http::RequestHead head;
  head.method = "POST";
  head.target = fmt::format("/2015-03-31/functions/app-{}-orders/invocations", i);
  head.headers.add("Host", "127.0.0.1:4566");
  head.headers.add("Content-Type", "application/json");
  aws::sign(head, body,
            {.access_key_id = key_id(i),
             .secret_access_key = key.secret_of(key_id(i)),
             .session_token = "",
             .region = "us-east-1",
             .service = "lambda"},
            now);
  return head;
}

struct Spread {
  double median = 0, least = 0, most = 0;
};

// Microseconds for each of `count` calls.
template <typename Work>
Spread measure(const Clock& clock, std::size_t count, const Work& work) {
  for (std::size_t i = 0; i < count; ++i) work(i);  // policies are compiled when they are first asked
  std::vector<double> found;
  for (int r = 0; r < kRepetitions; ++r) {
    const auto start = clock.steady_now();
    for (std::size_t i = 0; i < count; ++i) work(i);
    found.push_back(std::chrono::duration<double, std::micro>(clock.steady_now() - start).count() /
                    static_cast<double>(count));
  }
  std::ranges::sort(found);
  return {.median = found[found.size() / 2], .least = found.front(), .most = found.back()};
}

std::string shown(const Spread& spread) {
  return fmt::format(R"({{"median": {:.3f}, "least": {:.3f}, "most": {:.3f}}})", spread.median, spread.least,
                     spread.most);
}

const aws::OperationModel& invoke_operation() {
  const auto& operations = aws::lambda::service().operations;
  const auto found = std::ranges::find(operations, "Invoke", &aws::OperationModel::name);
  if (found == operations.end()) give_up("no operation Invoke");
  return *found;
}

struct Access {
  Spread signature, decision, both;
};

Access measure_access(Clock& clock, std::size_t users, std::size_t requests) {
  store::FakeKeyValue records;
  for (std::size_t i = 0; i < users; ++i) add_user(records, i);
  const identity::ServerKey key(random_bytes(32));
  iam::Iam who_is_who(records, clock, key, {.account = std::string(kAccount), .root = {}});
  Reactor reactor(clock, "bench");
  Scope scope("bench");
  scope.spawn(reactor, "load", [&]() -> Awaitable<void> {
    const auto loaded = co_await who_is_who.load();
    if (!loaded) give_up(loaded.error().message);
  });
  while (scope.running() != 0) reactor.poll();

  app::Authorizer authorizer(who_is_who, clock);
  authorizer.add_resource_policies("lambda", [](std::string_view arn) -> std::optional<std::string> {
    return fmt::format(
        R"({{"Version":"2012-10-17","Statement":[{{"Sid":"bus","Effect":"Allow","Principal":{{"Service":"events.amazonaws.com"}},)"
        R"("Action":"lambda:InvokeFunction","Resource":"{}"}}]}})",
        arn);
  });
  const std::string body(256, 'x');
  const std::string hash = hex_encode(sha256(body));
  const auto now = clock.now();
  const auto chosen = [users](std::size_t i) { return i * 7919 % users; };
  std::vector<http::RequestHead> heads;
  for (std::size_t i = 0; i < requests; ++i) heads.push_back(signed_request(key, chosen(i), body, now));

  const auto verify = [&](std::size_t i, std::optional<iam::Iam::Found>& found) {
    const auto lookup = [&](std::string_view id) -> std::optional<aws::Secret> {
      found = who_is_who.find_credentials(id, "");
      if (!found) return std::nullopt;
      return found->secret;
    };
    auto verified = aws::verify(heads[i], hash, now, lookup, {});
    if (!verified) give_up(verified.error().message);
  };
  const app::RequestFacts facts{.source_ip = "127.0.0.1", .user_agent = "bench", .tls = false};
  const auto decide = [&](std::size_t i, const iam::AuthenticatedPtr& who) {
    aws::CallContext context;
    context.region = "us-east-1";
    context.principal = {.account = std::string(kAccount), .arn = who->caller.arn, .access_key_id = who->access_key_id};
    context.who = who;
    json::object request;
    request["FunctionName"] = fmt::format("app-{}-orders", chosen(i));
    const auto refused = authorizer.check(context, facts, aws::lambda::service(), invoke_operation(), request);
    if (refused) give_up(refused->message);
  };
  std::vector<iam::AuthenticatedPtr> callers;
  for (std::size_t i = 0; i < requests; ++i) {
    callers.push_back(who_is_who.find_credentials(key_id(chosen(i)), "")->who);
  }
  Access access;
  access.signature = measure(clock, requests, [&](std::size_t i) {
    std::optional<iam::Iam::Found> found;
    verify(i, found);
  });
  access.decision = measure(clock, requests, [&](std::size_t i) { decide(i, callers[i]); });
  access.both = measure(clock, requests, [&](std::size_t i) {
    std::optional<iam::Iam::Found> found;
    verify(i, found);
    decide(i, found->who);
  });
  return access;
}

// Routes as an API of many resources has them; each request's path matches one of them and nearly others.
Spread measure_routes(const Clock& clock, std::size_t count, std::size_t requests) {
  gateway::RouteTable table;
  for (std::size_t i = 0; i < count; ++i) {
    constexpr std::array<std::string_view, 4> kForms = {"GET /v1/resource-{}/{{id}}", "POST /v1/resource-{}",
                                                        "ANY /v1/resource-{}/{{id}}/files/{{proxy+}}",
                                                        "DELETE /v1/resource-{}/{{id}}/tags/{{tag}}"};
    const auto key = gateway::parse_route_key(fmt::format(fmt::runtime(kForms[i % kForms.size()]), i / 4));
    if (!key) give_up(key.error().message);
    if (auto added = table.add(*key, i); !added) give_up(added.error().message);
  }
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < requests; ++i) {
    paths.push_back(fmt::format("/v1/resource-{}/4711/files/a/b/c.txt", i * 7919 % ((count + 1) / 4)));
  }
  return measure(clock, requests, [&](std::size_t i) {
    const auto path = gateway::split_path(paths[i]);
    if (!path || !table.find("PUT", *path)) give_up("no route for " + paths[i]);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t requests = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 20'000;
  RealClock clock;
  fmt::print("[");
  for (const std::size_t size : kSizes) {
    const Access access = measure_access(clock, size, requests);
    const Spread routes = measure_routes(clock, size, requests);
    fmt::print("{}\n{{\"size\": {}, \"signature\": {}, \"decision\": {}, \"both\": {}, \"route\": {}}}",
               size == kSizes.front() ? "" : ",", size, shown(access.signature), shown(access.decision),
               shown(access.both), shown(routes));
  }
  fmt::print("\n]\n");
  return 0;
}
