// Identifiers and randomness. All randomness comes from the kernel's generator (getrandom).
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace mayfly {

std::string random_bytes(std::size_t count);
std::string random_hex(std::size_t bytes);       // 2 characters for each byte, lower case
std::string random_alphanumeric(std::size_t n);  // [a-z0-9], unbiased
std::string uuid4();                             // 8-4-4-4-12, lower case

// A strong identifier: strings of different meaning do not mix.
//   using InstanceId = Id<struct InstanceIdTag>;
template <typename Tag>
class Id {
 public:
  Id() = default;
  explicit Id(std::string value) : value_(std::move(value)) {}
  [[nodiscard]] const std::string& str() const { return value_; }
  [[nodiscard]] bool empty() const { return value_.empty(); }
  auto operator<=>(const Id&) const = default;

 private:
  std::string value_;
};

}  // namespace mayfly

template <typename Tag>
struct std::hash<mayfly::Id<Tag>> {
  std::size_t operator()(const mayfly::Id<Tag>& id) const noexcept { return std::hash<std::string>{}(id.str()); }
};
