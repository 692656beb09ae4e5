#include "app/admission.h"

#include <gtest/gtest.h>

namespace mayfly::app {
namespace {

using namespace std::chrono_literals;

Networks networks(std::string_view text) {
  auto parsed = parse_networks(text);
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? *parsed : Networks();
}

TEST(Admission, NetworksAreLetInOrKeptOut) {
  VirtualClock clock;
  const Admission all(clock, {});
  EXPECT_TRUE(all.admits("203.0.113.7"));
  const Admission some(clock,
                       {.allow = networks("10.0.0.0/8  2001:db8::/32"), .deny = networks("10.1.0.0/16 10.2.0.1")});
  EXPECT_TRUE(some.admits("10.3.0.1"));
  EXPECT_TRUE(some.admits("2001:db8::7"));
  EXPECT_TRUE(some.admits("127.0.0.1"));
  EXPECT_TRUE(some.admits("::1"));
  EXPECT_FALSE(some.admits("10.1.255.255"));
  EXPECT_FALSE(some.admits("10.2.0.1"));
  EXPECT_FALSE(some.admits("203.0.113.7"));
  EXPECT_FALSE(some.admits("2001:db9::7"));
  EXPECT_FALSE(some.admits(""));
  const Admission denying(clock, {.deny = networks("203.0.113.0/24")});
  EXPECT_FALSE(denying.admits("203.0.113.7"));
  EXPECT_TRUE(denying.admits("203.0.114.7"));
}

TEST(Admission, WhatIsNoNetworkIsNamed) {
  const auto parsed = parse_networks("10.0.0.0/8 10.0.0.0/33");
  ASSERT_FALSE(parsed);
  EXPECT_NE(parsed.error().message.find("10.0.0.0/33"), std::string::npos);
}

TEST(Admission, OneCallerHasOneBucketForAllItsSessions) {
  VirtualClock clock;
  Admission admission(clock, {.callers = {.rate = 2, .burst = 2}});
  identity::Authenticated first;
  first.caller.kind = identity::Caller::Kind::kRoleSession;
  first.caller.account = "000000000000";
  first.caller.arn = "arn:aws:sts::000000000000:assumed-role/worker/one";
  first.caller.role_arn = "arn:aws:iam::000000000000:role/worker";
  first.principal_name = "worker";
  auto second = first;
  second.caller.arn = "arn:aws:sts::000000000000:assumed-role/worker/two";
  identity::Authenticated other;
  other.caller.kind = identity::Caller::Kind::kUser;
  other.caller.account = "000000000000";
  other.caller.arn = "arn:aws:iam::000000000000:user/ann";
  other.principal_name = "ann";
  EXPECT_EQ(admission.take(first), 0ns);
  EXPECT_EQ(admission.take(second), 0ns);
  EXPECT_EQ(admission.take(first), 500ms);
  EXPECT_EQ(admission.take(other), 0ns);
  // Nor does a user get more by calling itself something else.
  auto federated = other;
  federated.caller.kind = identity::Caller::Kind::kFederated;
  federated.caller.arn = "arn:aws:sts::000000000000:federated-user/another";
  EXPECT_EQ(admission.take(federated), 0ns);
  EXPECT_EQ(admission.take(other), 500ms);
  clock.advance(500ms);
  EXPECT_EQ(admission.take(second), 0ns);
  identity::Authenticated root;
  root.caller.kind = identity::Caller::Kind::kRoot;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(admission.take(root), 0ns);
}

}  // namespace
}  // namespace mayfly::app
