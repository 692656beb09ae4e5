#include "identity/issuer_keys.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/encoding.h"
#include "identity/test_tokens.h"

namespace mayfly::identity {
namespace {

// No key of the set matches, so every token makes the keys looked for.
struct IssuerKeysTest : testing::Test {
  VirtualClock clock;
  Reactor reactor{clock, "test"};
  Scope scope{"test"};
  std::vector<std::string> fetched;
  bool reachable = true;
  IssuerKeys keys{clock, [this](std::string url) { return fetch(std::move(url)); }};

  Awaitable<Result<std::string>> fetch(std::string url) {
    fetched.push_back(url);
    if (!reachable) co_return fail(ErrorCode::kIo, "cannot be reached");
    if (url == "https://i/.well-known/openid-configuration")
      co_return std::string(R"({"issuer":"https://i","jwks_uri":"https://i/keys"})");
    co_return std::string(R"({"keys":[]})");
  }

  static std::string token(std::string_view id, std::string_view issuer = "https://i") {
    return base64url(R"({"alg":"RS256","kid":")" + std::string(id) + "\"}") + "." +
           base64url(R"({"iss":")" + std::string(issuer) + R"(","aud":"a","exp":4000000000})") + ".AAAA";
  }

  Error refusal(std::string text) {
    std::optional<Result<json::object>> out;
    scope.spawn(reactor, "verify", [&]() -> Awaitable<void> {
      std::vector<std::string> audience(1, "a");
      out = co_await keys.verify(text, "https://i", std::move(audience));
    });
    while (!out) reactor.poll();
    EXPECT_FALSE(*out);
    return out->error();
  }

  ~IssuerKeysTest() override {
    scope.stop();
    while (scope.running() > 0) reactor.poll();
  }
};

TEST_F(IssuerKeysTest, UnknownKeyIdsMakeOneFetchInAWhile) {
  EXPECT_EQ(refusal(token("one")).code, ErrorCode::kNotFound);
  EXPECT_EQ(fetched.size(), 2U);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(refusal(token("made-up-" + std::to_string(i))).code, ErrorCode::kNotFound);
  EXPECT_EQ(fetched.size(), 2U);
  clock.advance(IssuerKeys::kPause);
  EXPECT_EQ(refusal(token("two")).code, ErrorCode::kNotFound);
  EXPECT_EQ(fetched.size(), 4U);
}

TEST_F(IssuerKeysTest, TokensOfOthersFetchNothing) {
  EXPECT_EQ(refusal(token("one", "https://evil")).code, ErrorCode::kUnauthorized);
  EXPECT_EQ(refusal("no.token.atall").code, ErrorCode::kUnauthorized);
  EXPECT_TRUE(fetched.empty());
}

TEST_F(IssuerKeysTest, AnIssuerThatCannotBeReachedVerifiesNothing) {
  reachable = false;
  EXPECT_EQ(refusal(token("one")).message, "cannot be reached");
  EXPECT_EQ(refusal(token("one")).message, "cannot be reached");
  EXPECT_EQ(fetched.size(), 1U);
}

}  // namespace
}  // namespace mayfly::identity
