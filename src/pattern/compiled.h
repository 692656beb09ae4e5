// A pattern in the form that matching uses: branches (what `$or` multiplies out to), each a list of clauses by path,
// each a list of conditions of which one must be met.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "pattern/values.h"
#include "pattern/wildcard.h"

namespace mayfly::pattern {

struct Condition {
  enum class Kind : std::uint8_t {
    kEqual,    // a string
    kText,     // null, true, false, a number that is not comparable
    kNumber,   // equal by value
    kRange,    // of numbers
    kAddress,  // an address within a range
    kPrefix,   // of a string; the same, whatever the case
    kPrefixFold,
    kSuffix,
    kSuffixFold,
    kEqualFold,
    kWildcard,
    kExists,
    kAbsent,       // no field; never met by a value
    kAnythingBut,  // a value that none of `excluded` is met by
  };
  Kind kind = Kind::kExists;
  std::string text;  // folded where the case does not matter
  double low = 0;    // the number itself, or the range
  double high = 0;
  bool open_low = false;
  bool open_high = false;
  AddressRange addresses;
  Wildcard wildcard;
  std::vector<Condition> excluded;

  [[nodiscard]] bool met_by(const Value& value) const;
};

struct Clause {
  std::string path;  // "detail.state"
  std::vector<Condition> conditions;

  [[nodiscard]] bool met_by(const Value& value) const;
  [[nodiscard]] bool allows_absence() const;
};

using Branch = std::vector<Clause>;  // in order of path

struct Compiled {
  std::vector<Branch> branches;
};

// See Pattern::parse.
Result<Compiled> compile(std::string_view text);

}  // namespace mayfly::pattern
