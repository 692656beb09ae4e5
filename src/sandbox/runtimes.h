// Which interpreter runs which Lambda runtime name, and what an instance of it needs mounted and started.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "sandbox/spec.h"

namespace mayfly::sandbox {

struct RuntimePlan {
  std::vector<Mount> mounts;      // system folders (/usr, /lib, /lib64, /etc pieces) and the interpreter's own
  std::vector<std::string> argv;  // {"/usr/bin/node", "/var/runtime/index.mjs"} or {"/var/task/bootstrap"}
  std::vector<std::pair<std::string, std::string>>
      environment;  // LAMBDA_RUNTIME_DIR, LD_LIBRARY_PATH, PATH, LANG, TZ, ...
  // What the program is started with when that happens before its function is known; empty where it cannot be.
  std::vector<std::pair<std::string, std::string>> ahead_environment;
  std::string interpreter_version;  // "v20.20.2", "" for provided
};

struct FoundRuntime {
  std::string name;         // "python3.11", "nodejs20.x", "provided.al2023"
  std::string interpreter;  // path, "" where none
  std::string version;
  bool exact = false;  // the interpreter's own version is the one the name asks for
};

class Runtimes {
 public:
  // Looks for interpreters in the configured folders, then /usr/bin, /usr/local/bin, and writes the embedded runtime
  // clients to `client_directory` (mounted at /var/runtime). Runs `--version` of each found interpreter once, at start.
  static Result<Runtimes> discover(const std::string& client_directory, const std::vector<std::string>& search_folders);
  // kUnsupported: an unknown name, or one whose interpreter is missing; the message says what was looked for and what
  // is there. A name whose exact version is missing is served by a newer interpreter of the same language only where
  // `allow_substitutes` is set in the constructor of the configuration (setting runtimes.substitute).
  [[nodiscard]] Result<RuntimePlan> plan(const std::string& runtime_name, const std::string& handler) const;
  // The same for a package on the host: a provided.* runtime starts the package's bootstrap or, where it has none, the
  // layers' at /opt/bootstrap; kInvalid where neither is there ("Couldn't find valid bootstrap(s): ...").
  [[nodiscard]] Result<RuntimePlan> plan(const std::string& runtime_name, const std::string& handler,
                                         const std::string& code_directory,
                                         const std::vector<std::string>& layer_directories) const;
  [[nodiscard]] const std::vector<FoundRuntime>& found() const { return found_; }
  void allow_substitutes(bool allowed) { substitutes_ = allowed; }

 private:
  std::string client_directory_;
  std::vector<Mount> system_mounts_;
  std::vector<std::string> searched_;  // folders that were looked in, in order
  std::vector<FoundRuntime> found_;    // every known name; those without an interpreter too
  bool substitutes_ = false;
};

}  // namespace mayfly::sandbox
