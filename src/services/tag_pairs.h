// Tags as pairs of a name and a value, in the order in which they came.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mayfly::services {

using TagPairs = std::vector<std::pair<std::string, std::string>>;

// One that is there already gets its new value at the end.
inline void add_tags(std::optional<TagPairs>& present, const TagPairs& more) {
  if (!present) present.emplace();
  for (const auto& [name, value] : more) {
    std::erase_if(*present, [&](const auto& one) { return one.first == name; });
    present->emplace_back(name, value);
  }
}

inline void remove_tags(std::optional<TagPairs>& present, const std::vector<std::string>& names) {
  if (!present) return;
  std::erase_if(*present, [&](const auto& one) { return std::ranges::find(names, one.first) != names.end(); });
}

// The name of the first tag that AWS would not take; nullopt where all are good.
inline std::optional<std::string> bad_tag(const TagPairs& tags) {
  constexpr std::size_t kLongestName = 128;
  constexpr std::size_t kLongestValue = 256;
  for (const auto& [name, value] : tags) {
    if (name.empty() || name.size() > kLongestName || value.size() > kLongestValue || name.starts_with("aws:")) {
      return name;
    }
  }
  return std::nullopt;
}

}  // namespace mayfly::services
