// Fuzz entry: "name of a file \n its text", as a file of a package and as an OSV document; versions order as versions
// must.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "scan/advisories.h"
#include "scan/inventory.h"
#include "scan/secrets.h"
#include "scan/version.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(data[i]);
  const auto line = std::min(text.find('\n'), text.size());
  const auto name = text.substr(0, line);
  const auto rest = text.substr(std::min(line + 1, text.size()));
  scan::Advisories advisories;
  [[maybe_unused]] const bool known = advisories.add(rest);
  for (const auto& component : scan::components_of({.name = name, .text = rest})) {
    for (const auto& found : advisories.of(component)) MAYFLY_ASSERT(!found.id.empty());
  }
  for (const auto& found : scan::find_secrets(name, rest)) MAYFLY_ASSERT(found.line > 0);
  for (const auto ecosystem : {scan::Ecosystem::kNpm, scan::Ecosystem::kPyPI}) {
    const auto forth = scan::compare_versions(ecosystem, name, rest);
    const auto back = scan::compare_versions(ecosystem, rest, name);
    MAYFLY_ASSERT((forth < 0) == (back > 0) && (forth == 0) == (back == 0));
    MAYFLY_ASSERT(scan::compare_versions(ecosystem, name, name) == 0);
  }
  return 0;
}
