#include "observe/report_lines.h"

#include <gtest/gtest.h>

namespace mayfly::observe {
namespace {

using dispatch::OutcomeStatus;

constexpr const char* kId = "8f507cfc-example-4697-b07a-ac58fc914c95";

dispatch::Target target() {
  dispatch::Target result;
  result.version = "$LATEST";
  result.memory_mb = 128;
  return result;
}

dispatch::Outcome ended(OutcomeStatus status) {
  dispatch::Outcome result;
  result.status = status;
  result.request_id = kId;
  result.duration = std::chrono::microseconds(1'234);
  result.billed_ms = 2;
  result.max_memory_mb = 31;
  return result;
}

using Lines = std::vector<std::string>;

std::string report_line(const dispatch::Target& of, const dispatch::Outcome& with) {
  return end_lines(of, with, {}).back();
}

const std::string kReport = std::string("REPORT RequestId: ") + kId +
                            "\tDuration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 31 MB\t";

TEST(ReportLinesTest, StartAndEndNameTheRequest) {
  EXPECT_EQ(start_lines(target(), kId, {}), Lines{std::string("START RequestId: ") + kId + " Version: $LATEST"});
  EXPECT_EQ(end_lines(target(), ended(OutcomeStatus::kSuccess), {}).front(), std::string("END RequestId: ") + kId);
}

TEST(ReportLinesTest, AWarmSuccessHasTheFiveFields) {
  EXPECT_EQ(report_line(target(), ended(OutcomeStatus::kSuccess)), kReport);
}

TEST(ReportLinesTest, AColdStartAddsItsInitDuration) {
  auto cold = ended(OutcomeStatus::kSuccess);
  cold.cold_start = true;
  cold.init_duration = std::chrono::microseconds(100'110);
  EXPECT_EQ(report_line(target(), cold), kReport + "Init Duration: 100.11 ms\t");
}

TEST(ReportLinesTest, FailuresOfThePlatformsMakingAddAStatus) {
  EXPECT_EQ(report_line(target(), ended(OutcomeStatus::kFunctionError)), kReport);
  EXPECT_EQ(report_line(target(), ended(OutcomeStatus::kTimedOut)), kReport + "Status: timeout");
  EXPECT_EQ(report_line(target(), ended(OutcomeStatus::kCrashed)),
            kReport + "Status: error\tError Type: Runtime.ExitError");
  EXPECT_EQ(report_line(target(), ended(OutcomeStatus::kOutOfMemory)),
            kReport + "Status: error\tError Type: Runtime.OutOfMemory");
}

TEST(ReportLinesTest, AnErrorTypeFromAPayloadIsTakenOnlyWhereItIsAName) {
  auto failed = ended(OutcomeStatus::kInitFailed);
  failed.payload = R"({"errorType":"Runtime.ImportModuleError","errorMessage":"no"})";
  EXPECT_EQ(report_line(target(), failed), kReport + "Status: error\tError Type: Runtime.ImportModuleError");
  failed.payload = R"({"errorType":"Runtime.X\n\tStatus: fine"})";
  EXPECT_EQ(report_line(target(), failed), kReport + "Status: error\tError Type: Runtime.Unknown");
  failed.payload = "no json";
  EXPECT_EQ(report_line(target(), failed), kReport + "Status: error\tError Type: Runtime.Unknown");
}

TEST(ReportLinesTest, JsonEventsFollowTheSystemLogLevel) {
  auto json = target();
  json.logs.json = true;
  const SystemTime now{std::chrono::microseconds(1'767'225'600'123'000)};
  auto success = ended(OutcomeStatus::kSuccess);
  success.cold_start = true;
  success.init_duration = std::chrono::microseconds(100'110);
  EXPECT_EQ(start_lines(json, kId, now).front(),
            std::string(R"({"time":"2026-01-01T00:00:00.123Z","type":"platform.start","record":{"requestId":")") + kId +
                R"(","version":"$LATEST"}})");
  EXPECT_EQ(
      end_lines(json, success, now),
      Lines{std::string(R"({"time":"2026-01-01T00:00:00.123Z","type":"platform.report","record":{"requestId":")") +
            kId + R"(","status":"success","metrics":{"durationMs":1.234,"billedDurationMs":2,"memorySizeMB":128,)" +
            R"("maxMemoryUsedMB":31,"initDurationMs":100.11}}})"});
  json.logs.system_level = dispatch::SystemLogLevel::kDebug;
  EXPECT_EQ(end_lines(json, success, now).size(), 2U);
  json.logs.system_level = dispatch::SystemLogLevel::kWarn;
  EXPECT_TRUE(start_lines(json, kId, now).empty());
  EXPECT_TRUE(end_lines(json, success, now).empty());
  const auto timeout = end_lines(json, ended(OutcomeStatus::kTimedOut), now);
  ASSERT_EQ(timeout.size(), 2U);
  EXPECT_NE(timeout.front().find(R"("type":"platform.runtimeDone")"), std::string::npos);
  EXPECT_NE(timeout.back().find(R"("status":"timeout")"), std::string::npos);
}

}  // namespace
}  // namespace mayfly::observe
