#include "gateway/response_cache.h"

#include <gtest/gtest.h>

namespace mayfly::gateway {
namespace {

using namespace std::chrono;

ResponseCache::Answer answer_of(std::string body) {
  auto out = std::make_shared<http::Response>();
  out->body = std::move(body);
  return out;
}

TEST(ResponseCache, HoldsAnswersForTheirTime) {
  ResponseCache cache;
  const SteadyTime start{};
  cache.keep("a/s/1", answer_of("one"), start + seconds(10));
  ASSERT_TRUE(cache.find("a/s/1", start + seconds(9)));
  EXPECT_EQ(cache.find("a/s/1", start + seconds(9))->body, "one");
  EXPECT_FALSE(cache.find("a/s/2", start));
  EXPECT_FALSE(cache.find("a/s/1", start + seconds(10)));
  EXPECT_EQ(cache.bytes(), 0U);
}

TEST(ResponseCache, IsBoundedAndForgetsWhatWasUsedLongestAgo) {
  ResponseCache cache;
  const SteadyTime start{};
  const auto until = start + hours(1);
  cache.keep("a/s/large", answer_of(std::string(ResponseCache::kMostAnswer, 'x')), until);
  EXPECT_FALSE(cache.find("a/s/large", start)) << "too large to keep";
  constexpr std::size_t kBody = 512UL * 1024;
  for (int i = 0; i < 200; ++i) {
    cache.keep("a/s/" + std::to_string(i), answer_of(std::string(kBody, 'x')), until);
    EXPECT_TRUE(cache.find("a/s/0", start)) << "used again and again";
    ASSERT_LE(cache.bytes(), ResponseCache::kMostBytes);
  }
  EXPECT_FALSE(cache.find("a/s/1", start));
  EXPECT_TRUE(cache.find("a/s/199", start));
  cache.keep("a/other/1", answer_of("x"), until);
  cache.flush(cache_prefix("a", "s"));
  EXPECT_FALSE(cache.find("a/s/199", start));
  EXPECT_TRUE(cache.find("a/other/1", start));
}

TEST(ResponseCache, KeysTellRequestsApartByTheirParametersAlone) {
  auto stage = std::make_shared<Stage>();
  stage->name = "s";
  stage->rest = std::make_shared<const RestSettings>();
  Route route;
  auto rule = std::make_shared<CacheRule>();
  for (const auto* name : {"$request.querystring.a", "$request.querystring.b"})
    rule->parameters.push_back(*Template::parse(name, Template::kRequest));
  route.cache = std::move(rule);
  const auto key = [&](const std::string& query) {
    Exchange exchange;
    auto api = std::make_shared<Api>();
    api->id = "a";
    exchange.api = std::move(api);
    exchange.stage = stage;
    exchange.route = &route;
    exchange.event.head.method = "GET";
    exchange.event.head.target = "/s/x?" + query;
    exchange.path_in_stage = "/x";
    return cache_key(exchange);
  };
  EXPECT_EQ(key("a=1&c=1"), key("a=1&c=2"));
  EXPECT_NE(key("a=1"), key("a=2"));
  EXPECT_NE(key("a="), key(""));
  EXPECT_NE(key("a=1:2"), key("a=1&b=2"));
}

TEST(ResponseCache, FreshAnswersAreAskedForByMaxAge) {
  http::Headers headers;
  headers.add("cache-control", "no-transform, Max-Age=0");
  EXPECT_TRUE(asks_for_fresh(headers));
  http::Headers others;
  others.add("Cache-Control", "max-age=01");
  EXPECT_FALSE(asks_for_fresh(others));
}

}  // namespace
}  // namespace mayfly::gateway
