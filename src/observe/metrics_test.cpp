#include "observe/metrics.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "dispatch/invocation.h"

namespace mayfly::observe {
namespace {

using dispatch::OutcomeStatus;

dispatch::Target target(const std::string& name) {
  dispatch::Target result;
  result.function_name = name;
  return result;
}

dispatch::Outcome outcome(OutcomeStatus status) {
  dispatch::Outcome result;
  result.status = status;
  result.duration = std::chrono::milliseconds(20);
  return result;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(MetricsTest, AnOutcomeIsCountedByFunctionAndKind) {
  Metrics metrics;
  metrics.record(target("f"), outcome(OutcomeStatus::kSuccess));
  metrics.record(target("f"), outcome(OutcomeStatus::kTimedOut));
  metrics.record_throttle(target("f"), "ConcurrentInvocationLimitExceeded");
  const std::string text = metrics.exposition();
  EXPECT_NE(text.find("# TYPE mayfly_invocations_total counter"), std::string::npos);
  EXPECT_NE(text.find("mayfly_invocations_total{function=\"f\"} 2"), std::string::npos) << text;
  EXPECT_NE(text.find("kind=\"timeout\"} 1"), std::string::npos) << text;
  EXPECT_NE(text.find("reason=\"ConcurrentInvocationLimitExceeded\"} 1"), std::string::npos) << text;
  EXPECT_NE(text.find("mayfly_invocation_duration_seconds_bucket{function=\"f\",le=\"0.025\"} 2"), std::string::npos)
      << text;
  EXPECT_NE(text.find("mayfly_cold_starts_total{function=\"f\"} 0"), std::string::npos) << text;
}

TEST(MetricsTest, ColdStartsAddAnInitDuration) {
  Metrics metrics;
  auto cold = outcome(OutcomeStatus::kSuccess);
  cold.cold_start = true;
  cold.init_duration = std::chrono::milliseconds(200);
  metrics.record(target("f"), cold);
  const std::string text = metrics.exposition();
  EXPECT_NE(text.find("mayfly_cold_starts_total{function=\"f\"} 1"), std::string::npos) << text;
  EXPECT_NE(text.find("mayfly_init_duration_seconds_count 1"), std::string::npos) << text;
}

TEST(MetricsTest, GaugesShowTheLastValueAndUnknownStatesAreOther) {
  Metrics metrics;
  metrics.set_concurrent_executions(3);
  metrics.set_instances("idle", 4);
  metrics.set_instances("imagined", 5);
  const std::string text = metrics.exposition();
  EXPECT_NE(text.find("mayfly_concurrent_executions 3"), std::string::npos) << text;
  EXPECT_NE(text.find("mayfly_instances{state=\"idle\"} 4"), std::string::npos) << text;
  EXPECT_NE(text.find("mayfly_instances{state=\"other\"} 5"), std::string::npos) << text;
}

TEST(MetricsTest, AForgottenFunctionHasNoSeries) {
  Metrics metrics;
  metrics.record(target("gone"), outcome(OutcomeStatus::kCrashed));
  metrics.record_throttle(target("gone"), "x");
  metrics.record(target("stays"), outcome(OutcomeStatus::kSuccess));
  metrics.forget_function("gone");
  metrics.forget_function("never seen");
  const std::string text = metrics.exposition();
  EXPECT_EQ(count(text, "\"gone\""), 0) << text;
  EXPECT_NE(count(text, "\"stays\""), 0);
}

TEST(MetricsTest, FunctionsBeyondTheBoundShareOneLabel) {
  Metrics metrics;
  for (int i = 0; i < 700; ++i) {
    metrics.record(target("f" + std::to_string(i)), outcome(OutcomeStatus::kFunctionError));
  }
  const std::string text = metrics.exposition();
  EXPECT_LE(count(text, "mayfly_invocations_total{"), 501);
  EXPECT_NE(text.find("mayfly_invocations_total{function=\"__other__\"} 200"), std::string::npos);
  EXPECT_NE(text.find("mayfly_invocation_errors_total{function=\"__other__\",kind=\"function\"} 200"),
            std::string::npos);
}

TEST(MetricsTest, RecordingAndForgettingAtOnceIsSafe) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&metrics, i] {
      for (int n = 0; n < 2'000; ++n) {
        metrics.record(target("f" + std::to_string(n % 3)), outcome(OutcomeStatus::kCrashed));
        if (i == 0 && n % 7 == 0) metrics.forget_function("f1");
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_NE(metrics.exposition().find("mayfly_invocations_total{function=\"f0\"}"), std::string::npos);
}

}  // namespace
}  // namespace mayfly::observe
