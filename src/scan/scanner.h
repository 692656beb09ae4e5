// A package looked through as a whole: what it is made of, which of it is known to be vulnerable, which credentials lie
// in it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "scan/advisories.h"
#include "scan/component.h"
#include "scan/secrets.h"

namespace mayfly::scan {

struct VulnerableComponent {
  Component component;
  std::vector<Vulnerability> vulnerabilities;
};

struct Report {
  std::vector<Component> components;  // each name and version once, in order
  std::vector<VulnerableComponent> vulnerable;
  std::vector<SecretFinding> secrets;
  std::size_t files = 0;
  std::size_t unread = 0;  // files too large to be looked into
  [[nodiscard]] bool clean() const { return vulnerable.empty() && secrets.empty(); }
};

// `advisories` may be null: nothing is known to be vulnerable then. Takes its time: for the pool. kInvalid, kTooLarge.
Result<Report> scan_zip(std::string_view package, const Advisories* advisories);

// "lodash 4.17.20 has GHSA-..., fixed in 4.17.21; app.py:3 holds an AWS access key": at most `most` findings, then how
// many more.
std::string describe(const Report& report, std::size_t most);
json::object to_document(const Report& report);
// A software bill of materials. Source: CycloneDX 1.5, JSON form; it is checked against its schema in the tests' data.
json::object bill_of_materials(const Report& report, std::string_view name, std::string_view serial_uuid,
                               SystemTime now);

}  // namespace mayfly::scan
