#include "services/parameters/records.h"

#include <fmt/core.h>

#include <algorithm>
#include <stdexcept>

namespace mayfly::parameters {
namespace {

std::string text(const json::object& document, std::string_view key) {
  return std::string(document.at(key).as_string());
}

json::object version_document(const Version& version) {
  json::object out;
  out["number"] = version.number;
  out["value"] = version.value;
  out["description"] = version.description;
  out["allowed_pattern"] = version.allowed_pattern;
  out["tier"] = version.tier;
  out["data_type"] = version.data_type;
  out["modified"] = version.modified;
  out["user"] = version.user;
  json::array labels;
  for (const auto& label : version.labels) labels.emplace_back(label);
  out["labels"] = std::move(labels);
  return out;
}

Version read_version(const json::object& document) {
  Version out;
  out.number = document.at("number").to_number<std::int64_t>();
  out.value = text(document, "value");
  out.description = text(document, "description");
  out.allowed_pattern = text(document, "allowed_pattern");
  out.tier = text(document, "tier");
  out.data_type = text(document, "data_type");
  out.modified = document.at("modified").to_number<double>();
  out.user = text(document, "user");
  for (const auto& label : document.at("labels").as_array()) out.labels.emplace_back(label.as_string());
  return out;
}

// Throws where the document is no parameter; Parameter::read turns that into kCorrupt.
Parameter read_parameter(const json::object& document) {
  Parameter out;
  out.place = {.account = text(document, "account"), .region = text(document, "region")};
  out.name = text(document, "name");
  out.incarnation = text(document, "incarnation");
  out.type = text(document, "type");
  for (const auto& version : document.at("versions").as_array()) {
    out.versions.push_back(read_version(version.as_object()));
  }
  if (out.versions.empty()) throw std::out_of_range("a parameter without a version");
  out.last_version = document.at("last_version").to_number<std::int64_t>();
  for (const auto& tag : document.at("tags").as_array()) {
    out.tags.emplace_back(std::string(tag.as_array().at(0).as_string()), std::string(tag.as_array().at(1).as_string()));
  }
  return out;
}

}  // namespace

std::string parameter_key(const Place& place, std::string_view name) {
  return fmt::format("{}{}/{}/{}", Parameter::kPrefix, place.account, place.region, name);
}

std::string parameter_arn(const Place& place, std::string_view name) {
  if (name.starts_with('/')) name.remove_prefix(1);
  return fmt::format("arn:aws:ssm:{}:{}:parameter/{}", place.region, place.account, name);
}

std::string Parameter::key() const { return parameter_key(place, name); }

std::string Parameter::arn() const { return parameter_arn(place, name); }

std::string Parameter::context(std::int64_t version) const {
  return fmt::format("{} {}#{}", key(), incarnation, version);
}

const Version* Parameter::find(std::string_view selector) const {
  if (selector.empty()) return &versions.back();
  const auto found = std::ranges::find_if(versions, [selector](const Version& version) {
    return std::to_string(version.number) == selector ||
           std::ranges::find(version.labels, selector) != version.labels.end();
  });
  return found == versions.end() ? nullptr : &*found;
}

json::object Parameter::document() const {
  json::object out;
  out["account"] = place.account;
  out["region"] = place.region;
  out["name"] = name;
  out["incarnation"] = incarnation;
  out["type"] = type;
  json::array all;
  for (const auto& version : versions) all.push_back(version_document(version));
  out["versions"] = std::move(all);
  out["last_version"] = last_version;
  json::array pairs;
  for (const auto& [tag, value] : tags) pairs.push_back(json::array{tag, value});
  out["tags"] = std::move(pairs);
  return out;
}

Result<Parameter> Parameter::read(const json::object& document) {
  try {
    return read_parameter(document);
  } catch (const std::exception& wrong) {
    return fail(ErrorCode::kCorrupt, wrong.what());
  }
}

}  // namespace mayfly::parameters
