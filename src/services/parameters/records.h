// A parameter of Parameter Store as it lies in the store: all of its versions in one record, so that every change is
// one atomic write. The values of SecureStrings are sealed (vault).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace mayfly::parameters {

struct Place {
  std::string account;
  std::string region;
};

struct Version {
  std::int64_t number = 0;
  std::string value;  // sealed where the type is SecureString
  std::string description;
  std::string allowed_pattern;
  std::string tier;
  std::string data_type;
  double modified = 0;
  std::string user;  // ARN of who made it
  std::vector<std::string> labels;
};

struct Parameter {
  static constexpr std::string_view kPrefix = "ssm/parameter/";

  Place place;
  std::string name;  // as it was made: "plain" or "/a/path"
  std::string incarnation;
  std::string type;               // "String", "StringList", "SecureString"
  std::vector<Version> versions;  // ascending; never empty
  std::int64_t last_version = 0;
  std::vector<std::pair<std::string, std::string>> tags;

  [[nodiscard]] std::string key() const;
  [[nodiscard]] std::string arn() const;
  // What a version's sealed value is bound to.
  [[nodiscard]] std::string context(std::int64_t version) const;
  [[nodiscard]] bool is_secure() const { return type == "SecureString"; }
  [[nodiscard]] const Version& latest() const { return versions.back(); }
  // By number or label, as a selector says; null where there is none.
  [[nodiscard]] const Version* find(std::string_view selector) const;
  [[nodiscard]] json::object document() const;
  static Result<Parameter> read(const json::object& document);
};
using ParameterPtr = std::shared_ptr<const Parameter>;

inline constexpr std::size_t kMostVersions = 100;

std::string parameter_key(const Place& place, std::string_view name);
std::string parameter_arn(const Place& place, std::string_view name);

}  // namespace mayfly::parameters
