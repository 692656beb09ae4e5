#include "services/secrets/records.h"

#include <fmt/core.h>

#include <algorithm>

namespace mayfly::secrets {
namespace {

std::string text(const json::object& document, std::string_view key) {
  return std::string(document.at(key).as_string());
}

double number(const json::object& document, std::string_view key) { return document.at(key).to_number<double>(); }

json::object version_document(const Version& version) {
  json::object out;
  out["id"] = version.id;
  out["created"] = version.created;
  out["accessed"] = version.accessed;
  out["kind"] = static_cast<int>(version.kind);
  out["sealed"] = version.sealed;
  json::array stages;
  for (const auto& stage : version.stages) stages.emplace_back(stage);
  out["stages"] = std::move(stages);
  return out;
}

Version read_version(const json::object& document) {
  Version out;
  out.id = text(document, "id");
  out.created = number(document, "created");
  out.accessed = number(document, "accessed");
  out.kind = static_cast<ValueKind>(document.at("kind").to_number<int>());
  out.sealed = text(document, "sealed");
  for (const auto& stage : document.at("stages").as_array()) out.stages.emplace_back(stage.as_string());
  return out;
}

json::object rotation_document(const Rotation& rotation) {
  json::object out;
  out["enabled"] = rotation.enabled;
  out["function"] = rotation.function_arn;
  json::object rules;
  to_document(rotation.rules, rules);
  out["rules"] = std::move(rules);
  out["rotated"] = rotation.rotated;
  out["next"] = rotation.next;
  out["pending"] = rotation.pending;
  out["attempts"] = rotation.attempts;
  out["retry_at"] = rotation.retry_at;
  return out;
}

Rotation read_rotation(const json::object& document) {
  Rotation out;
  out.enabled = document.at("enabled").as_bool();
  out.function_arn = text(document, "function");
  from_document(document.at("rules").as_object(), out.rules);
  out.rotated = number(document, "rotated");
  out.next = number(document, "next");
  out.pending = text(document, "pending");
  out.attempts = document.at("attempts").to_number<std::uint32_t>();
  out.retry_at = number(document, "retry_at");
  return out;
}

// Throws where the document is no secret; Secret::read turns that into kCorrupt.
Secret read_secret(const json::object& document) {
  Secret out;
  out.place = {.account = text(document, "account"), .region = text(document, "region")};
  out.name = text(document, "name");
  if (document.contains("owner")) out.owner = text(document, "owner");
  out.suffix = text(document, "suffix");
  if (document.contains("description")) out.description = text(document, "description");
  out.created = number(document, "created");
  out.changed = number(document, "changed");
  out.accessed = number(document, "accessed");
  out.deleted = number(document, "deleted");
  out.deleted_at = number(document, "deleted_at");
  if (const auto* tags = document.if_contains("tags")) {
    out.tags.emplace();
    for (const auto& tag : tags->as_array()) {
      out.tags->emplace_back(std::string(tag.as_array().at(0).as_string()),
                             std::string(tag.as_array().at(1).as_string()));
    }
  }
  out.policy = text(document, "policy");
  for (const auto& version : document.at("versions").as_array()) {
    out.versions.push_back(read_version(version.as_object()));
  }
  out.rotation = read_rotation(document.at("rotation").as_object());
  return out;
}

}  // namespace

bool Version::has_stage(std::string_view stage) const { return std::ranges::find(stages, stage) != stages.end(); }

std::string secret_key(const Place& place, std::string_view name) {
  return fmt::format("{}{}/{}/{}", Secret::kPrefix, place.account, place.region, name);
}

std::string Secret::key() const { return secret_key(place, name); }

std::string Secret::arn() const {
  return fmt::format("arn:aws:secretsmanager:{}:{}:secret:{}-{}", place.region, place.account, name, suffix);
}

std::string Secret::context(std::string_view version_id) const { return fmt::format("{}#{}", arn(), version_id); }

json::object Secret::document() const {
  json::object out;
  out["account"] = place.account;
  out["region"] = place.region;
  out["name"] = name;
  if (!owner.empty()) out["owner"] = owner;
  out["suffix"] = suffix;
  if (description) out["description"] = *description;
  out["created"] = created;
  out["changed"] = changed;
  out["accessed"] = accessed;
  out["deleted"] = deleted;
  out["deleted_at"] = deleted_at;
  if (tags) {
    json::array all;
    for (const auto& [tag, value] : *tags) all.push_back(json::array{tag, value});
    out["tags"] = std::move(all);
  }
  out["policy"] = policy;
  json::array all;
  for (const auto& version : versions) all.push_back(version_document(version));
  out["versions"] = std::move(all);
  out["rotation"] = rotation_document(rotation);
  return out;
}

Result<Secret> Secret::read(const json::object& document) {
  try {
    return read_secret(document);
  } catch (const std::exception& wrong) {
    return fail(ErrorCode::kCorrupt, wrong.what());
  }
}

const Version* Secret::version(std::string_view id) const {
  const auto found = std::ranges::find(versions, id, &Version::id);
  return found == versions.end() ? nullptr : &*found;
}

Version* Secret::version(std::string_view id) {
  const auto found = std::ranges::find(versions, id, &Version::id);
  return found == versions.end() ? nullptr : &*found;
}

const Version* Secret::staged(std::string_view stage) const {
  const auto found = std::ranges::find_if(versions, [stage](const Version& v) { return v.has_stage(stage); });
  return found == versions.end() ? nullptr : &*found;
}

void Secret::remove_stage(std::string_view stage) {
  for (auto& version : versions) std::erase(version.stages, stage);
}

void Secret::move_stage(std::string_view stage, std::string_view to_version) {
  auto* to = version(to_version);
  MAYFLY_ASSERT(to != nullptr);
  if (to->has_stage(stage)) return;
  const auto* from = staged(stage);
  const std::string from_id = from == nullptr ? std::string() : from->id;
  remove_stage(stage);
  if (stage == kCurrent) {
    remove_stage(kPrevious);
    if (auto* left = version(from_id)) left->stages.insert(left->stages.begin(), std::string(kPrevious));
    to->stages.insert(to->stages.begin(), std::string(kCurrent));
  } else {
    to->stages.emplace_back(stage);
  }
}

void Secret::forget_old_versions() {
  while (versions.size() > kMostVersions) {
    const auto oldest = std::ranges::find_if(versions, [](const Version& v) { return v.stages.empty(); });
    if (oldest == versions.end()) return;
    versions.erase(oldest);
  }
}

}  // namespace mayfly::secrets
