// Memory, CPU and process limits of instances, over control groups of version 2 or 1 behind one interface. Owned by the
// launcher process, which is single threaded; every call blocks for the kernel's own work only.
//
// Operation. Each controller has one folder of this server ("mayfly-<suffix>") below the launcher's own group, so that
//            outer limits stay in force, and in it one folder for each instance. On version 2 the controllers share the
//            folder and the child is cloned into it; on version 1 the child adds itself to each, which waits for the
//            kernel, before it does anything else.
// Recovery.  prepare() kills and removes what a crashed launcher of the same suffix left.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/spec.h"

namespace mayfly::sandbox {

enum class Controller : std::uint8_t { kMemory, kCpu, kPids };
inline constexpr std::array<Controller, 3> kControllers = {Controller::kMemory, Controller::kCpu, Controller::kPids};
const char* controller_name(Controller controller);

struct ControllerPlace {
  int version = 0;   // 0: this machine does not have it
  std::string path;  // the launcher's own group in that hierarchy
};

class Cgroups {
 public:
  // From the text of /proc/self/mountinfo and /proc/self/cgroup.
  static Cgroups find(const std::string& mountinfo, const std::string& own_groups);
  static Cgroups find_here();

  [[nodiscard]] const ControllerPlace& place(Controller c) const { return places_[static_cast<std::size_t>(c)]; }

  // Makes this server's folders. A controller that cannot be used after all is given up: place().version becomes 0 and
  // the reason is in `given_up`.
  void prepare(const std::string& suffix, std::vector<std::string>& given_up);

  // Makes the folders; `limits` may come later, when it is known whose instance it is.
  Result<void> create(const std::string& name);
  Result<void> limit(const std::string& name, const Limits& limits);
  // An instance that is made ahead only gets the CPU time that nobody else wants.
  Result<void> background(const std::string& name, bool on);
  // Sets the CPU quota anew, for an instance that has started.
  void limit_cpu(const std::string& name, std::uint32_t cpu_milli) const;
  // Version 1 only: the files to which a new process adds itself by writing "0".
  [[nodiscard]] Result<std::vector<UniqueFd>> to_join(const std::string& name) const;
  // The folder to clone into, where version 2 carries a controller; else an empty descriptor.
  [[nodiscard]] UniqueFd clone_target(const std::string& name) const;

  // Of its processes, without what the kernel caches of files for them.
  [[nodiscard]] std::uint64_t memory_bytes(const std::string& name) const;
  [[nodiscard]] std::uint64_t peak_memory_bytes(const std::string& name) const;
  [[nodiscard]] std::uint64_t oom_kills(const std::string& name) const;
  // Kills everything in it, and lets it end at full speed: a process that is killed needs CPU time to end, and a
  // thousand of them under a small share would take minutes.
  void end(const std::string& name) const;
  // False while the kernel still counts a process in it: call again.
  bool remove(const std::string& name) const;
  void remove_all() const;

 private:
  [[nodiscard]] std::string folder(Controller c, const std::string& name) const;
  [[nodiscard]] std::vector<std::string> server_folders() const;  // without duplicates

  std::array<ControllerPlace, kControllers.size()> places_;
  std::string server_;
};

}  // namespace mayfly::sandbox
