// A dependency that a package brings along, as its package manager names it.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly::scan {

enum class Ecosystem { kNpm, kPyPI, kGo };

// As OSV spells it: "npm", "PyPI", "Go".
std::string_view to_string(Ecosystem ecosystem);

struct Component {
  Ecosystem ecosystem = Ecosystem::kNpm;
  std::string name;      // PyPI's normalised (PEP 503): "flask-cors"
  std::string version;   // without Go's leading "v"
  std::string found_in;  // the file that says so, from the package's root
  auto operator<=>(const Component&) const = default;
  // Package URL: "pkg:npm/%40scope/name@1.0.0". Source: the purl specification, types npm, pypi and golang.
  [[nodiscard]] std::string purl() const;
};

// PEP 503: lower case, runs of "-", "_" and "." as one "-".
std::string normalized_pypi_name(std::string_view name);

}  // namespace mayfly::scan
