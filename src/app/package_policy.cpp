#include "app/package_policy.h"

#include <memory>
#include <utility>

#include "base/log.h"
#include "scan/scanner.h"

namespace mayfly::app {
namespace {

constexpr std::size_t kMostTold = 10;

}  // namespace

Result<std::function<Result<void>(std::string_view zip)>> package_policy(const std::string& policy,
                                                                         const std::string& osv) {
  std::function<Result<void>(std::string_view)> out;
  if (policy == "off") return out;
  std::shared_ptr<const scan::Advisories> advisories;
  if (!osv.empty()) {
    auto opened = scan::Advisories::open(osv);
    if (!opened) return std::unexpected(std::move(opened.error()));
    log(Level::kInfo, "advisories were read",
        {{"documents", std::to_string(opened->documents())}, {"unread", std::to_string(opened->unread())}});
    advisories = std::make_shared<const scan::Advisories>(std::move(*opened));
  }
  const bool refuses = policy == "refuse";
  out = [advisories, refuses](std::string_view zip) -> Result<void> {
    const auto report = scan::scan_zip(zip, advisories.get());
    // What cannot be looked through is only let in where it would be let in with findings, too.
    if (!report && refuses)
      return fail(ErrorCode::kForbidden, "The package could not be scanned: " + report.error().message);
    if (!report || report->clean()) return {};
    const auto findings = scan::describe(*report, kMostTold);
    if (refuses) return fail(ErrorCode::kForbidden, "The package is refused by the server's policy: " + findings);
    log(Level::kWarn, "a package has findings", {{"findings", findings}});
    return {};
  };
  return out;
}

}  // namespace mayfly::app
