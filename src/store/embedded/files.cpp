#include "store/embedded/files.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace mayfly::store {

namespace {

Result<void> write_all(int fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno(fmt::format("write {}", name));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Result<void> make_directory(const std::filesystem::path& directory) {
  if (::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail_errno(fmt::format("create directory {}", directory.string()));
}

Result<void> sync_directory(const std::filesystem::path& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(fmt::format("open directory {}", directory.string()));
  if (::fsync(fd.get()) != 0) return fail_errno(fmt::format("sync directory {}", directory.string()));
  return {};
}

Result<void> write_new_file(const std::filesystem::path& file, std::string_view bytes) {
  UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(fmt::format("create {}", file.string()));
  Result<void> result = write_all(fd.get(), bytes, file.string());
  if (result && ::fsync(fd.get()) != 0) result = fail_errno(fmt::format("sync {}", file.string()));
  if (!result) ::unlink(file.c_str());
  return result;
}

Result<std::string> read_whole_file(const std::filesystem::path& file, std::size_t limit) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno(fmt::format("open {}", file.string()));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(fmt::format("stat {}", file.string()));
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > limit) {
    return fail(ErrorCode::kTooLarge, fmt::format("{} is {} bytes, at most {} are taken", file.string(), size, limit));
  }
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(fd.get(), bytes.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(fmt::format("read {}", file.string()));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

Result<UniqueFd> lock_directory(const std::filesystem::path& directory) {
  const auto file = directory / "lock";
  UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(fmt::format("open {}", file.string()));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) {
    return fail(ErrorCode::kConflict, fmt::format("the data directory {} is in use", directory.string()),
                "another server runs on it; stop that one or give this one another directory");
  }
  return fail_errno(fmt::format("lock {}", file.string()));
}

}  // namespace mayfly::store
