#include "pattern/compiled.h"

#include <algorithm>

namespace mayfly::pattern {

bool Condition::met_by(const Value& value) const {
  switch (kind) {
    case Kind::kEqual:
      return value.is_string() && value.text() == text;
    case Kind::kText:
      return value.kind() == Value::Kind::kText && value.text() == text;
    case Kind::kNumber:
      return value.is_number() && value.number() == low;
    case Kind::kRange:
      return value.is_number() && (open_low ? value.number() > low : value.number() >= low) &&
             (open_high ? value.number() < high : value.number() <= high);
    case Kind::kAddress:
      return value.is_string() && value.address() && value.address()->v6 == addresses.low.v6 &&
             *value.address() >= addresses.low && *value.address() <= addresses.high;
    case Kind::kPrefix:
      return value.is_string() && value.text().starts_with(text);
    case Kind::kPrefixFold:
      return value.is_string() && value.folded().starts_with(text);
    case Kind::kSuffix:
      return value.is_string() && value.text().ends_with(text);
    case Kind::kSuffixFold:
      return value.is_string() && value.folded().ends_with(text);
    case Kind::kEqualFold:
      return value.is_string() && value.folded() == text;
    case Kind::kWildcard:
      return value.is_string() && wildcard.matches(value.text());
    case Kind::kExists:
      return true;
    case Kind::kAbsent:
      return false;
    case Kind::kAnythingBut:
      return std::none_of(excluded.begin(), excluded.end(), [&](const Condition& one) { return one.met_by(value); });
  }
  return false;
}

bool Clause::met_by(const Value& value) const {
  return std::any_of(conditions.begin(), conditions.end(), [&](const Condition& one) { return one.met_by(value); });
}

bool Clause::allows_absence() const {
  return std::any_of(conditions.begin(), conditions.end(),
                     [](const Condition& one) { return one.kind == Condition::Kind::kAbsent; });
}

}  // namespace mayfly::pattern
