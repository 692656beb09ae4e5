// A secret as it lies in the store: all of it in one record, so that every change of it is one atomic write. Values are
// sealed (vault); nothing else in a record is a secret.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/gen/secretsmanager.h"
#include "base/error.h"
#include "base/json.h"

namespace mayfly::secrets {

namespace wire = aws::secretsmanager;

inline constexpr std::string_view kCurrent = "AWSCURRENT";
inline constexpr std::string_view kPrevious = "AWSPREVIOUS";
inline constexpr std::string_view kPending = "AWSPENDING";

struct Place {
  std::string account;
  std::string region;
};

enum class ValueKind : std::uint8_t { kNone, kText, kBytes };

struct Version {
  std::string id;
  double created = 0;
  double accessed = 0;  // the day; 0: never
  ValueKind kind = ValueKind::kNone;
  std::string sealed;  // "" where a rotation has not put a value yet
  std::vector<std::string> stages;
  [[nodiscard]] bool has_stage(std::string_view stage) const;
};

// Times are epoch seconds; 0 says never.
struct Rotation {
  bool enabled = false;
  std::string function_arn;
  wire::RotationRulesType rules;
  double rotated = 0;
  double next = 0;
  // A rotation that is under way: its version, how often it was tried, and when it is tried next.
  std::string pending;
  std::uint32_t attempts = 0;
  double retry_at = 0;
};

struct Secret {
  static constexpr std::string_view kPrefix = "secretsmanager/secret/";

  Place place;
  std::string name;
  std::string owner;   // the service that keeps it for its users, "events"; or ""
  std::string suffix;  // six characters that end the ARN: a secret made again under its name is another one
  std::optional<std::string> description;
  double created = 0;
  double changed = 0;
  double accessed = 0;                                                   // the day
  double deleted = 0;                                                    // when its deletion was asked for
  double deleted_at = 0;                                                 // when it is carried out
  std::optional<std::vector<std::pair<std::string, std::string>>> tags;  // none yet, or some and then perhaps none
  std::string policy;                                                    // document, or ""
  std::vector<Version> versions;                                         // in order of creation
  Rotation rotation;

  [[nodiscard]] std::string key() const;
  [[nodiscard]] std::string arn() const;
  // What a version's value is bound to.
  [[nodiscard]] std::string context(std::string_view version_id) const;
  [[nodiscard]] json::object document() const;
  static Result<Secret> read(const json::object& document);

  [[nodiscard]] const Version* version(std::string_view id) const;
  [[nodiscard]] Version* version(std::string_view id);
  [[nodiscard]] const Version* staged(std::string_view stage) const;
  // Puts the stage on this version alone. Where AWSCURRENT moves, AWSPREVIOUS goes to the version that had it.
  void move_stage(std::string_view stage, std::string_view to_version);
  void remove_stage(std::string_view stage);
  // The oldest versions without a stage go, so that no more than kMostVersions are kept.
  void forget_old_versions();
};
using SecretPtr = std::shared_ptr<const Secret>;

inline constexpr std::size_t kMostVersions = 100;

std::string secret_key(const Place& place, std::string_view name);

}  // namespace mayfly::secrets
