// What the service knows of one function and of one layer: the records that the store holds, and their text form.
// Everything of a function is one record, so that every change of it is one atomic write.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/lambda/names.h"

namespace mayfly::lambda {

using TagList = std::vector<std::pair<std::string, std::string>>;

// One published version, or $LATEST. `config` is as GetFunctionConfiguration shows it, without a qualifier in its ARN.
struct VersionRecord {
  wire::FunctionConfiguration config;
  std::string code_sha;                 // 64 hex digits: the package's blob and the folder it was unpacked to
  std::vector<std::string> layer_shas;  // same for each layer, lowest first
  std::string content;  // hash of code and configuration: equal content is published once and shares instances
  // The environment as it is stored, where it cannot be decrypted; config.Environment.Error then says why, and goes
  // when a new environment is set.
  std::string locked_environment;
};

class Policy {
 public:
  std::string revision;

  [[nodiscard]] bool empty() const { return statements_.empty(); }
  [[nodiscard]] const json::array& statements() const { return statements_; }
  // The document of the statements. Kept written out, as it is read for each invocation by a service.
  [[nodiscard]] const std::string& text() const { return text_; }
  void set_statements(json::array statements);

 private:
  json::array statements_;
  std::string text_;
};

struct UrlRecord {
  std::string id;         // the host's first label
  std::string qualifier;  // "" for $LATEST, else an alias
  wire::FunctionUrlConfig config;
};

struct ProvisionedRecord {
  std::int32_t count = 0;
  std::string last_modified;
};

struct FunctionRecord {
  Place place;
  std::string name;
  std::string incarnation;  // differs between a function and the one created later under its name
  VersionRecord latest;
  std::map<std::uint64_t, VersionRecord> versions;
  std::uint64_t last_version = 0;  // numbers are never used again, even after their version was deleted
  std::map<std::string, wire::AliasConfiguration> aliases;
  std::map<std::string, UrlRecord> urls;   // by qualifier
  std::map<std::string, Policy> policies;  // by qualifier, "" for the unqualified function
  // By qualifier ("$LATEST", "7", "live"); without the ARN.
  std::map<std::string, wire::FunctionEventInvokeConfig> event_invoke;
  TagList tags;
  std::optional<std::int32_t> reserved_concurrency;
  std::map<std::string, ProvisionedRecord> provisioned;  // by alias or number of a version
  std::string recursive_loop = "Terminate";

  [[nodiscard]] std::string arn(std::string_view qualifier) const { return function_arn(place, name, qualifier); }
};

struct LayerVersionRecord {
  wire::GetLayerVersionResponse info;  // without Content.Location
  std::string code_sha;
  Policy policy;
};

struct LayerRecord {
  Place place;
  std::string name;
  std::map<std::int64_t, LayerVersionRecord> versions;
  std::int64_t last_version = 0;
};

// Keys: "lambda/function/<account>/<region>/<name>" and "lambda/layer/...".
std::string function_key(const Place& place, std::string_view name);
std::string layer_key(const Place& place, std::string_view name);
inline constexpr std::string_view kFunctionPrefix = "lambda/function/";
inline constexpr std::string_view kLayerPrefix = "lambda/layer/";

std::string to_text(const FunctionRecord& record);
std::string to_text(const LayerRecord& record);
// kCorrupt where the text is not such a record.
Result<FunctionRecord> function_from_text(std::string_view text);
Result<LayerRecord> layer_from_text(std::string_view text);

// The hash that VersionRecord::content holds.
std::string content_of(const FunctionRecord& function, const VersionRecord& version);
std::uint64_t code_bytes(const FunctionRecord& function);  // of all versions, as account limits count

}  // namespace mayfly::lambda
