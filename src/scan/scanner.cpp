#include "scan/scanner.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/time_format.h"
#include "scan/inventory.h"

namespace mayfly::scan {
namespace {

json::array aliases_of(const Vulnerability& vulnerability) {
  json::array out;
  for (const auto& alias : vulnerability.aliases) out.emplace_back(alias);
  return out;
}

// CycloneDX's words for OSV's.
std::string_view bom_severity(std::string_view severity) {
  if (severity == "CRITICAL") return "critical";
  if (severity == "HIGH") return "high";
  if (severity == "MODERATE" || severity == "MEDIUM") return "medium";
  if (severity == "LOW") return "low";
  return "unknown";
}

std::string article_of(std::string_view kind) {
  return std::string_view("AEIOU").find(kind.front()) == std::string_view::npos ? "a " : "an ";
}

std::vector<std::string> findings_of(const Report& report) {
  std::vector<std::string> out;
  for (const auto& one : report.vulnerable) {
    for (const auto& vulnerability : one.vulnerabilities) {
      out.push_back(fmt::format("{} {} has {}{}", one.component.name, one.component.version, vulnerability.id,
                                vulnerability.fixed_in.empty() ? "" : ", fixed in " + vulnerability.fixed_in));
    }
  }
  for (const auto& secret : report.secrets) {
    out.push_back(fmt::format("{}:{} holds {}{}", secret.file, secret.line, article_of(secret.kind), secret.kind));
  }
  return out;
}

}  // namespace

Result<Report> scan_zip(std::string_view package, const Advisories* advisories) {
  Report out;
  auto walked = walk_zip(package, [&out](const WalkedFile& file) {
    auto components = components_of(file);
    std::ranges::move(components, std::back_inserter(out.components));
    auto secrets = find_secrets(file.name, file.text);
    std::ranges::move(secrets, std::back_inserter(out.secrets));
  });
  if (!walked) return std::unexpected(std::move(walked.error()));
  out.files = walked->files;
  out.unread = walked->unread;
  // What a lock file lists and what is installed is the same component: the first place that names it is shown.
  std::ranges::sort(out.components);
  const auto same = std::ranges::unique(out.components, [](const Component& a, const Component& b) {
    return a.ecosystem == b.ecosystem && a.name == b.name && a.version == b.version;
  });
  out.components.erase(same.begin(), same.end());
  if (advisories == nullptr) return out;
  for (const auto& component : out.components) {
    auto vulnerabilities = advisories->of(component);
    if (vulnerabilities.empty()) continue;
    out.vulnerable.push_back({.component = component, .vulnerabilities = std::move(vulnerabilities)});
  }
  return out;
}

std::string describe(const Report& report, std::size_t most) {
  const auto findings = findings_of(report);
  std::string out;
  for (std::size_t i = 0; i < std::min(most, findings.size()); ++i) out += (i > 0 ? "; " : "") + findings[i];
  if (findings.size() > most) out += fmt::format("; and {} more", findings.size() - most);
  return out;
}

json::object to_document(const Report& report) {
  json::object out;
  auto& components = out["components"].emplace_array();
  for (const auto& one : report.components) {
    components.push_back(json::object{{"ecosystem", to_string(one.ecosystem)},
                                      {"name", one.name},
                                      {"version", one.version},
                                      {"foundIn", one.found_in}});
  }
  auto& vulnerable = out["vulnerabilities"].emplace_array();
  for (const auto& one : report.vulnerable) {
    for (const auto& vulnerability : one.vulnerabilities) {
      vulnerable.push_back(json::object{{"id", vulnerability.id},
                                        {"aliases", aliases_of(vulnerability)},
                                        {"summary", vulnerability.summary},
                                        {"severity", vulnerability.severity},
                                        {"package", one.component.name},
                                        {"version", one.component.version},
                                        {"fixedIn", vulnerability.fixed_in}});
    }
  }
  auto& secrets = out["secrets"].emplace_array();
  for (const auto& one : report.secrets) {
    secrets.push_back(json::object{{"kind", one.kind},
                                   {"file", one.file},
                                   {"line", static_cast<std::int64_t>(one.line)},
                                   {"excerpt", one.excerpt}});
  }
  out["files"] = static_cast<std::int64_t>(report.files);
  out["unread"] = static_cast<std::int64_t>(report.unread);
  return out;
}

json::object bill_of_materials(const Report& report, std::string_view name, std::string_view serial_uuid,
                               SystemTime now) {
  json::object out{{"bomFormat", "CycloneDX"},
                   {"specVersion", "1.5"},
                   {"serialNumber", fmt::format("urn:uuid:{}", serial_uuid)},
                   {"version", 1}};
  json::object tool{{"type", "application"}, {"name", "mayfly"}, {"version", MAYFLY_VERSION}};
  out["metadata"] =
      json::object{{"timestamp", iso8601_millis(now)},
                   {"tools", json::object{{"components", json::array{tool}}}},
                   {"component", json::object{{"type", "application"}, {"name", name}, {"bom-ref", "function"}}}};
  auto& components = out["components"].emplace_array();
  for (const auto& one : report.components) {
    const auto purl = one.purl();
    components.push_back(json::object{
        {"type", "library"}, {"bom-ref", purl}, {"name", one.name}, {"version", one.version}, {"purl", purl}});
  }
  auto& vulnerabilities = out["vulnerabilities"].emplace_array();
  for (const auto& one : report.vulnerable) {
    for (const auto& vulnerability : one.vulnerabilities) {
      const json::object rating{{"severity", bom_severity(vulnerability.severity)}};
      const json::object source{{"name", "OSV"}, {"url", "https://osv.dev/vulnerability/" + vulnerability.id}};
      vulnerabilities.push_back(json::object{{"id", vulnerability.id},
                                             {"source", source},
                                             {"ratings", json::array{rating}},
                                             {"description", vulnerability.summary},
                                             {"affects", json::array{json::object{{"ref", one.component.purl()}}}}});
    }
  }
  return out;
}

}  // namespace mayfly::scan
