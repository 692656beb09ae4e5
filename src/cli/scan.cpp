// mayfly scan: what a package is made of, which of it is known to be vulnerable, and which credentials lie in it.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "base/clock.h"
#include "base/ids.h"
#include "cli/commands.h"
#include "cli/package.h"
#include "scan/scanner.h"

namespace mayfly::cli {
namespace {

Result<std::string> package_of_function(const ConnectionOptions& options, const std::string& name) {
  const auto connection = connect(options);
  if (!connection) return std::unexpected(connection.error());
  const auto function = send_json(*connection, {.target = function_path(name, "")});
  if (!function) return std::unexpected(function.error());
  const auto* code = find(*function, "Code");
  const std::string link(code == nullptr ? "" : get_string(*code, "Location"));
  const auto path = link.find("/_mayfly/");
  if (path == std::string::npos)
    return fail(ErrorCode::kUnsupported, "the server gives no link to the function's package");
  auto answer = send(*connection, {.target = link.substr(path)});
  if (!answer) return std::unexpected(std::move(answer.error()));
  if (answer->head.status != 200) return std::unexpected(error_of(*answer));
  return std::move(answer->body);
}

// A path that exists is scanned where it lies; anything else is the name of a function.
Result<std::string> package_to_scan(const ConnectionOptions& options, const std::string& what) {
  std::error_code error;
  if (!std::filesystem::exists(what, error)) return package_of_function(options, what);
  auto package = read_package(what);
  if (!package) return std::unexpected(std::move(package.error()));
  return std::move(package->zip);
}

void show(const Output& out, const scan::Report& report, bool with_advisories) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& one : report.vulnerable) {
    for (const auto& found : one.vulnerabilities) {
      rows.push_back(
          {one.component.name, one.component.version, found.id, found.severity, found.fixed_in, found.summary});
    }
  }
  if (!rows.empty()) out.table({"PACKAGE", "VERSION", "ADVISORY", "SEVERITY", "FIXED IN", "SUMMARY"}, rows);
  rows.clear();
  for (const auto& one : report.secrets) {
    rows.push_back({fmt::format("{}:{}", one.file, one.line), one.kind, one.excerpt});
  }
  if (!rows.empty()) out.table({"FILE", "CREDENTIAL", "BEGINS WITH"}, rows);
  std::size_t vulnerabilities = 0;
  for (const auto& one : report.vulnerable) vulnerabilities += one.vulnerabilities.size();
  out.line(fmt::format(
      "{} files, {} dependencies, {}, {} credentials{}", report.files, report.components.size(),
      with_advisories ? fmt::format("{} known vulnerabilities", vulnerabilities) : "vulnerabilities not looked up",
      report.secrets.size(), report.unread > 0 ? fmt::format(", {} files too large to read", report.unread) : ""));
  if (!with_advisories) out.note("give --osv a folder of OSV documents to look vulnerabilities up");
}

}  // namespace

int scan_package(const Output& out, const ConnectionOptions& options, const ScanOptions& what) {
  std::optional<scan::Advisories> advisories;
  if (!what.osv.empty()) {
    auto opened = scan::Advisories::open(what.osv);
    if (!opened) return out.failure(opened.error());
    advisories = std::move(*opened);
    out.progress(fmt::format("read {} advisories{}", advisories->documents(),
                             advisories->unread() > 0 ? fmt::format("; {} files are none", advisories->unread()) : ""));
  }
  const auto package = package_to_scan(options, what.what);
  if (!package) return out.failure(package.error());
  const auto report = scan::scan_zip(*package, advisories ? &*advisories : nullptr);
  if (!report) return out.failure(report.error());
  if (!what.sbom.empty()) {
    const auto name = std::filesystem::path(what.what).filename().string();
    const auto bill = to_json(scan::bill_of_materials(*report, name, uuid4(), RealClock().now()));
    std::ofstream file(what.sbom, std::ios::trunc);
    file << bill << '\n';
    file.close();
    if (!file) return out.failure({ErrorCode::kIo, "writing " + what.sbom, ""});
    out.progress("wrote " + what.sbom);
  }
  if (out.json) {
    out.value(scan::to_document(*report));
  } else {
    show(out, *report, advisories.has_value());
  }
  return report->clean() ? 0 : 1;
}

}  // namespace mayfly::cli
