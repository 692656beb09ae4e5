#include "store/embedded/blob_files.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/log.h"
#include "store/embedded/files.h"

namespace mayfly::store {

namespace {

constexpr std::size_t kIdDigits = 64;

// The id becomes part of a path, so nothing but its exact form is let through.
Result<void> check(const BlobId& id) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (id.str().size() == kIdDigits && std::ranges::all_of(id.str(), is_digit)) return {};
  return fail(ErrorCode::kInvalid, "a blob's id is not 64 lower-case hex digits");
}

Result<std::vector<std::string>> names_in(const std::filesystem::path& directory) {
  std::error_code error;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) return std::unexpected(errno_error(error.value(), fmt::format("list {}", directory.string())));
  return names;
}

}  // namespace

Result<std::size_t> BlobFiles::open() {
  if (auto made = make_directory(directory_); !made) return std::unexpected(made.error());
  for (const char* name : {"tmp", "corrupt"}) {
    if (auto made = make_directory(directory_ / name); !made) return std::unexpected(made.error());
  }
  // All 256 at once, synced once: a put need not know whether its folder is durable.
  for (int i = 0; i < 256; ++i) {
    if (auto made = make_directory(directory_ / fmt::format("{:02x}", i)); !made) return std::unexpected(made.error());
  }
  if (auto synced = sync_directory(directory_); !synced) return std::unexpected(synced.error());

  auto leftovers = names_in(directory_ / "tmp");
  if (!leftovers) return std::unexpected(leftovers.error());
  for (const auto& name : *leftovers) {
    if (::unlink((directory_ / "tmp" / name).c_str()) != 0) return fail_errno("remove a temporary file");
  }
  return leftovers->size();
}

Result<BlobId> BlobFiles::put(const std::string& bytes) const {
  if (bytes.size() > kMaxBlobBytes) {
    return fail(ErrorCode::kTooLarge,
                fmt::format("a blob has {} bytes, at most {} are taken", bytes.size(), kMaxBlobBytes));
  }
  BlobId id(hex_encode(sha256(bytes)));
  struct stat status{};
  const bool exists =
      ::stat(path_of(id).c_str(), &status) == 0 && static_cast<std::size_t>(status.st_size) == bytes.size();
  if (!exists) {
    const auto temporary = directory_ / "tmp" / random_hex(16);
    if (auto written = write_new_file(temporary, bytes); !written) return std::unexpected(written.error());
    if (::rename(temporary.c_str(), path_of(id).c_str()) != 0) {
      const Error error = errno_error(errno, "rename a blob");
      ::unlink(temporary.c_str());
      return std::unexpected(error);
    }
  }
  // Also where it existed: whoever renamed it may not have come to this line yet.
  if (auto synced = sync_directory(folder_of(id)); !synced) return std::unexpected(synced.error());
  return id;
}

Result<std::string> BlobFiles::get(const BlobId& id, std::size_t limit) const {
  if (auto valid = check(id); !valid) return std::unexpected(valid.error());
  auto bytes = read_whole_file(path_of(id), limit);
  if (!bytes) {
    if (bytes.error().code == ErrorCode::kNotFound) return fail(ErrorCode::kNotFound, "no blob " + id.str());
    return bytes;
  }
  if (hex_encode(sha256(*bytes)) != id.str()) return set_aside(id);
  return bytes;
}

Result<std::uint64_t> BlobFiles::size(const BlobId& id) const {
  if (auto valid = check(id); !valid) return std::unexpected(valid.error());
  struct stat status{};
  if (::stat(path_of(id).c_str(), &status) == 0) return static_cast<std::uint64_t>(status.st_size);
  if (errno == ENOENT) return fail(ErrorCode::kNotFound, "no blob " + id.str());
  return fail_errno("stat a blob");
}

Result<void> BlobFiles::remove(const BlobId& id) const {
  if (auto valid = check(id); !valid) return valid;
  if (::unlink(path_of(id).c_str()) != 0 && errno != ENOENT) return fail_errno("remove a blob");
  return sync_directory(folder_of(id));
}

Result<std::vector<BlobId>> BlobFiles::list() const {
  std::vector<BlobId> ids;
  for (int i = 0; i < 256; ++i) {
    auto names = names_in(directory_ / fmt::format("{:02x}", i));
    if (!names) return std::unexpected(names.error());
    for (auto& name : *names) {
      if (BlobId id(std::move(name)); check(id)) ids.push_back(std::move(id));
    }
  }
  std::ranges::sort(ids);
  return ids;
}

std::filesystem::path BlobFiles::folder_of(const BlobId& id) const { return directory_ / id.str().substr(0, 2); }
std::filesystem::path BlobFiles::path_of(const BlobId& id) const { return folder_of(id) / id.str(); }

std::unexpected<Error> BlobFiles::set_aside(const BlobId& id) const {
  const auto aside = directory_ / "corrupt" / fmt::format("{}.{}", id.str(), random_hex(4));
  const bool moved = ::rename(path_of(id).c_str(), aside.c_str()) == 0;
  log(Level::kError, "a blob's bytes do not have its hash", {{"blob", id.str()}, {"set_aside", moved}});
  return fail(ErrorCode::kCorrupt, "blob " + id.str() + " does not verify", "its file is kept in blobs/corrupt");
}

}  // namespace mayfly::store
