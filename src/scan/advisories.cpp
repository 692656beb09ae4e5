#include "scan/advisories.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/json.h"
#include "scan/inventory.h"
#include "scan/version.h"

namespace mayfly::scan {
namespace {

std::optional<Ecosystem> ecosystem_of(std::string_view name) {
  for (const auto ecosystem : {Ecosystem::kNpm, Ecosystem::kPyPI, Ecosystem::kGo}) {
    if (name == to_string(ecosystem)) return ecosystem;
  }
  return std::nullopt;
}

const json::array& list_of(const json::value& object, std::string_view key) {
  static const json::array kEmpty;
  const auto* found = find(object, key);
  return found != nullptr && found->is_array() ? found->get_array() : kEmpty;
}

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

}  // namespace

Result<Advisories> Advisories::open(const std::filesystem::path& folder) {
  Advisories out;
  auto walked = walk(folder, [&out](const WalkedFile& file) {
    if (!file.name.ends_with(".json")) return;
    if (file.text.size() > kMostDocumentBytes || !out.add(file.text)) ++out.unread_;
  });
  if (!walked) return std::unexpected(std::move(walked.error()));
  out.unread_ += walked->unread;
  return out;
}

void Advisories::add_event(const std::string& kind, std::string version, std::vector<Event>& out) {
  using Kind = Event::Kind;
  constexpr std::array<std::pair<std::string_view, Kind>, 4> kKinds{{{"introduced", Kind::kIntroduced},
                                                                     {"fixed", Kind::kFixed},
                                                                     {"last_affected", Kind::kLastAffected},
                                                                     {"limit", Kind::kLimit}}};
  const auto* const found = std::ranges::find(kKinds, kind, &std::pair<std::string_view, Kind>::first);
  if (found != kKinds.end()) out.push_back({.kind = found->second, .version = std::move(version)});
}

bool Advisories::add(std::string_view text) {
  const auto document = parse_json(text);
  if (!document || get_string(*document, "id").empty() || find(*document, "affected") == nullptr) return false;
  ++documents_;
  if (find(*document, "withdrawn") != nullptr) return true;
  auto about = std::make_shared<Vulnerability>();
  about->id = get_string(*document, "id");
  for (const auto& alias : list_of(*document, "aliases")) {
    if (alias.is_string()) about->aliases.emplace_back(alias.get_string());
  }
  about->summary = get_string(*document, "summary");
  if (about->summary.empty()) about->summary = first_line(get_string(*document, "details"));
  if (const auto* more = find(*document, "database_specific")) about->severity = get_string(*more, "severity");
  for (const auto& item : list_of(*document, "affected")) {
    const auto* package = find(item, "package");
    if (package == nullptr) continue;
    const auto ecosystem = ecosystem_of(get_string(*package, "ecosystem"));
    if (!ecosystem) continue;
    std::string name(get_string(*package, "name"));
    if (*ecosystem == Ecosystem::kPyPI) name = normalized_pypi_name(name);
    Affected affected;
    affected.about = about;
    for (const auto& version : list_of(item, "versions")) {
      if (version.is_string()) affected.versions.emplace_back(version.get_string());
    }
    for (const auto& range : list_of(item, "ranges")) {
      if (get_string(range, "type") == "GIT") continue;  // of commits, which no package names
      auto& events = affected.ranges.emplace_back();
      for (const auto& event : list_of(range, "events")) {
        if (!event.is_object()) continue;
        for (const auto& [kind, version] : event.get_object()) {
          if (version.is_string()) add_event(std::string(kind), std::string(version.get_string()), events);
        }
      }
      std::ranges::sort(events, [&](const Event& a, const Event& b) {
        // "0" as the version of an introduction is below every version, and "*" as a limit above.
        if ((a.version == "0") != (b.version == "0")) return a.version == "0";
        if ((a.version == "*") != (b.version == "*")) return b.version == "*";
        const auto order = compare_versions(*ecosystem, a.version, b.version);
        // What is fixed and introduced in the same version counts as affected.
        return order == 0 ? a.kind > b.kind : order < 0;
      });
    }
    by_package_[{*ecosystem, std::move(name)}].push_back(std::move(affected));
  }
  return true;
}

bool Advisories::affects(const Affected& affected, const Component& component) {
  const auto order = [&](const std::string& version) {
    return compare_versions(component.ecosystem, component.version, version);
  };
  if (std::ranges::any_of(affected.versions, [&](const auto& version) { return order(version) == 0; })) return true;
  return std::ranges::any_of(affected.ranges, [&](const auto& events) {
    bool inside = false;
    for (const auto& event : events) {
      switch (event.kind) {
        case Event::Kind::kIntroduced:
          inside = inside || event.version == "0" || order(event.version) >= 0;
          break;
        case Event::Kind::kFixed:
          inside = inside && order(event.version) < 0;
          break;
        case Event::Kind::kLastAffected:
          inside = inside && order(event.version) <= 0;
          break;
        case Event::Kind::kLimit:
          inside = inside && (event.version == "*" || order(event.version) < 0);
          break;
      }
    }
    return inside;
  });
}

std::vector<Vulnerability> Advisories::of(const Component& component) const {
  std::vector<Vulnerability> out;
  const auto found = by_package_.find({component.ecosystem, component.name});
  if (found == by_package_.end()) return out;
  for (const auto& affected : found->second) {
    if (!affects(affected, component)) continue;
    auto& one = out.emplace_back(*affected.about);
    for (const auto& events : affected.ranges) {
      for (const auto& event : events) {
        if (event.kind != Event::Kind::kFixed) continue;
        if (compare_versions(component.ecosystem, event.version, component.version) <= 0) continue;
        if (one.fixed_in.empty() || compare_versions(component.ecosystem, event.version, one.fixed_in) < 0) {
          one.fixed_in = event.version;
        }
      }
    }
  }
  std::ranges::sort(out, {}, &Vulnerability::id);
  const auto same = std::ranges::unique(out, {}, &Vulnerability::id);
  out.erase(same.begin(), same.end());
  return out;
}

}  // namespace mayfly::scan
