#include "sandbox/network_link_rules.h"

#include <gtest/gtest.h>

namespace mayfly::sandbox {
namespace {

TEST(Cidr, ReadsNetworksAndSingleAddresses) {
  EXPECT_EQ(parse_cidr("10.1.2.3/8")->text(), "10.0.0.0/8");
  EXPECT_EQ(parse_cidr("0.0.0.0/0")->text(), "0.0.0.0/0");
  EXPECT_EQ(parse_cidr("203.0.113.7")->text(), "203.0.113.7/32");
}

TEST(Cidr, RefusesEverythingElse) {
  for (const char* bad : {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8 ", "10.0.0/8", "example.com",
                          "10.0.0.0/8/8", "10.0.0.0/+8", "1.1.1.1 }; flush ruleset; {"}) {
    EXPECT_EQ(parse_cidr(bad).error().code, ErrorCode::kInvalid) << bad;
  }
  EXPECT_EQ(parse_cidr("2001:db8::/32").error().code, ErrorCode::kUnsupported);
}

TEST(AllowList, KeepsOnlyDisjointNetworks) {
  const auto list = parse_allow_list({"10.1.0.0/16", "10.0.0.0/8", "8.8.8.8", "10.1.2.3/32", "8.8.8.8/32"});
  ASSERT_TRUE(list);
  ASSERT_EQ(list->size(), 2U);
  EXPECT_EQ((*list)[0].text(), "10.0.0.0/8");
  EXPECT_EQ((*list)[1].text(), "8.8.8.8/32");
}

TEST(AllowList, IsBounded) {
  const std::vector<std::string> many(kMaxAllowedNetworks + 1, "10.0.0.0/8");
  EXPECT_EQ(parse_allow_list(many).error().code, ErrorCode::kTooLarge);
}

TEST(FindTables, ReadsRangesAndGuardsOfMayflyTablesOnly) {
  const auto tables = find_tables(R"(table ip nat {
	set instances {
		elements = { 10.1.0.0/16 }
	}
}
table inet mayfly_a {
	set instances {
		type ipv4_addr
		elements = { 10.213.64.0/18 }
	}
	set never {
		elements = { 127.0.0.0/8 }
	}
	chain guard {
	}
}
table inet mayfly_b {
}
)");
  ASSERT_EQ(tables.size(), 2U);
  EXPECT_EQ(tables[0].name, "mayfly_a");
  EXPECT_TRUE(tables[0].guards_forwarding);
  ASSERT_EQ(tables[0].instances.size(), 1U);
  EXPECT_EQ(tables[0].instances[0].text(), "10.213.64.0/18");
  EXPECT_EQ(tables[1].name, "mayfly_b");
  EXPECT_FALSE(tables[1].guards_forwarding);
}

TEST(Resolvers, LeavesOutWhatAnInstanceCannotReach) {
  const auto found = parse_resolvers(
      "# local\nsearch example.com\nnameserver 127.0.0.53\nnameserver\t10.0.0.2 # corporate\nnameserver ::1\n"
      "nameserver 10.0.0.2\noptions edns0\nnameserver 1.1.1.1");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(address_text(found[0]), "10.0.0.2");
  EXPECT_EQ(address_text(found[1]), "1.1.1.1");
}

}  // namespace
}  // namespace mayfly::sandbox
