#include "gateway/route_table.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace mayfly::gateway {
namespace {

RouteTable table_of(const std::vector<std::string>& keys) {
  RouteTable table;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    auto key = parse_route_key(keys[i]);
    EXPECT_TRUE(key) << keys[i];
    EXPECT_TRUE(table.add(*key, i)) << keys[i];
  }
  return table;
}

const std::vector<std::string> kKeys = {
    "GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "$default", "ANY /", "POST /pets"};

std::string found(const RouteTable& table, std::string_view method, std::string_view path) {
  const auto split = split_path(path);
  if (!split) return "refused";
  const auto match = table.find(method, *split);
  return match ? kKeys.at(match->route) : "none";
}

TEST(RouteTable, TheMostSpecificRouteWins) {
  const auto table = table_of(kKeys);
  EXPECT_EQ(found(table, "GET", "/pets/dog/1"), "GET /pets/dog/1");
  EXPECT_EQ(found(table, "GET", "/pets/dog/2"), "GET /pets/dog/{id}");
  EXPECT_EQ(found(table, "GET", "/pets/cat/1"), "GET /pets/{proxy+}");
  EXPECT_EQ(found(table, "POST", "/pets/dog/1"), "ANY /{proxy+}");
  EXPECT_EQ(found(table, "POST", "/pets"), "POST /pets");
  EXPECT_EQ(found(table, "GET", "/pets"), "ANY /{proxy+}");
  EXPECT_EQ(found(table, "PUT", "/"), "ANY /");
}

TEST(RouteTable, DefaultTakesWhatNothingElseDoes) {
  RouteTable table;
  ASSERT_TRUE(table.add(*parse_route_key("GET /a"), 0));
  const auto other = split_path("/b");
  EXPECT_FALSE(table.find("GET", *other));
  ASSERT_TRUE(table.add(*parse_route_key("$default"), 1));
  EXPECT_EQ(table.find("GET", *other)->route, 1U);
}

TEST(RouteTable, VariablesAreDecodedOnceAndKeepTheirSlashes) {
  const auto table = table_of({"GET /a/{x}/b", "GET /g/{rest+}"});
  const auto one = split_path("/a/p%2Fq%2520/b");
  const auto match = table.find("GET", *one);
  ASSERT_TRUE(match);
  EXPECT_EQ(match->parameters[0].second, "p/q%20");
  EXPECT_EQ(match->raw_parameters[0].second, "p%2Fq%2520");
  const auto rest = split_path("/g/a%20b/c//d");
  EXPECT_EQ(table.find("GET", *rest)->parameters[0].second, "a b/c//d");
  EXPECT_EQ(table.find("GET", *rest)->raw_parameters[0].second, "a%20b/c//d");
}

// A path that two readers read differently reaches none.
TEST(RouteTable, AmbiguousPathsAreRefused) {
  for (const auto* path : {"/a/../b", "/a/./b", "/a/%2e%2e/b", "/a/%2E./b", "/a/..%2fb", "/a/x%2f..%2fb", "/a/..%5cb",
                           "/a/%00", "/a/%zz", "/a/%2", "a/b", ""}) {
    EXPECT_FALSE(split_path(path)) << path;
  }
  EXPECT_TRUE(split_path("/a/...") && split_path("/a/..b") && split_path("/.well-known/x"));
}

TEST(RouteTable, EncodedSlashesAndDoubleSlashesReachNoOtherRoute) {
  const auto table = table_of({"GET /admin/secret", "GET /admin/{id}"});
  const auto encoded = split_path("/admin%2Fsecret");
  EXPECT_FALSE(table.find("GET", *encoded));
  const auto doubled = split_path("//admin/secret");
  EXPECT_FALSE(table.find("GET", *doubled));
  const auto trailing = split_path("/admin/");
  EXPECT_FALSE(table.find("GET", *trailing));
  // A letter that is escaped is the same letter.
  const auto letter = split_path("/%61dmin/secret");
  EXPECT_EQ(table.find("GET", *letter)->route, 0U);
}

TEST(RouteTable, WrongKeysAreRefused) {
  for (const auto* key : {"", "GET", "get /a", "TRACE /a", "GET a", "GET /{a}b", "GET /{a+}/b", "GET /{}",
                          "GET /{a}/{a}", "GET /a b", "GET /a?b", "$disconnect", "GET /.."}) {
    EXPECT_FALSE(parse_route_key(key)) << key;
  }
  RouteTable table;
  ASSERT_TRUE(table.add(*parse_route_key("GET /a/{x}"), 0));
  EXPECT_FALSE(table.add(*parse_route_key("GET /a/{y}"), 1));
}

TEST(RouteTable, TenThousandRoutesMatchLikeTen) {
  RouteTable table;
  for (std::size_t i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(table.add(*parse_route_key(fmt::format("GET /service{}/items/{{id}}", i)), i));
  }
  const auto path = split_path("/service9999/items/7");
  EXPECT_EQ(table.find("GET", *path)->route, 9'999U);
}

}  // namespace
}  // namespace mayfly::gateway
