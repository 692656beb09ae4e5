// Session tokens: what is not exactly what this server issued is nothing.
#include "identity/session.h"

#include <gtest/gtest.h>

#include "base/ids.h"

namespace mayfly::identity {
namespace {

Session example() {
  Session session;
  session.caller.kind = Caller::Kind::kRoleSession;
  session.caller.account = "111111111111";
  session.caller.arn = "arn:aws:sts::111111111111:assumed-role/worker/s";
  session.caller.role_arn = "arn:aws:iam::111111111111:role/worker";
  session.principal_name = "worker";
  session.expires = SystemTime(std::chrono::hours(1));
  session.tags = {{"team", "blue"}};
  return session;
}

TEST(SessionToken, ComesBackAsItWas) {
  const ServerKey key(random_bytes(32));
  const auto credentials = issue(key, example());
  const auto session = open_session(key, credentials.access_key_id, credentials.session_token);
  ASSERT_TRUE(session);
  EXPECT_EQ(session->caller.arn, example().caller.arn);
  EXPECT_EQ(session->expires, example().expires);
  EXPECT_EQ(session->tags, example().tags);
  EXPECT_EQ(credentials.secret_access_key, key.secret_of(credentials.access_key_id));
  EXPECT_EQ(credentials.secret_access_key.size(), 40U);
}

TEST(SessionToken, EveryChangedByteIsNoticed) {
  const ServerKey key(random_bytes(32));
  const auto credentials = issue(key, example());
  for (std::size_t i = 0; i < credentials.session_token.size(); ++i) {
    auto changed = credentials.session_token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(open_session(key, credentials.access_key_id, changed)) << i;
    EXPECT_FALSE(open_session(key, credentials.access_key_id, credentials.session_token.substr(0, i)));
  }
}

TEST(SessionToken, BelongsToOneAccessKeyAndOneServer) {
  const ServerKey key(random_bytes(32));
  const auto one = issue(key, example());
  const auto two = issue(key, example());
  EXPECT_NE(one.access_key_id, two.access_key_id);
  EXPECT_FALSE(open_session(key, one.access_key_id, two.session_token));
  EXPECT_FALSE(open_session(ServerKey(random_bytes(32)), one.access_key_id, one.session_token));
  EXPECT_FALSE(key.open("another purpose", one.session_token));
}

}  // namespace
}  // namespace mayfly::identity
