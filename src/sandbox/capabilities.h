// What this machine can give to a sandbox: probed once by the launcher, shown by `mayfly doctor` and at start.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace mayfly::sandbox {

struct Capability {
  std::string name;  // "cgroup.memory", "namespace.net", "seccomp", "network.nat", ...
  bool present = false;
  bool required = true;  // refused at start when missing, unless degraded running is allowed
  std::string detail;    // "cgroup v1 at /sys/fs/cgroup/memory"
  std::string meaning;   // what the lack means for a user, and how to mend it
};

struct Capabilities {
  std::vector<Capability> all;
  bool privileged = false;  // root; else user namespaces
  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] std::vector<const Capability*> missing_required() const;
};

Capabilities probe_capabilities();
std::string to_json_text(const Capabilities& capabilities);
Result<Capabilities> capabilities_from_json(std::string_view text);

}  // namespace mayfly::sandbox
