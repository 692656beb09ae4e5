// Which secret a request is about, and small things that topics share.
#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/time_format.h"
#include "services/secrets/core.h"

namespace mayfly::secrets {
namespace {

constexpr std::size_t kSuffix = 7;  // a dash and six characters
constexpr std::size_t kMostTags = 50;
constexpr std::size_t kMostBytes = 65'536;

bool is_arn(std::string_view text) { return text.starts_with("arn:"); }

}  // namespace

std::optional<NamedByArn> parse_arn(std::string_view arn) {
  constexpr std::string_view kStart = "arn:aws:secretsmanager:";
  if (!arn.starts_with(kStart)) return std::nullopt;
  arn.remove_prefix(kStart.size());
  const auto region = arn.find(':');
  if (region == std::string_view::npos) return std::nullopt;
  const auto account = arn.find(':', region + 1);
  if (account == std::string_view::npos) return std::nullopt;
  NamedByArn out;
  out.place = {.account = std::string(arn.substr(region + 1, account - region - 1)),
               .region = std::string(arn.substr(0, region))};
  out.name = arn.substr(account + 1);
  if (!out.name.starts_with("secret:")) return std::nullopt;
  out.name.remove_prefix(std::string_view("secret:").size());
  return out;
}

double Core::now() const { return epoch_seconds(clock.now()); }

Place Core::place(const aws::CallContext& context) const {
  Place out;
  out.account = context.principal.account.empty() ? settings.account : context.principal.account;
  out.region = context.region.empty() ? settings.region : context.region;
  return out;
}

std::unexpected<aws::ApiError> refuse_parameter(std::string message) {
  return refuse(wire::errors::InvalidParameterException, std::move(message));
}

std::unexpected<aws::ApiError> refuse_request(std::string message) {
  return refuse(wire::errors::InvalidRequestException, std::move(message));
}

std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting) {
  return refuse_parameter(fmt::format("{} is not supported by this server.", setting));
}

aws::ApiError secret_missing() {
  return refuse(wire::errors::ResourceNotFoundException, "Secrets Manager can't find the specified secret.").error();
}

aws::ApiError marked_for_deletion() {
  return refuse_request("You can't perform this operation on the secret because it was marked for deletion.").error();
}

aws::ApiResult<void> check_name(std::string_view name) {
  const bool valid = !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-/_+=.@!").find(c) != std::string_view::npos;
  });
  if (valid) return {};
  return refuse(aws::common_errors::ValidationException,
                "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: "
                "-/_+=.@!");
}

bool is_of_a_service(std::string_view name) { return name.starts_with("events!"); }

SecretPtr find_named(const Core& core, const Place& place, std::string_view secret_id) {
  if (!is_arn(secret_id)) return core.secrets.find(secret_key(place, secret_id));
  const auto named = parse_arn(secret_id);
  if (!named) return nullptr;
  if (named->name.size() > kSuffix) {
    const auto whole = core.secrets.find(secret_key(named->place, named->name.substr(0, named->name.size() - kSuffix)));
    if (whole && whole->arn() == secret_id) return whole;
  }
  return core.secrets.find(secret_key(named->place, named->name));
}

aws::ApiResult<SecretPtr> find_secret(const Core& core, const aws::CallContext& context,
                                      const std::optional<std::string>& secret_id) {
  const auto id = secret_id.value_or("");
  if (!is_arn(id)) {
    if (auto valid = check_name(id); !valid) return std::unexpected(std::move(valid.error()));
  }
  const auto place = core.place(context);
  auto found = find_named(core, place, id);
  // Another region's secret is not here; another account's is where policies let the caller in.
  if (!found || found->place.region != place.region) return std::unexpected(secret_missing());
  return found;
}

aws::ApiResult<SecretPtr> find_live(const Core& core, const aws::CallContext& context,
                                    const std::optional<std::string>& secret_id) {
  auto found = find_secret(core, context, secret_id);
  if (found && (*found)->deleted != 0) return std::unexpected(marked_for_deletion());
  return found;
}

aws::ApiResult<void> check_same_account(const Secret& secret, const aws::CallContext& context) {
  if (context.principal.account.empty() || context.principal.account == secret.place.account) return {};
  return refuse_request(
      "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service "
      "key.");
}

aws::ApiResult<void> check_not_owned(const Secret& secret) {
  if (secret.owner.empty()) return {};
  return refuse_request(
      fmt::format("You can't perform this operation on a secret that is managed by the service {}.", secret.owner));
}

Awaitable<aws::ApiResult<SecretPtr>> change_live(Core& core, std::string key, Edit edit) {
  Edit checked = [edit = std::move(edit)](Secret& secret) -> aws::ApiResult<void> {
    if (secret.deleted != 0) return std::unexpected(marked_for_deletion());
    if (auto free = check_not_owned(secret); !free) return free;
    return edit(secret);
  };
  co_return co_await core.secrets.change(std::move(key), secret_missing(), std::move(checked));
}

aws::ApiResult<NewValue> new_value(std::optional<std::string>& text, std::optional<std::string>& bytes) {
  NewValue out;
  if (text && bytes) {
    return refuse_parameter(
        "You can't specify both a binary secret value and a string secret value in the same secret.");
  }
  if (text) {
    out.kind = ValueKind::kText;
    out.bytes = std::move(*text);
  } else if (bytes) {
    out.kind = ValueKind::kBytes;
    out.bytes = std::move(*bytes);
  }
  if (out.bytes.size() > kMostBytes) {
    return refuse_parameter(fmt::format("A secret value can have at most {} bytes.", kMostBytes));
  }
  return out;
}

std::string new_version_id(const std::optional<std::string>& token) { return token ? *token : uuid4(); }

aws::ApiResult<vault::ClearText> open_value(const Core& core, const Secret& secret, const Version& version) {
  auto opened = core.vault.open(secret.context(version.id), version.sealed);
  if (opened) return std::move(*opened);
  log(Level::kError, "a secret cannot be decrypted",
      {{"secret", secret.arn()}, {"version", version.id}, {"error", opened.error().message}});
  return refuse(wire::errors::DecryptionFailure,
                fmt::format("Secrets Manager can't decrypt the protected secret text using the provided KMS key: {}.",
                            opened.error().message));
}

std::vector<wire::Tag> shown_tags(const Secret& secret) {
  std::vector<wire::Tag> out;
  for (const auto& [name, value] : *secret.tags) {
    wire::Tag tag;
    tag.Key = name;
    tag.Value = value;
    out.push_back(std::move(tag));
  }
  return out;
}

aws::ApiResult<void> set_tags(Secret& secret, const std::vector<wire::Tag>& tags) {
  if (!secret.tags) secret.tags.emplace();
  for (const auto& tag : tags) {
    const auto name = tag.Key.value_or("");
    if (name.starts_with("aws:")) return refuse_parameter("Tag keys can't begin with aws:.");
    const auto found = std::ranges::find(*secret.tags, name, &std::pair<std::string, std::string>::first);
    if (found == secret.tags->end()) {
      secret.tags->emplace_back(name, tag.Value.value_or(""));
    } else {
      found->second = tag.Value.value_or("");
    }
  }
  if (secret.tags->size() > kMostTags) {
    return refuse_parameter(fmt::format("A secret can have at most {} tags.", kMostTags));
  }
  return {};
}

}  // namespace mayfly::secrets
