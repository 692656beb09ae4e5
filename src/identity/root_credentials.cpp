#include "identity/root_credentials.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "base/fd.h"
#include "base/ids.h"
#include "base/json.h"

namespace mayfly::identity {
namespace {

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

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
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

}  // namespace

Result<RootCredentials> read_root_credentials(const std::filesystem::path& data) {
  const auto text = read_private_file(data / kCredentialsFile);
  if (!text) return std::unexpected(text.error());
  const auto parsed = parse_json(*text);
  if (!parsed) return std::unexpected(parsed.error());
  RootCredentials credentials{.access_key_id = std::string(get_string(*parsed, "AccessKeyId")),
                              .secret_access_key = std::string(get_string(*parsed, "SecretAccessKey"))};
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty()) {
    return fail(ErrorCode::kCorrupt, fmt::format("{}: holds no credentials", (data / kCredentialsFile).string()));
  }
  return credentials;
}

Result<RootCredentials> load_or_make_root_credentials(const std::filesystem::path& data, bool& made) {
  made = false;
  auto existing = read_root_credentials(data);
  if (existing || existing.error().code != ErrorCode::kNotFound) return existing;
  RootCredentials credentials{.access_key_id = "AKIA" + upper(random_alphanumeric(16)),
                              .secret_access_key = random_alphanumeric(40)};
  json::object file;
  file["AccessKeyId"] = credentials.access_key_id;
  file["SecretAccessKey"] = credentials.secret_access_key;
  if (const auto written = write_private_file(data / kCredentialsFile, to_json(file) + "\n"); !written) {
    return std::unexpected(written.error());
  }
  made = true;
  return credentials;
}

}  // namespace mayfly::identity
