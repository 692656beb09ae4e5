#include <gtest/gtest.h>

#include <fstream>

#include "base/crypto.h"
#include "base/encoding.h"
#include "store/embedded/embedded.h"
#include "store/embedded/test_support.h"

namespace mayfly::store {
namespace {

using testing::run;
using testing::TemporaryDirectory;

class BlobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Embedded::open(directory_.path(), testing::real_clock());
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  Blob& blob() { return store_->blob(); }
  std::filesystem::path path_of(const BlobId& id) {
    return directory_.path() / "blobs" / id.str().substr(0, 2) / id.str();
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Embedded> store_;
};

TEST_F(BlobTest, IsNamedByItsHashAndReadBack) {
  const std::string bytes("zip\0bytes", 9);
  const auto id = run(blob().put(bytes));
  ASSERT_TRUE(id) << id.error().message;
  EXPECT_EQ(id->str(), hex_encode(sha256(bytes)));
  EXPECT_EQ(run(blob().get(*id, 100)).value(), bytes);
  EXPECT_EQ(run(blob().size(*id)).value(), 9);
  EXPECT_EQ(run(blob().put(bytes)).value(), *id);
  EXPECT_EQ(run(blob().list()).value(), std::vector<BlobId>{*id});
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path() / "blobs/tmp"));
}

TEST_F(BlobTest, MissingTooLargeAndMalformedAreToldApart) {
  const auto id = run(blob().put("0123456789")).value();
  EXPECT_EQ(run(blob().get(id, 9)).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(run(blob().get(BlobId(std::string(64, '0')), 9)).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(run(blob().size(BlobId(std::string(64, '0')))).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(run(blob().get(BlobId("../../store.db"), 9)).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(run(blob().remove(BlobId("../../store.db"))).error().code, ErrorCode::kInvalid);
}

TEST_F(BlobTest, RemovedIsGoneAndRemovingItAgainSucceeds) {
  const auto id = run(blob().put("x")).value();
  EXPECT_TRUE(run(blob().remove(id)));
  EXPECT_EQ(run(blob().get(id, 9)).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(run(blob().remove(id)));
}

TEST_F(BlobTest, BytesThatDoNotVerifyAreSetAsideAndHealedByTheNextPut) {
  const auto id = run(blob().put("right")).value();
  {
    std::ofstream(path_of(id), std::ios::trunc) << "wrong";
  }
  EXPECT_EQ(run(blob().get(id, 9)).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(run(blob().get(id, 9)).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(std::filesystem::is_empty(directory_.path() / "blobs/corrupt"));
  EXPECT_TRUE(run(blob().put("right")));
  EXPECT_EQ(run(blob().get(id, 9)).value(), "right");
}

}  // namespace
}  // namespace mayfly::store
