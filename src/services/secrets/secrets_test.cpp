#include <gtest/gtest.h>

#include "base/time_format.h"
#include "services/secrets/core.h"

namespace mayfly::secrets {
namespace {

Secret secret_with(int versions) {
  Secret secret;
  secret.place = {.account = "000000000000", .region = "us-east-1"};
  secret.name = "db/main";
  secret.suffix = "AbCdEf";
  for (int i = 0; i < versions; ++i) {
    Version version;
    version.id = "v" + std::to_string(i);
    version.kind = ValueKind::kText;
    version.sealed = "mfs1.x";
    secret.versions.push_back(std::move(version));
  }
  return secret;
}

TEST(SecretTest, AWSPREVIOUSFollowsAWSCURRENT) {
  auto secret = secret_with(3);
  secret.move_stage(kCurrent, "v0");
  EXPECT_EQ(secret.staged(kPrevious), nullptr);
  secret.move_stage("mine", "v0");
  secret.move_stage(kCurrent, "v1");
  EXPECT_EQ(secret.staged(kPrevious)->id, "v0");
  secret.move_stage(kCurrent, "v2");
  EXPECT_EQ(secret.staged(kCurrent)->id, "v2");
  EXPECT_EQ(secret.staged(kPrevious)->id, "v1");
  EXPECT_EQ(secret.version("v0")->stages, std::vector<std::string>{"mine"});
  secret.move_stage(kCurrent, "v2");
  EXPECT_EQ(secret.staged(kPrevious)->id, "v1") << "where it is already, nothing moves";
}

TEST(SecretTest, OldVersionsWithoutAStageGo) {
  auto secret = secret_with(105);
  secret.move_stage(kCurrent, "v104");
  secret.move_stage("kept", "v0");
  secret.forget_old_versions();
  EXPECT_EQ(secret.versions.size(), kMostVersions);
  EXPECT_NE(secret.version("v0"), nullptr);
  EXPECT_EQ(secret.version("v1"), nullptr);
  EXPECT_NE(secret.version("v104"), nullptr);
}

TEST(SecretTest, ARecordIsReadAsItWasWritten) {
  auto secret = secret_with(2);
  secret.description = "d";
  secret.tags.emplace();
  secret.tags->emplace_back("k", "v");
  secret.rotation.enabled = true;
  secret.rotation.rules.AutomaticallyAfterDays = 7;
  secret.rotation.pending = "v1";
  secret.move_stage(kCurrent, "v0");
  const auto read = Secret::read(secret.document());
  ASSERT_TRUE(read);
  EXPECT_EQ(to_json(read->document()), to_json(secret.document()));
  auto broken = secret.document();
  broken.erase("versions");
  EXPECT_EQ(Secret::read(broken).error().code, ErrorCode::kCorrupt);
}

TEST(RotationTest, DaysEndWithTheDayAndSchedulesBeginTheirWindow) {
  const auto from = epoch_seconds(*parse_iso8601("2026-01-31T12:00:00Z"));
  wire::RotationRulesType rules;
  EXPECT_EQ(next_rotation(rules, from).value(), 0);
  rules.AutomaticallyAfterDays = 1;
  EXPECT_EQ(next_rotation(rules, from).value(), epoch_seconds(*parse_iso8601("2026-02-01T23:59:59Z")));
  rules.AutomaticallyAfterDays.reset();
  rules.ScheduleExpression = "cron(0 8 1 * ? *)";
  EXPECT_EQ(next_rotation(rules, from).value(), epoch_seconds(*parse_iso8601("2026-02-01T08:00:00Z")));
  rules.ScheduleExpression = "at(2026-02-01T08:00:00)";
  EXPECT_FALSE(next_rotation(rules, from));
}

TEST(RotationTest, WhatIsDueFirst) {
  auto secret = secret_with(1);
  EXPECT_EQ(due_time(secret), 0);
  secret.rotation.enabled = true;
  secret.rotation.next = 100;
  EXPECT_EQ(due_time(secret), 100);
  secret.rotation.pending = "v0";
  secret.rotation.retry_at = 50;
  EXPECT_EQ(due_time(secret), 50);
  secret.deleted = 1;
  secret.deleted_at = 70;
  EXPECT_EQ(due_time(secret), 70) << "a secret that is being deleted is not rotated";
}

}  // namespace
}  // namespace mayfly::secrets
