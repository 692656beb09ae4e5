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

dispatch::Outcome outcome(OutcomeStatus status) {
  dispatch::Outcome result;
  result.status = status;
  result.request_id = kId;
  result.duration = std::chrono::microseconds(1'234);
  result.billed_ms = 2;
  result.max_memory_mb = 31;
  return result;
}

const std::string kReport = std::string("REPORT RequestId: ") + kId +
                            "\tDuration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 31 MB\t";

TEST(ReportLinesTest, StartAndEndNameTheRequest) {
  EXPECT_EQ(start_line(target(), kId), std::string("START RequestId: ") + kId + " Version: $LATEST");
  EXPECT_EQ(end_line(kId), std::string("END RequestId: ") + kId);
}

TEST(ReportLinesTest, AWarmSuccessHasTheFiveFields) {
  EXPECT_EQ(report_line(target(), outcome(OutcomeStatus::kSuccess)), kReport);
}

TEST(ReportLinesTest, AColdStartAddsItsInitDuration) {
  auto cold = outcome(OutcomeStatus::kSuccess);
  cold.cold_start = true;
  cold.init_duration = std::chrono::microseconds(100'110);
  EXPECT_EQ(report_line(target(), cold), kReport + "Init Duration: 100.11 ms\t");
}

TEST(ReportLinesTest, FailuresOfThePlatformsMakingAddAStatus) {
  EXPECT_EQ(report_line(target(), outcome(OutcomeStatus::kFunctionError)), kReport);
  EXPECT_EQ(report_line(target(), outcome(OutcomeStatus::kTimedOut)), kReport + "Status: timeout");
  EXPECT_EQ(report_line(target(), outcome(OutcomeStatus::kCrashed)),
            kReport + "Status: error\tError Type: Runtime.ExitError");
  EXPECT_EQ(report_line(target(), outcome(OutcomeStatus::kOutOfMemory)),
            kReport + "Status: error\tError Type: Runtime.OutOfMemory");
}

TEST(ReportLinesTest, AnErrorTypeFromAPayloadIsTakenOnlyWhereItIsAName) {
  auto failed = outcome(OutcomeStatus::kInitFailed);
  failed.payload = R"({"errorType":"Runtime.ImportModuleError","errorMessage":"no"})";
  EXPECT_EQ(report_line(target(), failed), kReport + "Status: error\tError Type: Runtime.ImportModuleError");
  failed.payload = R"({"errorType":"Runtime.X\n\tStatus: fine"})";
  EXPECT_EQ(report_line(target(), failed), kReport + "Status: error\tError Type: Runtime.Unknown");
  failed.payload = "no json";
  EXPECT_EQ(report_line(target(), failed), kReport + "Status: error\tError Type: Runtime.Unknown");
}

}  // namespace
}  // namespace mayfly::observe
