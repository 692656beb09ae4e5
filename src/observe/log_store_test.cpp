#include "observe/log_store.h"

#include <gtest/gtest.h>

#include <fstream>
#include <mutex>
#include <thread>

#include "base/ids.h"
#include "observe/log_text.h"

namespace mayfly::observe {
namespace {

constexpr const char* kGroup = "/aws/lambda/f";

class LogStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { reopen(1'000'000); }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }
  void reopen(std::uint64_t bytes_per_group) {
    store_.reset();
    store_ = LogStore::open(directory_, bytes_per_group).value();
  }
  void append(const std::string& group, int second, const std::string& message) {
    LogLine line;
    line.time = SystemTime(std::chrono::seconds(second));
    line.group = group;
    line.stream = "2026/01/31/[$LATEST]abc";
    line.message = message;
    store_->append(std::move(line));
  }
  std::vector<std::string> read(const std::string& group, int since, std::size_t limit) {
    store_->flush();
    std::vector<std::string> messages;
    const auto lines = store_->read(group, SystemTime(std::chrono::seconds(since)), limit);
    for (const auto& line : lines.value()) messages.push_back(line.message);
    return messages;
  }
  std::uintmax_t bytes_on_disk() {
    std::uintmax_t bytes = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
      if (entry.is_regular_file()) bytes += entry.file_size();
    }
    return bytes;
  }

  std::filesystem::path directory_ = std::filesystem::temp_directory_path() / ("mayfly-logs-" + random_hex(8));
  std::unique_ptr<LogStore> store_;
};

using Messages = std::vector<std::string>;

TEST_F(LogStoreTest, ReadsTheLastLinesOfItsGroupOldestFirst) {
  append(kGroup, 1, "one");
  append("/aws/lambda/other", 1, "other");
  append(kGroup, 2, "two");
  append(kGroup, 3, "three");
  EXPECT_EQ(read(kGroup, 0, 10), (Messages{"one", "two", "three"}));
  EXPECT_EQ(read(kGroup, 0, 2), (Messages{"two", "three"}));
  EXPECT_EQ(read(kGroup, 3, 10), (Messages{"three"}));
  EXPECT_EQ(read("/aws/lambda/none", 0, 10), Messages());
  const auto line = store_->read(kGroup, SystemTime(), 1).value().at(0);
  EXPECT_EQ(line.time, SystemTime(std::chrono::seconds(3)));
  EXPECT_EQ(line.group, kGroup);
  EXPECT_EQ(line.stream, "2026/01/31/[$LATEST]abc");
}

TEST_F(LogStoreTest, RotatesWithinItsBytesAndReadsAcrossFiles) {
  constexpr std::uint64_t kBytes = 8'192;
  reopen(kBytes);
  for (int i = 0; i < 500; ++i) append(kGroup, i, "line " + std::to_string(i));
  const auto messages = read(kGroup, 0, 1'000);
  EXPECT_LE(bytes_on_disk(), kBytes);
  ASSERT_GT(messages.size(), 80);
  EXPECT_EQ(messages.back(), "line 499");
  EXPECT_EQ(messages.front(), "line " + std::to_string(500 - messages.size())) << "no line between is missing";
  EXPECT_EQ(store_->dropped(), 0);
}

TEST_F(LogStoreTest, GoesOnAfterReopeningAndSkipsAHalfLine) {
  append(kGroup, 1, "before");
  store_->flush();
  {
    std::ofstream(directory_ / folder_name(kGroup) / "1.log", std::ios::app) << R"({"t":5,"s":"x","m":"ha)";
  }
  EXPECT_EQ(read(kGroup, 0, 10), (Messages{"before"}));
  reopen(1'000'000);
  append(kGroup, 2, "after");
  EXPECT_EQ(read(kGroup, 0, 10), (Messages{"before", "after"}));
}

TEST_F(LogStoreTest, FollowersHearTheirGroupUntilTheirTokenIsGone) {
  std::mutex mutex;
  Messages heard;
  auto token = store_->follow(kGroup, [&](const LogLine& line) {
    std::lock_guard lock(mutex);
    heard.push_back(line.message);
  });
  append(kGroup, 1, "one");
  append("/aws/lambda/other", 1, "other");
  append(kGroup, 1, "two");
  store_->flush();
  token.reset();
  append(kGroup, 1, "three");
  store_->flush();
  EXPECT_EQ(heard, (Messages{"one", "two"}));
}

TEST_F(LogStoreTest, ARemovedGroupIsEmptyAndMayBeginAgain) {
  append(kGroup, 1, "old");
  store_->remove_group(kGroup);
  EXPECT_EQ(read(kGroup, 0, 10), Messages());
  append(kGroup, 2, "new");
  EXPECT_EQ(read(kGroup, 0, 10), (Messages{"new"}));
}

TEST_F(LogStoreTest, AnyBytesAreKeptAsValidText) {
  append(kGroup, 1, std::string("bad \xff\xc0\x80 tab\t quote\" nul") + '\0' + " end");
  append(kGroup, 2, std::string(kMaxMessageBytes + 10, 'x'));
  const auto messages = read(kGroup, 0, 10);
  ASSERT_EQ(messages.size(), 2);
  EXPECT_NE(messages[0].find("bad \xef\xbf\xbd"), std::string::npos);
  EXPECT_NE(messages[0].find("tab\t quote\""), std::string::npos);
  EXPECT_TRUE(messages[0].ends_with(std::string(" nul") + '\0' + " end"));
  EXPECT_EQ(messages[1].size(), kMaxMessageBytes);
}

TEST_F(LogStoreTest, WhatDoesNotFitIsCounted) {
  // The follower holds the writer's thread up, so that the queue fills.
  std::mutex gate;
  gate.lock();
  auto token = store_->follow(kGroup, [&](const LogLine&) { std::lock_guard lock(gate); });
  constexpr int kLines = 140'000;
  for (int i = 0; i < kLines; ++i) append("/aws/lambda/other", i, "x");
  append(kGroup, 1, "x");
  for (int i = 0; i < kLines; ++i) append("/aws/lambda/other", i, "x");
  const auto dropped = store_->dropped();
  gate.unlock();
  store_->flush();
  EXPECT_GT(dropped, 0);
}

TEST_F(LogStoreTest, ManyGroupsAndThreadsLoseNothing) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 1'000; ++i) append("/g/" + std::to_string(i % 200), i, std::to_string(t));
    });
  }
  for (auto& thread : threads) thread.join();
  std::size_t lines = 0;
  for (int g = 0; g < 200; ++g) lines += read("/g/" + std::to_string(g), 0, 1'000).size();
  EXPECT_EQ(lines, 4'000);
}

TEST(LogTextTest, FolderNamesAreSafeAndDistinct) {
  EXPECT_EQ(folder_name("/aws/lambda/f"), "%2Faws%2Flambda%2Ff");
  EXPECT_EQ(folder_name(".."), "%2E%2E");
  EXPECT_EQ(folder_name(""), "%");
  const std::string long_group(512, 'g');
  EXPECT_LE(folder_name(long_group).size(), 255);
  EXPECT_NE(folder_name(long_group), folder_name(long_group + "h"));
}

TEST(LogTextTest, OnlyWellFormedSequencesStay) {
  EXPECT_EQ(valid_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 100), "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(valid_utf8("\xed\xa0\x80", 100), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(valid_utf8("\xe2\x82", 100), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(valid_utf8("\xe2\x82\xac\xe2\x82\xac", 5), "\xe2\x82\xac");
}

}  // namespace
}  // namespace mayfly::observe
