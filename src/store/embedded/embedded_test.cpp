#include "store/embedded/embedded.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>

#include "base/subscribers.h"
#include "store/embedded/database.h"
#include "store/embedded/records.h"
#include "store/embedded/test_support.h"
#include "store/embedded/writer.h"

namespace mayfly::store {
namespace {

using testing::run;
using testing::TemporaryDirectory;

void execute(const std::filesystem::path& file, const char* sql) {
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &handle), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(handle, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(handle);
  sqlite3_close(handle);
}

TEST(EmbeddedTest, ReopeningAfterAStopIsCleanAndKeepsEverything) {
  const TemporaryDirectory directory;
  {
    auto store = Embedded::open(directory.path(), testing::real_clock()).value();
    EXPECT_TRUE(store->recovery().was_clean);
    EXPECT_EQ(store->recovery().keys, 0);
    ASSERT_TRUE(run(store->key_value().put("a", "1")));
  }
  auto store = Embedded::open(directory.path(), testing::real_clock()).value();
  EXPECT_TRUE(store->recovery().was_clean);
  EXPECT_EQ(store->recovery().keys, 1);
  EXPECT_EQ(run(store->key_value().get("a")).value()->value, "1");
}

TEST(EmbeddedTest, TheDirectoryIsForOneServerAndForItsOwnerOnly) {
  const TemporaryDirectory directory;
  auto store = Embedded::open(directory.path(), testing::real_clock()).value();
  const auto second = Embedded::open(directory.path(), testing::real_clock());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
  EXPECT_FALSE(second.error().hint.empty());
  const auto permissions = std::filesystem::status(directory.path()).permissions();
  EXPECT_EQ(permissions, std::filesystem::perms::owner_all);
}

TEST(EmbeddedTest, ANewerSchemaIsRefusedAndNothingIsTouched) {
  const TemporaryDirectory directory;
  Embedded::open(directory.path(), testing::real_clock()).value().reset();
  execute(directory.path() / "store.db", "UPDATE meta SET value = 3 WHERE name = 'schema_version'");
  {
    std::ofstream(directory.path() / "blobs/tmp/of-the-newer") << "x";
  }
  const auto opened = Embedded::open(directory.path(), testing::real_clock());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(std::filesystem::exists(directory.path() / "blobs/tmp/of-the-newer"));
  execute(directory.path() / "store.db", "UPDATE meta SET value = 2 WHERE name = 'schema_version'");
  EXPECT_TRUE(Embedded::open(directory.path(), testing::real_clock()).value()->recovery().was_clean);
}

TEST(EmbeddedTest, AStoreOfTheFirstSchemaKeepsItsRecordsAndGetsQueues) {
  const TemporaryDirectory directory;
  {
    auto store = Embedded::open(directory.path(), testing::real_clock()).value();
    ASSERT_TRUE(run(store->key_value().put("a", "1")));
  }
  execute(directory.path() / "store.db", "UPDATE meta SET value = 1 WHERE name = 'schema_version'");
  std::filesystem::remove(directory.path() / "queue.db");
  std::filesystem::remove(directory.path() / "queue.db-wal");
  auto store = Embedded::open(directory.path(), testing::real_clock()).value();
  EXPECT_EQ(store->recovery().schema_version, 1);
  EXPECT_EQ(run(store->key_value().get("a")).value()->value, "1");
  ASSERT_TRUE(run(store->queue().configure(QueueName("q"), {})));
  store.reset();
  store = Embedded::open(directory.path(), testing::real_clock()).value();
  EXPECT_EQ(store->recovery().schema_version, 2);
  EXPECT_EQ(store->recovery().queues, 1);
}

TEST(EmbeddedTest, TheReportTellsOfADeathAndOfWhatItLeft) {
  const TemporaryDirectory directory;
  Embedded::open(directory.path(), testing::real_clock()).value().reset();
  execute(directory.path() / "store.db", "UPDATE meta SET value = 0 WHERE name = 'clean'");
  {
    std::ofstream(directory.path() / "blobs/tmp/half") << "x";
  }
  const auto store = Embedded::open(directory.path(), testing::real_clock()).value();
  EXPECT_FALSE(store->recovery().was_clean);
  EXPECT_EQ(store->recovery().temporary_files_removed, 1);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path() / "blobs/tmp"));
}

TEST(EmbeddedTest, WhatIsNoDatabaseIsReportedAsCorrupt) {
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory.path());
  {
    std::ofstream(directory.path() / "store.db") << std::string(8'192, 'x');
  }
  const auto opened = Embedded::open(directory.path(), testing::real_clock());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
}

class WriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(directory_.path());
    database_ = Database::open(directory_.path() / "store.db").value();
  }
  Result<Revision> write(Writer& writer, std::string key, std::string value) {
    Write request;
    request.key = std::move(key);
    request.value = std::move(value);
    auto answer = request.answer;
    if (auto queued = writer.submit(std::move(request)); !queued) return std::unexpected(queued.error());
    return *run(answer.get_until(kNoDeadline));
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Database> database_;
  Records records_;
  Writer::Watches watches_;
};

TEST_F(WriterTest, AFullDiskFailsTheWritesAndLaterOnesWorkAgain) {
  ASSERT_TRUE(database_->limit_pages(database_->pages() + 4));
  {
    Writer writer(*database_, records_, watches_);
    ASSERT_TRUE(write(writer, "small", "1"));
    const auto refused = write(writer, "large", std::string(1'000'000, 'x'));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kIo);
    EXPECT_EQ(records_.revision_of("large"), 0);
    EXPECT_TRUE(write(writer, "small", "2"));
  }
  std::size_t entries = 0;
  ASSERT_TRUE(database_->load([&](const Entry& entry) {
    ++entries;
    EXPECT_EQ(entry.value, "2");
  }));
  EXPECT_EQ(entries, 1);
}

// Any other failure to commit leaves open what is on disk.
TEST_F(WriterTest, AFailedCommitEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        // A transaction that is already open makes the writer's own fail.
        static_cast<void>(database_->begin().has_value());
        Writer writer(*database_, records_, watches_);
        static_cast<void>(write(writer, "a", "1").has_value());
      },
      "could not commit");
}

TEST(SubscribersTest, ACallbackMayEndItsOwnSubscription) {
  Subscribers<int, int> subscribers;
  int calls = 0;
  std::shared_ptr<void> token;
  token = subscribers.add(1, [&](const int&) {
    ++calls;
    token.reset();
  });
  subscribers.publish(5, [](int topic) { return topic == 1; });
  subscribers.publish(5, [](int topic) { return topic == 1; });
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace mayfly::store
