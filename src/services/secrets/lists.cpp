// ListSecrets: filters, orders and pages.
#include <fmt/core.h>

#include <algorithm>

#include "base/encoding.h"
#include "services/secrets/core.h"

namespace mayfly::secrets {
namespace {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  std::string word;
  for (const char c : text) {
    const bool inside = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    if (inside) word += c;
    if (!inside && !word.empty()) out.push_back(std::exchange(word, {}));
  }
  if (!word.empty()) out.push_back(word);
  return out;
}

bool contains(std::string_view text, std::string_view part) {
  return to_lower(text).find(to_lower(part)) != std::string::npos;
}

// "all": each word of the value occurs somewhere.
bool matches_anywhere(const Secret& secret, std::string_view value) {
  std::string all = secret.name + "\n" + secret.description.value_or("") + "\n" + secret.place.region;
  if (secret.tags) {
    for (const auto& [name, tag] : *secret.tags) all += "\n" + name + "\n" + tag;
  }
  const auto words = words_of(value);
  return std::ranges::all_of(words, [&](const std::string& word) { return contains(all, word); });
}

bool matches_value(const Secret& secret, std::string_view key, std::string_view value) {
  const auto of_tags = [&](auto part) {
    return secret.tags &&
           std::ranges::any_of(*secret.tags, [&](const auto& tag) { return part(tag).starts_with(value); });
  };
  if (key == "name") return secret.name.starts_with(value);
  if (key == "description") {
    return to_lower(secret.description.value_or("")).starts_with(to_lower(value)) ||
           std::ranges::any_of(words_of(secret.description.value_or("")),
                               [&](const std::string& word) { return to_lower(word).starts_with(to_lower(value)); });
  }
  if (key == "tag-key") return of_tags([](const auto& tag) { return std::string_view(tag.first); });
  if (key == "tag-value") return of_tags([](const auto& tag) { return std::string_view(tag.second); });
  if (key == "all") return matches_anywhere(secret, value);
  return false;  // primary-region, owning-service: no secret here has one
}

// Values of one filter are alternatives; "!" in front turns one around.
bool matches_filter(const Secret& secret, const wire::Filter& filter) {
  const auto key = filter.Key.value_or("");
  const auto values = filter.Values.value_or(std::vector<std::string>());
  return std::ranges::any_of(values, [&](std::string_view value) {
    const bool negated = value.starts_with('!');
    if (negated) value.remove_prefix(1);
    return matches_value(secret, key, value) != negated;
  });
}

// A text whose order is the list's; ends with the key, so that it is unique.
std::string order_of(const Secret& secret, std::string_view by) {
  if (by == "name") return secret.name;
  const double time = by == "last-changed-date"    ? secret.changed
                      : by == "last-accessed-date" ? secret.accessed
                                                   : secret.created;
  return fmt::format("{:020.6f} {}", time, secret.name);
}

wire::SecretListEntry entry_of(const Secret& secret) {
  wire::SecretListEntry out;
  out.ARN = secret.arn();
  out.Name = secret.name;
  out.Description = secret.description;
  out.CreatedDate = secret.created;
  out.LastChangedDate = secret.changed;
  out.LastAccessedDate = some_time(secret.accessed);
  out.DeletedDate = some_time(secret.deleted);
  out.OwningService = some(secret.owner);
  if (secret.tags) out.Tags = shown_tags(secret);
  const auto& rotation = secret.rotation;
  if (rotation.enabled) {
    out.RotationEnabled = true;
    out.RotationLambdaARN = some(rotation.function_arn);
    out.RotationRules = rotation.rules;
    out.LastRotatedDate = some_time(rotation.rotated);
    out.NextRotationDate = some_time(rotation.next);
  }
  std::vector<std::pair<std::string, std::vector<std::string>>> stages;
  for (const auto& version : secret.versions) {
    if (!version.stages.empty()) stages.emplace_back(version.id, version.stages);
  }
  out.SecretVersionsToStages = some(std::move(stages));
  return out;
}

Awaitable<aws::ApiResult<wire::ListSecretsResponse>> list_secrets(Core& core, const aws::CallContext& context,
                                                                  wire::ListSecretsRequest request) {
  const auto place = core.place(context);
  const auto by = request.SortBy.value_or("created-date");
  const bool ascending = request.SortOrder.value_or("desc") == "asc";
  const auto filters = request.Filters.value_or(std::vector<wire::Filter>());
  const auto limit = static_cast<std::size_t>(request.MaxResults.value_or(static_cast<int>(kDefaultPage)));
  std::vector<std::pair<std::string, SecretPtr>> all;
  for (auto& secret : core.secrets.list(secret_key(place, ""))) {
    if (secret->deleted != 0 && !request.IncludePlannedDeletion.value_or(false)) continue;
    if (matches(*secret, filters)) all.emplace_back(order_of(*secret, by), std::move(secret));
  }
  std::ranges::sort(
      all, [ascending](const auto& a, const auto& b) { return ascending ? a.first < b.first : b.first < a.first; });
  std::optional<std::string> after;
  if (request.NextToken) {
    after = base64_decode(*request.NextToken);
    if (!after) co_return refuse(wire::errors::InvalidNextTokenException, "Invalid NextToken.");
  }
  wire::ListSecretsResponse out;
  out.SecretList.emplace();
  std::string last;
  for (const auto& [order, secret] : all) {
    if (after && (ascending ? order <= *after : order >= *after)) continue;
    if (out.SecretList->size() == limit) {
      out.NextToken = base64_encode(last);
      break;
    }
    out.SecretList->push_back(entry_of(*secret));
    last = order;
  }
  co_return out;
}

}  // namespace

bool matches(const Secret& secret, const std::vector<wire::Filter>& filters) {
  return std::ranges::all_of(filters, [&](const wire::Filter& filter) { return matches_filter(secret, filter); });
}

void bind_lists(aws::Service& service, Core& core) { bind<wire::ListSecrets>(service, core, list_secrets); }

}  // namespace mayfly::secrets
