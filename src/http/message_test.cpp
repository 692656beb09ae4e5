#include "http/message.h"

#include <gtest/gtest.h>

#include "http/query.h"

namespace mayfly::http {
namespace {

TEST(Headers, NamesCompareWithoutCaseAndRepeat) {
  Headers headers;
  headers.add("X-One", "1");
  headers.add("x-one", "2");
  headers.add("Other", "3");
  EXPECT_EQ(headers.get("X-ONE"), "1");
  EXPECT_EQ(headers.find("absent"), nullptr);
  EXPECT_EQ(headers.get("absent"), "");
  headers.set("X-one", "4");
  EXPECT_EQ(headers.size(), 2U);
  EXPECT_EQ(headers.get("x-one"), "4");
  headers.erase("OTHER");
  EXPECT_EQ(headers.size(), 1U);
}

TEST(Headers, ListAcrossTheirLines) {
  Headers headers;
  headers.add("Connection", "keep-alive ,\tUpgrade");
  headers.add("connection", "X-Hop,,");
  EXPECT_TRUE(headers.lists("connection", "upgrade"));
  EXPECT_TRUE(headers.lists("Connection", "x-hop"));
  EXPECT_TRUE(headers.lists("Connection", "KEEP-ALIVE"));
  EXPECT_FALSE(headers.lists("Connection", "keep"));
  EXPECT_FALSE(headers.lists("Upgrade", "upgrade"));
}

TEST(AddressOf, IsThePeerWithoutItsPort) {
  EXPECT_EQ(address_of("127.0.0.1:4711"), "127.0.0.1");
  EXPECT_EQ(address_of("[2001:db8::1]:4711"), "2001:db8::1");
  EXPECT_EQ(address_of("[::ffff:192.0.2.7]:4711"), "192.0.2.7");
  EXPECT_EQ(address_of(""), "");
}

TEST(Query, IsReadPartByPart) {
  std::string_view rest = "&a=1&&b&c=&=d&e=f=g";
  std::string seen;
  while (const auto part = next_part(rest)) {
    seen.append(part->name).append(part->has_value ? ":" : "!").append(part->value).append(";");
  }
  EXPECT_EQ(seen, "a:1;b!;c:;:d;e:f=g;");
  EXPECT_EQ(query_value("a&a=1%202+3&a=4", "a"), "1 2+3");
  EXPECT_EQ(query_value("aa=1", "a"), std::nullopt);
  EXPECT_EQ(query_value("a=%2", "a"), std::nullopt);
  EXPECT_EQ(decode_form("1%202+3"), "1 2 3");
  EXPECT_EQ(decode_form("100%+1"), "100% 1");
}

TEST(RequestHead, SplitsPathAndQueryAtTheFirstMark) {
  RequestHead head;
  head.target = "/a%3Fb?c=d?e";
  EXPECT_EQ(head.path(), "/a%3Fb");
  EXPECT_EQ(head.query(), "c=d?e");
  head.target = "/a";
  EXPECT_EQ(head.path(), "/a");
  EXPECT_EQ(head.query(), "");
}

}  // namespace
}  // namespace mayfly::http
