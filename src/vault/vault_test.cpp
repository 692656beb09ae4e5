#include "vault/vault.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/ids.h"
#include "base/json.h"
#include "store/embedded/embedded.h"
#include "store/embedded/test_support.h"
#include "vault/rewrap.h"
#include "vault/sealed_records.h"

namespace mayfly::vault {
namespace {

using store::testing::run;
using store::testing::TemporaryDirectory;

MasterKeyPtr key_of(char c) { return make_master_key(std::string(kKeyBytes, c)); }

TEST(VaultTest, WhatWasSealedOpensInItsRecordAlone) {
  const Vault vault({key_of('a')});
  const auto sealed = vault.seal("secret one", "tops3cret");
  EXPECT_EQ(sealed.find("tops3cret"), std::string::npos);
  EXPECT_EQ(vault.open("secret one", sealed)->view(), "tops3cret");
  EXPECT_EQ(vault.open("secret two", sealed).error().code, ErrorCode::kCorrupt);
  EXPECT_NE(vault.seal("secret one", "tops3cret"), sealed) << "the same value looks the same";
  EXPECT_EQ(vault.open("x", vault.seal("x", ""))->view(), "");
}

TEST(VaultTest, EveryChangedCharacterIsNoticed) {
  const Vault vault({key_of('a')});
  const auto sealed = vault.seal("c", "value");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto changed = sealed;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    const auto opened = vault.open("c", changed);
    // The last character of a part may hold bits that stand for nothing; the bytes are then the same.
    if (opened) EXPECT_EQ(opened->view(), "value") << i;
    auto cut = sealed.substr(0, i);
    EXPECT_FALSE(vault.open("c", cut)) << i;
  }
}

TEST(VaultTest, AMissingMasterKeyIsNamed) {
  const Vault first({key_of('a')});
  const Vault second({key_of('b')});
  const auto opened = second.open("c", first.seal("c", "value"));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kNotFound);
  EXPECT_NE(opened.error().message.find(key_of('a')->id), std::string::npos);
}

TEST(VaultTest, AnOldMasterKeyIsReadAndTheNewOneWrites) {
  Vault vault({key_of('a')});
  const auto sealed = vault.seal("c", "value");
  vault.replace_keys({key_of('b'), key_of('a')});
  EXPECT_EQ(vault.open("c", sealed)->view(), "value");
  EXPECT_EQ(master_key_of(vault.seal("c", "next")), key_of('b')->id);
  const auto again = vault.rewrap(sealed);
  ASSERT_TRUE(again);
  vault.replace_keys({key_of('b')});
  EXPECT_EQ(vault.open("c", *again)->view(), "value");
  EXPECT_FALSE(vault.open("c", sealed));
}

TEST(VaultTest, MasterKeysAreReadFromTextAndRefusedWithoutQuotingThem) {
  const std::string hex(64, 'a');
  const auto keys =
      parse_master_keys("# the new one\n" + hex + "\n\n" + std::string(64, 'b') + "," + std::string(64, 'c'));
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->size(), 3U);
  for (const std::string& wrong : {hex.substr(1), hex + "a", "g" + hex.substr(1), std::string("\n#x\n")}) {
    const auto refused = parse_master_keys(wrong);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message.find("aaaa"), std::string::npos);
  }
}

TEST(KeySourceTest, TheFileIsMadeOnceForItsOwnerAlone) {
  const TemporaryDirectory folder;
  std::filesystem::create_directories(folder.path());
  RealClock clock;
  const auto source = KeySource::parse("file", folder.path());
  ASSERT_TRUE(source);
  const auto made = source->load(clock);
  ASSERT_TRUE(made);
  EXPECT_EQ(source->load(clock)->front()->id, made->front()->id);
  struct stat info{};
  const auto path = folder.path() / kMasterKeysFile;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  const auto added = source->add_new(clock);
  ASSERT_TRUE(added);
  EXPECT_EQ(added->at(1)->id, made->front()->id);
  EXPECT_NE(added->front()->id, made->front()->id);
  EXPECT_EQ(source->keep_first(clock)->size(), 1U);
  ::chmod(path.c_str(), 0644);
  EXPECT_EQ(source->load(clock).error().code, ErrorCode::kForbidden);
}

