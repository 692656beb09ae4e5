// Encodings, hashes, times, JSON and ids: known answers, round trips and refusals.
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <set>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/time_format.h"

namespace mayfly {
namespace {

TEST(Base64, RoundTripsEveryLengthAndRefusesBadInput) {
  for (std::size_t n = 0; n < 70; ++n) {
    const std::string bytes = random_bytes(n);
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
  }
  EXPECT_EQ(base64_encode("any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
  for (const std::string_view bad : {"a", "ab=c", "====", "YW5%", "YW 5"}) EXPECT_FALSE(base64_decode(bad)) << bad;
}

TEST(Percent, EncodesAsSigV4DoesAndDecodesStrictly) {
  EXPECT_EQ(percent_encode("a/b c~\xc3\xa9", Slash::kEncode), "a%2Fb%20c~%C3%A9");
  EXPECT_EQ(percent_encode("a/b", Slash::kKeep), "a/b");
  EXPECT_EQ(percent_decode("a%2Fb+c"), "a/b+c");
  for (const std::string_view bad : {"%", "%2", "%zz"}) EXPECT_FALSE(percent_decode(bad)) << bad;
}

TEST(Hash, MatchesPublishedVectors) {
  EXPECT_EQ(hex_encode(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_encode(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");  // RFC 4231, case 2
  EXPECT_EQ(hex_encode(md5("")), "d41d8cd98f00b204e9800998ecf8427e");             // RFC 1321, A.5
  EXPECT_EQ(hex_encode(md5("message digest")), "f96b697d7cb7938d525a2f31aaf161d0");
  Sha256 parts;
  parts.update("a");
  parts.update("bc");
  EXPECT_EQ(parts.finish(), sha256("abc"));
  EXPECT_TRUE(constant_time_equal("same", "same"));
  EXPECT_FALSE(constant_time_equal("same", "sama"));
  EXPECT_FALSE(constant_time_equal("same", "sam"));
}

TEST(Times, RoundTripInEveryForm) {
  const auto time = parse_iso8601("2026-02-28T23:59:59.123Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(iso8601_millis(*time), "2026-02-28T23:59:59.123Z");
  EXPECT_EQ(iso8601_millis_offset(*time), "2026-02-28T23:59:59.123+0000");
  EXPECT_EQ(iso8601_basic(*time), "20260228T235959Z");
  EXPECT_EQ(http_date(*time), "Sat, 28 Feb 2026 23:59:59 GMT");
  EXPECT_EQ(parse_iso8601("20260228T235959Z"), parse_http_date("Sat, 28 Feb 2026 23:59:59 GMT"));
  EXPECT_EQ(parse_iso8601("2026-03-01T01:59:59.123+02:00"), time);
  EXPECT_EQ(from_epoch_seconds(epoch_seconds(*time)), *time);
  for (const std::string_view bad :
       {"", "2026-02-30T00:00:00Z", "2026-02-28T24:00:00Z", "2026-02-28T00:00:00", "20260228T235959Zx"}) {
    EXPECT_FALSE(parse_iso8601(bad)) << bad;
  }
}

TEST(Json, WritesStringsAsBoostDoes) {
  for (int c = 0; c < 256; ++c) {
    const json::value value(std::string("a\"") + static_cast<char>(c) + "b");
    EXPECT_EQ(to_json(value), json::serialize(value)) << c;
  }
  const json::object object{{"k\n", json::array{-1, 18446744073709551615U, true, nullptr, "", json::object{}}}};
  EXPECT_EQ(to_json(object), json::serialize(object));
  EXPECT_EQ(to_json(json::array{}), "[]");
}

TEST(Json, WritesDoublesAsPeopleExpectAndBoundsDepth) {
  EXPECT_EQ(to_json(json::object{{"a", 1.5}, {"b", 12.0}, {"c", "x\n"}, {"d", json::array{1, true, nullptr}}}),
            R"({"a":1.5,"b":12.0,"c":"x\n","d":[1,true,null]})");
  EXPECT_TRUE(parse_json(std::string(60, '[') + std::string(60, ']')));
  EXPECT_FALSE(parse_json(std::string(100, '[') + std::string(100, ']')));
  for (const std::string_view bad : {"", "{", "{} x", "nul", "\"\x01\""}) EXPECT_FALSE(parse_json(bad)) << bad;
}

TEST(Ids, AreWellFormedAndDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = uuid4();
    ASSERT_EQ(id.size(), 36U);
    EXPECT_EQ(id[14], '4');
    EXPECT_NE(std::string_view("89ab").find(id[19]), std::string_view::npos);
    EXPECT_TRUE(seen.insert(id).second);
  }
  EXPECT_EQ(random_alphanumeric(33).size(), 33U);
  EXPECT_EQ(random_hex(4).size(), 8U);
}

TEST(Utf8, IsWhatTheStandardSays) {
  for (const char* text : {"", "a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
                           "\xf4\x8f\xbf\xbf", "x\xc3\xbcx"}) {
    EXPECT_TRUE(is_valid_utf8(text)) << text;
  }
  // Alone, overlong, a surrogate, too high, cut.
  for (const char* text : {"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                           "\xf5\x80\x80\x80", "\xff", "a\xc3", "\xe2\x82", "\xc3x"}) {
    EXPECT_FALSE(is_valid_utf8(text)) << text;
  }
}

}  // namespace
}  // namespace mayfly
