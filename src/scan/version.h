// Versions compared as their ecosystems do: Semantic Versioning 2.0.0 for npm and Go, PEP 440 for PyPI.
#pragma once

#include <compare>
#include <string_view>

#include "scan/component.h"

namespace mayfly::scan {

// Total over any text: what is no version of its ecosystem is below every version and compared as text.
std::strong_ordering compare_versions(Ecosystem ecosystem, std::string_view a, std::string_view b);

}  // namespace mayfly::scan
