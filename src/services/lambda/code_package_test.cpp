#include "services/lambda/code_package.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zip.h>

#include <fstream>
#include <sstream>
#include <vector>

#include "base/ids.h"

namespace mayfly::lambda {
namespace {

namespace fs = std::filesystem;

struct Item {
  std::string name;
  std::string body;
  unsigned mode = S_IFREG | 0644U;
};

std::string make_zip(const std::vector<Item>& items) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_source_keep(source);
  zip_t* archive = zip_open_from_source(source, ZIP_TRUNCATE, &error);
  for (const auto& item : items) {
    zip_source_t* body = zip_source_buffer(archive, item.body.data(), item.body.size(), 0);
    const auto index = zip_file_add(archive, item.name.c_str(), body, ZIP_FL_ENC_UTF_8);
    EXPECT_GE(index, 0) << item.name;
    zip_file_set_external_attributes(archive, static_cast<zip_uint64_t>(index), 0, ZIP_OPSYS_UNIX, item.mode << 16U);
  }
  EXPECT_EQ(zip_close(archive), 0);
  zip_source_open(source);
  zip_source_seek(source, 0, SEEK_END);
  std::string out(static_cast<std::size_t>(zip_source_tell(source)), '\0');
  zip_source_seek(source, 0, SEEK_SET);
  zip_source_read(source, out.data(), out.size());
  zip_source_close(source);
  zip_source_free(source);
  return out;
}

// libzip refuses to make two entries of one name, so names of equal length are patched into the finished bytes.
std::string renamed(std::string zip, const std::string& from, const std::string& to) {
  for (auto at = zip.find(from); at != std::string::npos; at = zip.find(from, at + to.size())) {
    zip.replace(at, from.size(), to);
  }
  return zip;
}

class CodePackage : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mayfly-package-" + random_hex(8));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  ErrorCode refused(const std::vector<Item>& items) { return refused_zip(make_zip(items)); }
  ErrorCode refused_zip(const std::string& zip) {
    const auto result = unpack_package(zip, PackageLimits(), folder_ / "code");
    EXPECT_FALSE(fs::exists(folder_ / "code"));
    EXPECT_TRUE(fs::is_empty(folder_));
    return result ? ErrorCode::kInternal : result.error().code;
  }
  fs::path folder_;
};

TEST_F(CodePackage, UnpacksFilesFoldersLinksAndExecutableBits) {
  const auto zip = make_zip({{"index.py", "print(1)"},
                             {"bin/tool", "#!/bin/sh", S_IFREG | 0755U},
                             {"bin/link", "../index.py", S_IFLNK | 0777U},
                             {"empty/", "", S_IFDIR | 0755U}});
  ASSERT_TRUE(unpack_package(zip, PackageLimits(), folder_ / "code"));
  std::ifstream file(folder_ / "code/bin/link");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), "print(1)");
  EXPECT_EQ(fs::status(folder_ / "code/bin/tool").permissions(), fs::perms(0755));
  EXPECT_EQ(fs::status(folder_ / "code/index.py").permissions(), fs::perms(0644));
  EXPECT_TRUE(fs::is_directory(folder_ / "code/empty"));
  EXPECT_TRUE(unpack_package(zip, PackageLimits(), folder_ / "code")) << "again is no work";
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(CodePackage, RefusesWhatLeavesThePackage) {
  EXPECT_EQ(refused({{"../evil", "x"}}), ErrorCode::kInvalid);
  EXPECT_EQ(refused({{"a/../../evil", "x"}}), ErrorCode::kInvalid);
  EXPECT_EQ(refused({{"a/..", "x"}}), ErrorCode::kInvalid);
  EXPECT_EQ(refused({{"/etc/passwd", "x"}}), ErrorCode::kInvalid);
  EXPECT_EQ(refused({{"a\\..\\evil", "x"}}), ErrorCode::kInvalid);
  EXPECT_EQ(refused({{"link", "/etc/passwd", S_IFLNK | 0777U}}), ErrorCode::kInvalid);
  EXPECT_EQ(refused({{"a/link", "../../x", S_IFLNK | 0777U}}), ErrorCode::kInvalid);
  EXPECT_EQ(refused({{"p/q/up", "../..", S_IFLNK | 0777U}, {"out", "p/q/up/..", S_IFLNK | 0777U}}),
            ErrorCode::kInvalid);
  EXPECT_EQ(refused({{"dir", "a", S_IFLNK | 0777U}, {"dir/file", "x"}}), ErrorCode::kInvalid);
}

TEST_F(CodePackage, RefusesSpecialFilesAndDuplicates) {
  EXPECT_EQ(refused({{"fifo", "", S_IFIFO | 0644U}}), ErrorCode::kInvalid);
  EXPECT_EQ(refused({{"device", "", S_IFCHR | 0644U}}), ErrorCode::kInvalid);
  EXPECT_EQ(refused({{"a", "x"}, {"./a", "y"}}), ErrorCode::kInvalid);
  EXPECT_EQ(refused({{"a", "x"}, {"a/b", "y"}}), ErrorCode::kInvalid);
  EXPECT_EQ(refused_zip(renamed(make_zip({{"same1", "x"}, {"same2", "y"}}), "same2", "same1")), ErrorCode::kInvalid);
}

TEST_F(CodePackage, RefusesWhatIsNoZip) {
  EXPECT_EQ(refused_zip(""), ErrorCode::kInvalid);
  EXPECT_EQ(refused_zip("hello"), ErrorCode::kInvalid);
  const auto zip = make_zip({{"a", std::string(1000, 'x')}});
  for (std::size_t cut = 1; cut < zip.size(); cut += 7) {
    EXPECT_EQ(refused_zip(zip.substr(0, cut)), ErrorCode::kInvalid) << cut;
  }
}

TEST_F(CodePackage, RefusesBombsByDeclaredSize) {
  PackageLimits limits;
  limits.unzipped_bytes = 10'000;
  const auto bomb = make_zip({{"a", std::string(6'000, '0')}, {"b", std::string(6'000, '0')}});
  const auto result = check_package(bomb, limits);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kTooLarge);
  limits.entries = 1;
  limits.unzipped_bytes = 1'000'000;
  EXPECT_EQ(check_package(bomb, limits).error().code, ErrorCode::kTooLarge);
  limits.zipped_bytes = 10;
  EXPECT_EQ(check_package(bomb, limits).error().code, ErrorCode::kTooLarge);
}

TEST_F(CodePackage, RefusesBombsThatLieAboutTheirSize) {
  PackageLimits limits;
  limits.unzipped_bytes = 10'000;
  // The declared size, in the local and the central header, is patched from 50,000 to 50 bytes.
  auto zip = make_zip({{"a", std::string(50'000, '0')}});
  zip = renamed(zip, std::string("\x50\xC3\x00\x00", 4), std::string("\x32\x00\x00\x00", 4));
  EXPECT_FALSE(unpack_package(zip, limits, folder_ / "code"));
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace mayfly::lambda
