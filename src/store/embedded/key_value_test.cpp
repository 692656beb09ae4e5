#include <gtest/gtest.h>

#include <mutex>

#include "store/embedded/embedded.h"
#include "store/embedded/key_value_engine.h"
#include "store/embedded/test_support.h"

namespace mayfly::store {
namespace {

using testing::run;
using testing::TemporaryDirectory;

class KeyValueTest : public ::testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    store_.reset();
    auto opened = Embedded::open(directory_.path(), testing::real_clock());
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  KeyValue& kv() { return store_->key_value(); }
  Revision put(const std::string& key, const std::string& value) {
    auto revision = run(kv().put(key, value));
    EXPECT_TRUE(revision);
    return revision.value_or(0);
  }
  std::vector<std::string> keys(const std::string& prefix, const std::string& after, std::size_t limit) {
    std::vector<std::string> found;
    const auto entries = run(kv().list(prefix, after, limit));
    for (const auto& entry : entries.value()) found.push_back(entry.key);
    return found;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Embedded> store_;
};

TEST_F(KeyValueTest, WhatWasPutIsReadWithItsRevision) {
  const auto revision = put("a", "one");
  const auto entry = run(kv().get("a")).value();
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->value, "one");
  EXPECT_EQ(entry->revision, revision);
  EXPECT_FALSE(run(kv().get("b")).value());
}

TEST_F(KeyValueTest, RevisionsGrowAcrossKeysRemovalsAndReopening) {
  const auto first = put("a", "1");
  const auto second = put("b", "2");
  EXPECT_GT(second, first);
  ASSERT_TRUE(run(kv().remove("b", std::nullopt)));
  reopen();
  EXPECT_GT(put("b", "3"), second + 1) << "the removal took a revision too";
}

TEST_F(KeyValueTest, CompareAndSetWritesOnlyAtTheExpectedRevision) {
  const auto created = run(kv().compare_and_set("a", "1", 0));
  ASSERT_TRUE(created);
  EXPECT_EQ(run(kv().compare_and_set("a", "x", 0)).error().code, ErrorCode::kConflict);
  EXPECT_EQ(run(kv().compare_and_set("a", "x", *created + 1)).error().code, ErrorCode::kConflict);
  ASSERT_TRUE(run(kv().compare_and_set("a", "2", *created)));
  EXPECT_EQ(run(kv().get("a")).value()->value, "2");
  EXPECT_EQ(run(kv().compare_and_set("new", "x", 7)).error().code, ErrorCode::kConflict);
}

TEST_F(KeyValueTest, RemovingNothingSucceedsUnlessARevisionIsExpected) {
  EXPECT_TRUE(run(kv().remove("a", std::nullopt)));
  EXPECT_EQ(run(kv().remove("a", 1)).error().code, ErrorCode::kConflict);
  EXPECT_EQ(run(kv().remove("a", 0)).error().code, ErrorCode::kConflict);
  const auto revision = put("a", "1");
  EXPECT_EQ(run(kv().remove("a", revision + 1)).error().code, ErrorCode::kConflict);
  EXPECT_TRUE(run(kv().remove("a", revision)));
  EXPECT_FALSE(run(kv().get("a")).value());
}

TEST_F(KeyValueTest, ListsByPrefixInOrderAndByPages) {
  for (const char* key : {"f/b", "f/a", "f/c", "e/z", "g/a", "f"}) put(key, "");
  EXPECT_EQ(keys("f/", "", 10), (std::vector<std::string>{"f/a", "f/b", "f/c"}));
  EXPECT_EQ(keys("f/", "", 2), (std::vector<std::string>{"f/a", "f/b"}));
  EXPECT_EQ(keys("f/", "f/b", 2), (std::vector<std::string>{"f/c"}));
  EXPECT_EQ(keys("f/", "g", 2), std::vector<std::string>());
  EXPECT_EQ(keys("", "", 100).size(), 6);
}

TEST_F(KeyValueTest, KeepsAnyBytesAndRefusesWhatIsTooLarge) {
  const std::string key("k\0\xff", 3);
  const std::string value("\0\x80'\n", 4);
  put(key, value);
  put("empty", "");
  put("large", std::string(KeyValueEngine::kMaxValueBytes, 'x'));
  reopen();
  EXPECT_EQ(run(kv().get(key)).value()->value, value);
  EXPECT_EQ(run(kv().get("empty")).value()->value, "");
  EXPECT_EQ(run(kv().get("large")).value()->value.size(), KeyValueEngine::kMaxValueBytes);
  EXPECT_EQ(run(kv().put("", "x")).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(run(kv().put(std::string(1025, 'k'), "x")).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(run(kv().put("k", std::string(KeyValueEngine::kMaxValueBytes + 1, 'x'))).error().code,
            ErrorCode::kTooLarge);
}

TEST_F(KeyValueTest, AWatchHearsItsPrefixInOrderUntilItsTokenIsGone) {
  std::mutex mutex;
  std::vector<std::string> heard;
  auto token = kv().watch("w/", [&](const WatchEvent& event) {
    std::lock_guard lock(mutex);
    heard.push_back((event.deleted ? "-" : "+") + event.entry.key + "=" + event.entry.value);
  });
  put("w/a", "1");
  put("other", "2");
  put("w/a", "3");
  ASSERT_TRUE(run(kv().remove("w/a", std::nullopt)));
  ASSERT_TRUE(run(kv().remove("w/nothing", std::nullopt)));
  token.reset();
  put("w/b", "4");
  EXPECT_EQ(heard, (std::vector<std::string>{"+w/a=1", "+w/a=3", "-w/a="}));
}

// Writers race on one key; each revision may be replaced once only.
TEST_F(KeyValueTest, OfManyConcurrentCompareAndSetsOneWinsEachRound) {
  constexpr int kWriters = 16;
  Scope scope("writers");
  int won = 0;
  for (int i = 0; i < kWriters; ++i) {
    scope.spawn(testing::reactor(), "writer", [&]() -> Awaitable<void> {
      const auto result = co_await kv().compare_and_set("contended", "x", 0);
      if (result) ++won;
      testing::reactor().stop();
    });
  }
  testing::run_all(scope);
  EXPECT_EQ(won, 1);
}

}  // namespace
}  // namespace mayfly::store
