// The file systems of instances. Owned by the launcher process, in its own mount namespace, so that nothing of it
// outlives the launcher.
//
// Operation. One prepared root for each set of system mounts: a small tmpfs with the folders, a generated /etc, the
//            devices and the read-only binds. It is built once and cloned for each instance in one system call; only
//            the code at /var/task and the layers at /opt are added for the instance.
// Limits.    At most kMaxRoots prepared roots, the least recently used is given up first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/spec.h"

namespace mayfly::sandbox {

// Detached mounts that the instance's first process attaches in its own namespace, when it is known whose it is.
struct CodeMounts {
  UniqueFd task;  // empty where nothing is mounted there
  UniqueFd opt;
  bool hide_opt = false;  // without layers, the prepared root's own folder is covered
};

class RootTrees {
 public:
  // Enters a new mount namespace and makes `staging` private to it. The working directory becomes `staging`, whose
  // folder "root" is where instances attach their root.
  static Result<RootTrees> create(const std::string& staging);
  // What is the same for every function of a runtime, as a text that names it and as a detached tree.
  static std::string root_key(const SandboxSpec& spec);
  Result<UniqueFd> root_for(const SandboxSpec& spec);
  Result<CodeMounts> code_for(const SandboxSpec& spec);

 private:
  static constexpr std::size_t kMaxRoots = 16;
  struct Prepared {
    std::string key;
    std::string slot;  // folder in the staging folder where it is attached
    std::uint64_t used = 0;
    UniqueFd tree;
  };
  Result<UniqueFd> layers(const std::vector<std::string>& folders);

  std::vector<Prepared> prepared_;
  std::uint64_t uses_ = 0;
};

}  // namespace mayfly::sandbox
