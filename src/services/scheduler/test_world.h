// What the tests of this folder share: a store and a delivery in memory that outlive servers, requests without
// sockets, and a clock that moves when told to.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/json.h"
#include "base/time_format.h"
#include "http/fake_exchange.h"
#include "services/scheduler/scheduler.h"
#include "store/fake_key_value.h"

namespace mayfly::scheduler::testing {

using MemoryStore = store::FakeKeyValue;
using http::FakeRequest;
using http::FakeResponse;

// One call of the service; the status goes to `status`.
inline Awaitable<void> call_service(const Scheduler* scheduler, std::string method, std::string target,
                                    std::string body, int* status, json::value* answer) {
  aws::CallContext context;
  context.request_id = "00000000-0000-4000-8000-000000000001";
  context.principal.account = "000000000000";
  context.region = "us-east-1";
  FakeRequest request;
  request.head.method = method;
  request.head.target = target;
  request.head.headers.set("Content-Type", "application/json");
  FakeResponse response;
  auto& service = const_cast<Scheduler*>(scheduler)->service();
  co_await service.serve(context, request, std::move(body), response);
  *status = response.got.head.status;
  auto parsed = parse_json(response.got.body);
  *answer = parsed ? std::move(*parsed) : json::value(response.got.body);
}

inline constexpr const char* kQueueTarget =
    R"("Target":{"Arn":"arn:aws:sqs:us-east-1:000000000000:jobs","RoleArn":"arn:aws:iam::000000000000:role/r")";

inline bool supports_test_targets(std::string_view arn) {
  const auto parsed = delivery::parse_arn(arn);
  return parsed && (parsed->service == "sqs" || parsed->service == "lambda" || parsed->service == "events");
}

}  // namespace mayfly::scheduler::testing