TEST(KeySourceTest, ACommandAndAVariableGiveKeys) {
  RealClock clock;
  const auto hex = std::string(64, 'd');
  const auto command = KeySource::parse("command:printf '%064d\\n' 7", "");
  ASSERT_TRUE(command);
  EXPECT_TRUE(command->load(clock));
  EXPECT_EQ(command->add_new(clock).error().code, ErrorCode::kUnsupported);
  const auto failing = KeySource::parse("command:exit 3", "");
  EXPECT_EQ(failing->load(clock).error().code, ErrorCode::kIo);
  ::setenv("MAYFLY_TEST_MASTER_KEY", hex.c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  EXPECT_TRUE(KeySource::parse("environment:MAYFLY_TEST_MASTER_KEY", "")->load(clock));
  EXPECT_FALSE(KeySource::parse("environment:MAYFLY_TEST_NO_SUCH_KEY", "")->load(clock));
  for (const auto* wrong : {"", "fil", "file:relative", "environment:", "command:", "kms:x"}) {
    EXPECT_FALSE(KeySource::parse(wrong, "")) << wrong;
  }
}

TEST(RewrapTest, EveryValueOfTheStoreMovesToTheNewKey) {
  const TemporaryDirectory folder;
  auto store = store::Embedded::open(folder.path(), store::testing::real_clock());
  ASSERT_TRUE(store);
  auto& records = (*store)->key_value();
  Vault vault({key_of('a')});
  const Vault foreign({key_of('z')});
  constexpr int kRecords = 300;
  for (int i = 0; i < kRecords; ++i) {
    const auto name = "r" + std::to_string(i);
    const auto text = R"({"one":")" + vault.seal(name, "1") + R"(","two":")" + vault.seal(name, "2") + R"("})";
    ASSERT_TRUE(run(records.put(name, text)));
  }
  ASSERT_TRUE(run(records.put("text", "mfs1. is no sealed value, nor is mfs1.0123456789abcdef.x")));
  ASSERT_TRUE(run(records.put("theirs", foreign.seal("theirs", "3"))));
  vault.replace_keys({key_of('b'), key_of('a')});
  std::uint64_t rewrapped = 0;
  std::uint64_t other = 0;
  std::string after;
  do {
    const auto step = run(rewrap_step(records, vault, after, RewrapMode::kRewrite));
    ASSERT_TRUE(step);
    rewrapped += step->rewrapped;
    for (const auto& [id, count] : step->other) other += count;
    after = step->next;
  } while (!after.empty());
  EXPECT_EQ(rewrapped, 2U * kRecords);
  EXPECT_EQ(other, 1U);
  vault.replace_keys({key_of('b')});
  for (int i = 0; i < kRecords; ++i) {
    const auto name = "r" + std::to_string(i);
    const auto entry = run(records.get(name));
    const auto parsed = parse_json((*entry)->value);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(vault.open(name, get_string(*parsed, "two"))->view(), "2");
  }
  EXPECT_EQ((*run(records.get("theirs")))->value.substr(5, 16), key_of('z')->id);
}

TEST(SealedRecordsTest, PartsAreSealedBelowAndClearAbove) {
  const TemporaryDirectory folder;
  auto store = store::Embedded::open(folder.path(), store::testing::real_clock());
  ASSERT_TRUE(store);
  auto& below = (*store)->key_value();
  Vault vault({key_of('a')});
  SealedRecords records(below, vault,
                        {{.prefix = "f/", .path = "versions.*.secret"}, {.prefix = "f/", .path = "latest"}});
  const std::string text = R"({"latest":["needle"],"versions":{"1":{"secret":{"a":"needle"},"open":1}}})";
  ASSERT_TRUE(run(below.put("f/old", text)));
  EXPECT_EQ(run(records.get("f/old")).value()->value, text) << "what was written before the rule is read";
  EXPECT_EQ(run(records.seal_all()).value(), 1U);
  EXPECT_EQ(run(records.seal_all()).value(), 0U);
  ASSERT_TRUE(run(records.put("f/new", text)));
  ASSERT_TRUE(run(records.put("g/new", text)));
  for (const auto* key : {"f/old", "f/new"}) {
    const auto raw = (*run(below.get(key)))->value;
    EXPECT_EQ(raw.find("needle"), std::string::npos) << key;
    EXPECT_NE(raw.find("open"), std::string::npos) << key;
    EXPECT_EQ((*run(records.get(key)))->value, text) << key;
  }
  EXPECT_EQ((*run(below.get("g/new")))->value, text);
  EXPECT_EQ(run(records.list("f/", "", 10)).value().at(1).value, text);
}

TEST(SealedRecordsTest, WhatDoesNotOpenIsKeptAsItIs) {
  const TemporaryDirectory folder;
  auto store = store::Embedded::open(folder.path(), store::testing::real_clock());
  ASSERT_TRUE(store);
  auto& below = (*store)->key_value();
  Vault vault({key_of('a')});
  SealedRecords records(below, vault, {{.prefix = "f/", .path = "secret"}});
  ASSERT_TRUE(run(records.put("f/1", R"({"secret":"x"})")));
  const auto raw = (*run(below.get("f/1")))->value;
  vault.replace_keys({key_of('b')});
  const auto read = (*run(records.get("f/1")))->value;
  EXPECT_EQ(read, raw);
  const auto part = parse_json(read)->at("secret");
  ASSERT_TRUE(locked(part));
  EXPECT_NE(why_locked(*locked(part)).find(key_of('a')->id), std::string::npos);
  ASSERT_TRUE(run(records.put("f/1", read)));
  vault.replace_keys({key_of('b'), key_of('a')});
  EXPECT_EQ((*run(records.get("f/1")))->value, R"({"secret":"x"})");
  // A sealed part of another record does not open here.
  ASSERT_TRUE(run(below.put("f/2", raw)));
  EXPECT_EQ((*run(records.get("f/2")))->value, raw);
}

}  // namespace
}  // namespace mayfly::vault
