#include "identity/root_credentials.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/json.h"
#include "identity/private_file.h"

namespace mayfly::identity {
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
  RootCredentials credentials{.access_key_id = "AKIA" + to_upper(random_alphanumeric(16)),
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
