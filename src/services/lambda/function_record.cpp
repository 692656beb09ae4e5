#include "services/lambda/function_record.h"

#include <fmt/core.h>

#include <charconv>

#include "base/crypto.h"
#include "base/encoding.h"
#include "vault/sealed_records.h"

namespace mayfly::lambda {
namespace {

constexpr std::int64_t kFormat = 1;

template <typename T>
json::object document_of(const T& value) {
  json::object out;
  to_document(value, out);
  return out;
}

template <typename T>
void read_document(const json::value& object, std::string_view key, T& out) {
  const auto* value = find(object, key);
  if (value != nullptr && value->is_object()) from_document(value->get_object(), out);
}

std::string text_of(const json::value& object, std::string_view key) { return std::string(get_string(object, key)); }

json::object to_value(const VersionRecord& version) {
  json::object out;
  auto config = document_of(version.config);
  if (version.config.Environment && version.config.Environment->Error) {
    config["Environment"] = vault::locked_part(version.locked_environment);
  }
  out["config"] = std::move(config);
  out["code"] = version.code_sha;
  json::array layers;
  for (const auto& sha : version.layer_shas) layers.emplace_back(sha);
  out["layers"] = std::move(layers);
  out["content"] = version.content;
  return out;
}

VersionRecord version_from(const json::value& value) {
  VersionRecord out;
  read_document(value, "config", out.config);
  const auto* config = find(value, "config");
  const auto* environment = config == nullptr ? nullptr : find(*config, "Environment");
  if (auto locked = environment == nullptr ? std::nullopt : vault::locked(*environment)) {
    wire::EnvironmentError error;
    error.ErrorCode = "AccessDeniedException";
    error.Message = "Lambda was unable to decrypt your environment variables: " + vault::why_locked(*locked);
    out.config.Environment.emplace();
    out.config.Environment->Error = std::move(error);
    out.locked_environment = std::move(*locked);
  }
  out.code_sha = text_of(value, "code");
  out.content = text_of(value, "content");
  if (const auto* layers = find(value, "layers"); layers != nullptr && layers->is_array()) {
    for (const auto& sha : layers->get_array()) {
      if (sha.is_string()) out.layer_shas.emplace_back(sha.get_string());
    }
  }
  return out;
}

json::object to_value(const Policy& policy) {
  json::object out;
  out["revision"] = policy.revision;
  out["statements"] = policy.statements();
  return out;
}

Policy policy_from(const json::value& value) {
  Policy out;
  out.revision = text_of(value, "revision");
  if (const auto* statements = find(value, "statements"); statements != nullptr && statements->is_array()) {
    out.set_statements(statements->get_array());
  }
  return out;
}

json::object head_of(const Place& place, const std::string& name) {
  json::object out;
  out["format"] = kFormat;
  out["account"] = place.account;
  out["region"] = place.region;
  out["name"] = name;
  return out;
}

Result<json::value> parse_head(std::string_view text, Place& place, std::string& name) {
  auto value = parse_json(text);
  if (!value || get_int(*value, "format") != kFormat || get_string(*value, "name").empty()) {
    return fail(ErrorCode::kCorrupt, "a stored record of the Lambda service cannot be read");
  }
  place.account = text_of(*value, "account");
  place.region = text_of(*value, "region");
  name = text_of(*value, "name");
  return value;
}

template <typename Visit>
void each_member(const json::value& object, std::string_view key, Visit visit) {
  const auto* value = find(object, key);
  if (value == nullptr || !value->is_object()) return;
  for (const auto& entry : value->get_object()) visit(std::string(entry.key()), entry.value());
}

std::uint64_t number(const std::string& text) {
  std::uint64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

}  // namespace

void Policy::set_statements(json::array statements) {
  statements_ = std::move(statements);
  json::object document;
  document["Version"] = "2012-10-17";
  document["Id"] = "default";
  document["Statement"] = statements_;
  text_ = to_json(document);
}

std::string function_key(const Place& place, std::string_view name) {
  return fmt::format("{}{}/{}/{}", kFunctionPrefix, place.account, place.region, name);
}

std::string layer_key(const Place& place, std::string_view name) {
  return fmt::format("{}{}/{}/{}", kLayerPrefix, place.account, place.region, name);
}

std::string to_text(const FunctionRecord& record) {
  auto out = head_of(record.place, record.name);
  out["incarnation"] = record.incarnation;
  out["latest"] = to_value(record.latest);
  json::object versions;
  for (const auto& [id, version] : record.versions) versions[std::to_string(id)] = to_value(version);
  out["versions"] = std::move(versions);
  out["last_version"] = record.last_version;
  json::object aliases;
  for (const auto& [name, alias] : record.aliases) aliases[name] = document_of(alias);
  out["aliases"] = std::move(aliases);
  json::object urls;
  for (const auto& [qualifier, url] : record.urls) {
    json::object item;
    item["id"] = url.id;
    item["config"] = document_of(url.config);
    urls[qualifier] = std::move(item);
  }
  out["urls"] = std::move(urls);
  json::object policies;
  for (const auto& [qualifier, policy] : record.policies) policies[qualifier] = to_value(policy);
  out["policies"] = std::move(policies);
  json::object event_invoke;
  for (const auto& [qualifier, config] : record.event_invoke) event_invoke[qualifier] = document_of(config);
  if (!event_invoke.empty()) out["event_invoke"] = std::move(event_invoke);
  json::object tags;
  for (const auto& [key, value] : record.tags) tags[key] = value;
  out["tags"] = std::move(tags);
  if (record.reserved_concurrency) out["reserved_concurrency"] = *record.reserved_concurrency;
  json::object provisioned;
  for (const auto& [qualifier, config] : record.provisioned) {
    provisioned[qualifier] = json::object{{"count", config.count}, {"modified", config.last_modified}};
  }
  if (!provisioned.empty()) out["provisioned"] = std::move(provisioned);
  out["recursive_loop"] = record.recursive_loop;
  return to_json(out);
}

Result<FunctionRecord> function_from_text(std::string_view text) {
  FunctionRecord out;
  auto parsed = parse_head(text, out.place, out.name);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  const auto& value = *parsed;
  out.incarnation = text_of(value, "incarnation");
  if (const auto* latest = find(value, "latest")) out.latest = version_from(*latest);
  each_member(value, "versions",
              [&](const std::string& id, const json::value& v) { out.versions[number(id)] = version_from(v); });
  out.last_version = static_cast<std::uint64_t>(get_int(value, "last_version"));
  each_member(value, "aliases", [&](const std::string& name, const json::value& v) {
    if (v.is_object()) from_document(v.get_object(), out.aliases[name]);
  });
  each_member(value, "urls", [&](const std::string& qualifier, const json::value& v) {
    UrlRecord url;
    url.id = text_of(v, "id");
    url.qualifier = qualifier;
    read_document(v, "config", url.config);
    out.urls[qualifier] = std::move(url);
  });
  each_member(value, "policies",
              [&](const std::string& qualifier, const json::value& v) { out.policies[qualifier] = policy_from(v); });
  each_member(value, "event_invoke", [&](const std::string& qualifier, const json::value& v) {
    if (v.is_object()) from_document(v.get_object(), out.event_invoke[qualifier]);
  });
  each_member(value, "tags", [&](const std::string& key, const json::value& v) {
    if (v.is_string()) out.tags.emplace_back(key, std::string(v.get_string()));
  });
  if (find(value, "reserved_concurrency") != nullptr) {
    out.reserved_concurrency = static_cast<std::int32_t>(get_int(value, "reserved_concurrency"));
  }
  each_member(value, "provisioned", [&](const std::string& qualifier, const json::value& v) {
    out.provisioned[qualifier] = {.count = static_cast<std::int32_t>(get_int(v, "count")),
                                  .last_modified = text_of(v, "modified")};
  });
  out.recursive_loop = std::string(get_string(value, "recursive_loop", "Terminate"));
  return out;
}

std::string to_text(const LayerRecord& record) {
  auto out = head_of(record.place, record.name);
  json::object versions;
  for (const auto& [id, version] : record.versions) {
    json::object item;
    item["info"] = document_of(version.info);
    item["code"] = version.code_sha;
    item["policy"] = to_value(version.policy);
    versions[std::to_string(id)] = std::move(item);
  }
  out["versions"] = std::move(versions);
  out["last_version"] = record.last_version;
  return to_json(out);
}

Result<LayerRecord> layer_from_text(std::string_view text) {
  LayerRecord out;
  auto parsed = parse_head(text, out.place, out.name);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  each_member(*parsed, "versions", [&](const std::string& id, const json::value& v) {
    LayerVersionRecord version;
    read_document(v, "info", version.info);
    version.code_sha = text_of(v, "code");
    if (const auto* policy = find(v, "policy")) version.policy = policy_from(*policy);
    out.versions[static_cast<std::int64_t>(number(id))] = std::move(version);
  });
  out.last_version = get_int(*parsed, "last_version");
  return out;
}

std::string content_of(const FunctionRecord& function, const VersionRecord& version) {
  auto config = version.config;
  // What changes without the function behaving differently.
  config.RevisionId.reset();
  config.LastModified.reset();
  config.Version.reset();
  std::string text = function.incarnation + version.code_sha + to_json(document_of(config));
  for (const auto& sha : version.layer_shas) text += sha;
  return hex_encode(sha256(text)).substr(0, 32);
}

std::uint64_t code_bytes(const FunctionRecord& function) {
  auto total = static_cast<std::uint64_t>(function.latest.config.CodeSize.value_or(0));
  for (const auto& [id, version] : function.versions) {
    total += static_cast<std::uint64_t>(version.config.CodeSize.value_or(0));
  }
  return total;
}

}  // namespace mayfly::lambda
