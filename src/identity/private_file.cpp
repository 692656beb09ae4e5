#include "identity/private_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <array>

#include "base/fd.h"

namespace mayfly::identity {

Result<std::string> read_private_file(const std::filesystem::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno(path.string());
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(path.string());
  if ((info.st_mode & 077) != 0) {
    return fail(ErrorCode::kForbidden, fmt::format("{}: others may read it", path.string()),
                fmt::format("chmod 600 {}", path.string()));
  }
  std::array<char, 4096> buffer{};
  const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
  if (n < 0) return fail_errno(path.string());
  return std::string(buffer.data(), static_cast<std::size_t>(n));
}

Result<void> write_private_file(const std::filesystem::path& path, const std::string& text) {
  const std::string temporary = path.string() + ".new";
  ::unlink(temporary.c_str());
  const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(temporary);
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return fail_errno(temporary);
  if (::fsync(fd.get()) != 0) return fail_errno(temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno(path.string());
  const UniqueFd folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return fail_errno(path.parent_path().string());
  return {};
}

}  // namespace mayfly::identity
