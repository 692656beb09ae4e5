// What lies in lanes, and what dead letters say.
#include "delivery/records.h"

#include <gtest/gtest.h>

#include "delivery/parcel.h"

namespace mayfly::delivery {
namespace {

const std::string kTarget = "arn:aws:lambda:us-east-1:000000000000:function:work";

Parcel dead_parcel(const std::string& source) {
  Parcel out;
  out.target = kTarget;
  out.event.id = "11111111-2222-4333-8444-555555555555";
  out.event.source_arn = source;
  out.policy.dead_letter_arn = "arn:aws:sqs:us-east-1:000000000000:letters";
  return out;
}

// ERROR_CODE of the dead letter.
std::string code_of(const Parcel& parcel, const std::string& code, Ending ending) {
  Progress progress;
  progress.attempts = 1;
  progress.last.error_code = code;
  const auto letters = followers(parcel, progress, ending, SystemTime{});
  EXPECT_EQ(letters.size(), 1U);
  return std::string(get_string(letters.at(0).event.message_attributes.at("ERROR_CODE"), "StringValue"));
}

TEST(Parcel, ReadsBackWhatItWroteAndRefusesTheRest) {
  Parcel parcel;
  parcel.target = kTarget;
  parcel.via = "lambda-run";
  parcel.event.id = "11111111-2222-4333-8444-555555555555";
  parcel.event.payload = "x\n\"y";
  parcel.event.parameters["a"] = 1;
  parcel.event.group_id = "g";
  parcel.policy.jitter = false;
  parcel.policy.waits = {std::chrono::milliseconds(0), std::chrono::milliseconds(1'500)};
  parcel.policy.dead_letter_form = DeadLetterForm::kFunction;
  parcel.policy.dead_letter_facts = {{"EXECUTION_ID", "e"}, {"SCHEDULED_TIME", "t"}};
  const auto text = to_text(parcel);
  const auto back = parcel_from_text(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(to_text(*back), text);
  EXPECT_EQ(back->event.payload, "x\n\"y");
  EXPECT_EQ(back->policy.waits, parcel.policy.waits);
  for (const char* bad : {"", "7", "7\n", "99999999999999999999\n{}", "2\n{}", "-1\n{}", "x"}) {
    EXPECT_FALSE(parcel_from_text(bad)) << bad;
  }
}

TEST(Records, DerivedIdsAreUuidsAndAlwaysTheSame) {
  const auto id = derived_id("a", "dead-letter");
  EXPECT_EQ(id.size(), 36U);
  EXPECT_EQ(id[14], '8');
  EXPECT_EQ(id, derived_id("a", "dead-letter"));
  EXPECT_NE(id, derived_id("a", "success"));
}

TEST(Records, DeadLettersOfRulesHaveTheCodesOfEventBridge) {
  const auto rule = dead_parcel("arn:aws:events:us-east-1:000000000000:rule/r");
  EXPECT_EQ(code_of(rule, "ResourceNotFoundException", Ending::kRefused), "NO_RESOURCE");
  EXPECT_EQ(code_of(rule, "AWS.SimpleQueueService.NonExistentQueue", Ending::kRefused), "NO_RESOURCE");
  EXPECT_EQ(code_of(rule, "TooManyRequestsException", Ending::kRetriesExhausted), "THROTTLING");
  EXPECT_EQ(code_of(rule, "NO_PERMISSIONS", Ending::kRefused), "NO_PERMISSIONS");
  EXPECT_EQ(code_of(rule, "", Ending::kAgeExceeded), "THROTTLING");
  const auto schedule = dead_parcel("arn:aws:scheduler:us-east-1:000000000000:schedule/default/s");
  EXPECT_EQ(code_of(schedule, "ResourceNotFoundException", Ending::kRefused), "ResourceNotFoundException");
}

}  // namespace
}  // namespace mayfly::delivery
