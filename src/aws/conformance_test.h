// Published conformance data, which is not part of this tree: MAYFLY_CONFORMANCE_DIR names its folder, by default
// ../shared/conformance beside the sources. Tests that need it skip loudly where it is missing.
#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "base/json.h"

namespace mayfly::aws {

inline std::optional<json::value> conformance_file(const std::string& name) {
  const char* folder = std::getenv("MAYFLY_CONFORMANCE_DIR");
  const std::string path = (folder != nullptr ? std::string(folder) : "../shared/conformance") + "/" + name;
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  auto parsed = parse_json(text);
  if (!parsed) return std::nullopt;
  return std::move(*parsed);
}

inline std::string text_of(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : std::string();
}

}  // namespace mayfly::aws
