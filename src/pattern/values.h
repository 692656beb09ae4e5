// Values as conditions see them: strings, numbers and other literals, and what numbers and addresses are equal by.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace mayfly::pattern {

// The double that a number's text stands for exactly: its decimal value is that of the double's shortest text. Nothing
// for numbers that a double would move ("9007199254740993", "1e400", "1e-325").
std::optional<double> comparable_number(std::string_view text);

// Characters mapped to one case: ASCII, Latin, Greek and Cyrillic letters. Bytes that are no UTF-8 stay.
std::string fold_case(std::string_view text);

struct Address {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};  // an IPv4 address lies in the first four
  auto operator<=>(const Address&) const = default;
};
// Four decimal parts, or the colon forms of IPv6; an IPv4 address mapped into IPv6 is that IPv4 address.
std::optional<Address> parse_address(std::string_view text);

struct AddressRange {
  Address low;
  Address high;
};
// "10.0.0.0/8": from the address as given to the last one of its network. The error's words are the service's.
Result<AddressRange> parse_cidr(std::string_view text);

// One leaf of an event. Refers to the event's own strings; lives no longer than it.
class Value {
 public:
  enum class Kind : std::uint8_t { kString, kNumber, kText };

  explicit Value(const json::value& leaf);  // a string, number, boolean or null

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool is_string() const { return kind_ == Kind::kString; }
  [[nodiscard]] bool is_number() const { return kind_ == Kind::kNumber; }  // and comparable
  // A string's content, or the literal: "null", "true", a number that is not comparable.
  [[nodiscard]] std::string_view text() const { return storage_.empty() ? text_ : std::string_view(storage_); }
  [[nodiscard]] double number() const { return number_; }
  [[nodiscard]] const std::string& folded() const;              // of a string
  [[nodiscard]] const std::optional<Address>& address() const;  // of a string

 private:
  Kind kind_;
  mutable bool has_folded_ = false;
  mutable bool has_address_ = false;
  double number_ = 0;
  std::string_view text_;
  std::string storage_;
  mutable std::string folded_;
  mutable std::optional<Address> address_;
};

}  // namespace mayfly::pattern
