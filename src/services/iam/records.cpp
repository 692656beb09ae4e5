#include "services/iam/records.h"

#include <fmt/core.h>

#include <charconv>

#include "base/encoding.h"

namespace mayfly::iam {
namespace {

json::array tags_of(const Tags& tags) {
  json::array out;
  for (const auto& [name, value] : tags) out.push_back(json::array{name, value});
  return out;
}

json::array list_of(const std::vector<std::string>& texts) {
  json::array out;
  for (const auto& text : texts) out.emplace_back(text);
  return out;
}

// Readers of records throw where a record is none; read() turns that into kCorrupt.
std::string text(const json::object& document, std::string_view key) {
  return std::string(document.at(key).as_string());
}

double number(const json::object& document, std::string_view key) { return document.at(key).to_number<double>(); }

std::vector<std::string> texts(const json::object& document, std::string_view key) {
  std::vector<std::string> out;
  for (const auto& one : document.at(key).as_array()) out.emplace_back(one.as_string());
  return out;
}

Tags stored_tags(const json::object& document) {
  Tags out;
  for (const auto& tag : document.at("tags").as_array()) {
    out.emplace_back(std::string(tag.as_array().at(0).as_string()), std::string(tag.as_array().at(1).as_string()));
  }
  return out;
}

Entity read_entity(const json::object& document) {
  Entity out;
  const auto kind = text(document, "kind");
  out.kind = kind == "user" ? EntityKind::kUser : kind == "role" ? EntityKind::kRole : EntityKind::kGroup;
  out.account = text(document, "account");
  out.name = text(document, "name");
  out.path = text(document, "path");
  out.id = text(document, "id");
  out.created = number(document, "created");
  out.tags = stored_tags(document);
  for (const auto& member : document.at("inline").as_object()) {
    out.inline_policies.emplace(member.key(), member.value().as_string());
  }
  out.attached = texts(document, "attached");
  out.boundary = text(document, "boundary");
  out.groups = texts(document, "groups");
  for (const auto& one : document.at("access_keys").as_array()) {
    const auto& key = one.as_object();
    out.access_keys.push_back(
        {.id = text(key, "id"), .active = key.at("active").as_bool(), .created = number(key, "created")});
  }
  out.trust = text(document, "trust");
  out.description = text(document, "description");
  out.max_session_seconds = document.at("max_session").to_number<std::int32_t>();
  out.linked_service = text(document, "linked_service");
  return out;
}

ManagedPolicy read_policy(const json::object& document) {
  ManagedPolicy out;
  out.account = text(document, "account");
  out.name = text(document, "name");
  out.path = text(document, "path");
  out.id = text(document, "id");
  out.description = text(document, "description");
  out.created = number(document, "created");
  out.updated = number(document, "updated");
  out.tags = stored_tags(document);
  for (const auto& member : document.at("versions").as_object()) {
    const std::string_view digits(member.key());
    std::uint32_t version = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), version);
    const auto& body = member.value().as_object();
    out.versions[version] = {.document = text(body, "document"), .created = number(body, "created")};
  }
  out.default_version = document.at("default").to_number<std::uint32_t>();
  out.last_version = document.at("last").to_number<std::uint32_t>();
  return out;
}

}  // namespace

std::string_view kind_name(EntityKind kind) {
  switch (kind) {
    case EntityKind::kUser:
      return "user";
    case EntityKind::kRole:
      return "role";
    case EntityKind::kGroup:
      return "group";
  }
  return "";
}

std::string entity_key(EntityKind kind, std::string_view account, std::string_view name) {
  return fmt::format("{}{}/{}/{}", Entity::kPrefix, kind_name(kind), account, to_lower(name));
}

// "arn:aws:iam::111111111111:policy/path/Name" to "iam/policy/111111111111/name".
std::string policy_key(std::string_view arn) {
  constexpr std::string_view kStart = "arn:aws:iam::";
  const auto marker = arn.find(":policy/");
  if (!arn.starts_with(kStart) || marker == std::string_view::npos) return {};
  const auto account = arn.substr(kStart.size(), marker - kStart.size());
  return fmt::format("{}{}/{}", ManagedPolicy::kPrefix, account, to_lower(arn.substr(arn.rfind('/') + 1)));
}

std::string Entity::arn() const { return fmt::format("arn:aws:iam::{}:{}{}{}", account, kind_name(kind), path, name); }

std::string Entity::key() const { return entity_key(kind, account, name); }

json::object Entity::document() const {
  json::object out;
  out["kind"] = kind_name(kind);
  out["account"] = account;
  out["name"] = name;
  out["path"] = path;
  out["id"] = id;
  out["created"] = created;
  out["tags"] = tags_of(tags);
  json::object policies;
  for (const auto& [policy, body] : inline_policies) policies[policy] = body;
  out["inline"] = std::move(policies);
  out["attached"] = list_of(attached);
  out["boundary"] = boundary;
  out["groups"] = list_of(groups);
  json::array keys;
  for (const auto& access : access_keys) {
    json::object one;
    one["id"] = access.id;
    one["active"] = access.active;
    one["created"] = access.created;
    keys.emplace_back(std::move(one));
  }
  out["access_keys"] = std::move(keys);
  out["trust"] = trust;
  out["description"] = description;
  out["max_session"] = max_session_seconds;
  out["linked_service"] = linked_service;
  return out;
}

Result<Entity> Entity::read(const json::object& document) {
  try {
    return read_entity(document);
  } catch (const std::exception& wrong) {
    return fail(ErrorCode::kCorrupt, wrong.what());
  }
}

std::string ManagedPolicy::arn() const { return fmt::format("arn:aws:iam::{}:policy{}{}", account, path, name); }

std::string ManagedPolicy::key() const { return policy_key(arn()); }

json::object ManagedPolicy::document() const {
  json::object out;
  out["account"] = account;
  out["name"] = name;
  out["path"] = path;
  out["id"] = id;
  out["description"] = description;
  out["created"] = created;
  out["updated"] = updated;
  out["tags"] = tags_of(tags);
  json::object bodies;
  for (const auto& [version, body] : versions) {
    json::object one;
    one["document"] = body.document;
    one["created"] = body.created;
    bodies[std::to_string(version)] = std::move(one);
  }
  out["versions"] = std::move(bodies);
  out["default"] = default_version;
  out["last"] = last_version;
  return out;
}

Result<ManagedPolicy> ManagedPolicy::read(const json::object& document) {
  try {
    return read_policy(document);
  } catch (const std::exception& wrong) {
    return fail(ErrorCode::kCorrupt, wrong.what());
  }
}

}  // namespace mayfly::iam
