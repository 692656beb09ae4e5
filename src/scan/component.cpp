#include "scan/component.h"

#include "base/encoding.h"

namespace mayfly::scan {

std::string_view to_string(Ecosystem ecosystem) {
  switch (ecosystem) {
    case Ecosystem::kNpm:
      return "npm";
    case Ecosystem::kPyPI:
      return "PyPI";
    case Ecosystem::kGo:
      return "Go";
  }
  return "";
}

std::string Component::purl() const {
  std::string out = "pkg:";
  switch (ecosystem) {
    case Ecosystem::kNpm:
      out += "npm/";
      break;
    case Ecosystem::kPyPI:
      out += "pypi/";
      break;
    case Ecosystem::kGo:
      out += "golang/";
      break;
  }
  out += percent_encode(name, Slash::kKeep);
  out += "@";
  if (ecosystem == Ecosystem::kGo && name != "stdlib") out += "v";
  out += percent_encode(version, Slash::kEncode);
  return out;
}

std::string normalized_pypi_name(std::string_view name) {
  std::string out;
  for (const char c : to_lower(name)) {
    const bool separator = c == '-' || c == '_' || c == '.';
    if (separator && !out.empty() && out.back() == '-') continue;
    out += separator ? '-' : c;
  }
  return out;
}

}  // namespace mayfly::scan
