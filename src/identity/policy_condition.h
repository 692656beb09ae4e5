// One line of a statement's Condition block: an operator, a key and the values it is compared with.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "identity/network.h"
#include "identity/policy_context.h"
#include "identity/policy_pattern.h"

namespace mayfly::identity {

// kUnclear: the request's value cannot be read as what the operator compares (a date, a number, an address). An Allow
// statement then does not apply and a Deny statement does: nothing falls open.
enum class Truth : std::uint8_t { kFalse, kTrue, kUnclear };

class Condition {
 public:
  // `name` as written: "ForAllValues:StringLikeIfExists". kInvalid with the reason.
  static Result<Condition> compile(std::string_view name, std::string_view key, std::span<const std::string> values,
                                   bool variables);
  [[nodiscard]] Truth evaluate(const Context& context) const;
  [[nodiscard]] const std::string& operator_name() const { return name_; }
  [[nodiscard]] const std::string& key() const { return shown_key_; }

 private:
  enum class Type : std::uint8_t { kString, kNumeric, kDate, kBool, kBinary, kIp, kArn, kNull };
  enum class Compare : std::uint8_t { kEquals, kLess, kLessEquals, kGreater, kGreaterEquals };
  enum class Quantifier : std::uint8_t { kNone, kAll, kAny };
  struct Form {
    std::string_view name;
    Type type;
    Compare compare;
    bool negated;
    bool wildcards;
    bool ignore_case;
  };
  static const Form* find_form(std::string_view name);
  static bool read_number(std::string_view text, double& out);
  static bool read_date(std::string_view text, double& out);
  Result<void> add_value(const std::string& value, const Form& form, bool variables);
  Result<void> add_arn(const std::string& value, bool variables);
  // Whether one value of the request equals (or is less than, ...) one of the condition's values; not yet negated.
  [[nodiscard]] Truth compare_one(const std::string& value, const Context& context) const;
  [[nodiscard]] bool arn_matches(std::string_view value, const Context& context) const;
  [[nodiscard]] bool number_matches(double value) const;

  std::string name_;
  std::string shown_key_;
  std::string key_;  // lower case
  Type type_ = Type::kString;
  Compare compare_ = Compare::kEquals;
  Quantifier quantifier_ = Quantifier::kNone;
  bool negated_ = false;
  bool if_exists_ = false;
  bool expects_null_ = false;  // kNull: one of the values is "true"
  bool expects_value_ = false;
  std::vector<Pattern> patterns_;
  std::vector<std::vector<Pattern>> arns_;  // six parts each
  std::vector<double> numbers_;
  std::vector<std::string> binaries_;
  std::vector<Network> ranges_;
};

}  // namespace mayfly::identity
