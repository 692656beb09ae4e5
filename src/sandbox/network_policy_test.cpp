#include "sandbox/network_policy.h"

#include <gtest/gtest.h>

namespace mayfly::sandbox {
namespace {

NetworkPolicy policy(std::string_view text) { return parse_network_policy(text).value(); }

TEST(NetworkPolicyTest, ReadsWhatPeopleWrite) {
  EXPECT_EQ(policy("none").mode, NetworkMode::kLoopback);
  EXPECT_EQ(policy("outbound").mode, NetworkMode::kOutbound);
  const auto list = policy(" 10.1.2.3/16  192.0.2.7 10.1.9.0/24 ");
  EXPECT_EQ(list.mode, NetworkMode::kAllowList);
  EXPECT_EQ(list.networks, (std::vector<std::string>{"10.1.0.0/16", "192.0.2.7/32"}));
}

TEST(NetworkPolicyTest, RefusesWhatIsNoNetworkAndNamesIt) {
  for (const auto* text : {"", "all", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/8,10.1.0.0/16", "fd00::/8"}) {
    EXPECT_FALSE(parse_network_policy(text)) << text;
  }
  EXPECT_NE(parse_network_policy("10.0.0.0/8 elsewhere").error().message.find("elsewhere"), std::string::npos);
  std::string many;
  for (int i = 0; i < 65; ++i) many += std::to_string(i) + ".0.0.0/8 ";
  EXPECT_EQ(parse_network_policy(many).error().code, ErrorCode::kTooLarge);
}

TEST(NetworkPolicyTest, TheNarrowerOneLetsThroughWhatBothDo) {
  EXPECT_EQ(narrower(policy("outbound"), policy("none")), policy("none"));
  EXPECT_EQ(narrower(policy("none"), policy("10.0.0.0/8")), policy("none"));
  EXPECT_EQ(narrower(policy("outbound"), policy("10.0.0.0/8")), policy("10.0.0.0/8"));
  EXPECT_EQ(narrower(policy("10.0.0.0/8"), policy("outbound")), policy("10.0.0.0/8"));
  EXPECT_EQ(narrower(policy("10.0.0.0/8 192.0.2.0/24"), policy("10.7.0.0/16 192.0.0.0/16 198.51.100.0/24")),
            policy("10.7.0.0/16 192.0.2.0/24"));
  EXPECT_EQ(narrower(policy("10.0.0.0/8"), policy("192.0.2.0/24")), policy("none"));
}

TEST(NetworkPolicyTest, AllowsOnlyWhatLiesWithin) {
  EXPECT_TRUE(allows(policy("outbound"), policy("10.0.0.0/8")));
  EXPECT_TRUE(allows(policy("10.0.0.0/8"), policy("none")));
  EXPECT_TRUE(allows(policy("10.0.0.0/8 192.0.2.0/24"), policy("192.0.2.7 10.1.0.0/16")));
  EXPECT_FALSE(allows(policy("10.0.0.0/8"), policy("10.1.0.0/16 192.0.2.7")));
  EXPECT_FALSE(allows(policy("10.0.0.0/8"), policy("outbound")));
  EXPECT_FALSE(allows(policy("none"), policy("10.0.0.0/8")));
}

}  // namespace
}  // namespace mayfly::sandbox
