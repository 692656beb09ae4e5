// Finds the machine's interpreters, writes the runtime clients, and says what an instance of a runtime is made of.
#include "sandbox/runtimes.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <system_error>

#include "sandbox/runtimes_clients.h"

namespace mayfly::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr int kFirstPython = 8;
constexpr int kLastPython = 14;
constexpr int kFirstNode = 16;
constexpr int kLastNode = 24;
constexpr int kProbeTimeoutMs = 5000;
constexpr std::size_t kProbeOutputLimit = 4096;

enum class Language : std::uint8_t { kPython, kNode, kProvided };

// A runtime name's language and the version that it asks for: the minor one of Python 3, the major one of Node.js.
struct Wanted {
  Language language = Language::kProvided;
  int version = 0;
};

struct Interpreter {
  std::string path;
  std::string text;  // "Python 3.11.2", "v20.20.2"
  int version = 0;
};

std::optional<int> whole_number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Wanted> parse_name(std::string_view name) {
  if (name == "provided.al2" || name == "provided.al2023") return Wanted{};
  if (name.starts_with("python3.")) {
    const auto minor = whole_number(name.substr(8));
    if (minor && *minor >= kFirstPython && *minor <= kLastPython) return Wanted{Language::kPython, *minor};
  }
  if (name.starts_with("nodejs") && name.ends_with(".x")) {
    const auto major = whole_number(name.substr(6, name.size() - 8));
    if (major && *major >= kFirstNode && *major <= kLastNode && *major % 2 == 0) return Wanted{Language::kNode, *major};
  }
  return std::nullopt;
}

std::string runtime_name(const Wanted& wanted) {
  return wanted.language == Language::kPython ? fmt::format("python3.{}", wanted.version)
                                              : fmt::format("nodejs{}.x", wanted.version);
}

// Runs a program with a clean environment and gives the first of its output; nullopt where it fails or takes too long.
// Only for the start of the server: it blocks.
std::optional<std::string> output_of(const std::vector<std::string>& command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, writer.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, writer.get(), 2);
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  // posix_spawn takes char* for historical reasons and does not write through it.
  for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));  // NOLINT
  argv.push_back(nullptr);
  std::string path = "PATH=/usr/local/bin:/usr/bin:/bin";
  char* environment[] = {path.data(), nullptr};
  pid_t pid = -1;
  const int failed = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environment);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return std::nullopt;
  writer.reset();

  std::string text;
  bool ended = false;
  while (!ended && text.size() < kProbeOutputLimit) {
    pollfd ready{.fd = reader.get(), .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, kProbeTimeoutMs) <= 0) break;
    char bytes[512];
    const ssize_t got = read(reader.get(), bytes, sizeof bytes);
    if (got > 0) text.append(bytes, static_cast<std::size_t>(got));
    ended = got <= 0;
  }
  if (!ended) ::kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

// "Python 3.11.2" is 11, "v20.20.2" is 20.
std::optional<int> version_of(Language language, std::string_view text) {
  const std::string_view prefix = language == Language::kPython ? "Python 3." : "v";
  if (!text.starts_with(prefix)) return std::nullopt;
  text.remove_prefix(prefix.size());
  return whole_number(text.substr(0, text.find('.')));
}

std::vector<std::string> program_names(Language language) {
  std::vector<std::string> names;
  if (language == Language::kPython) {
    for (int minor = kFirstPython; minor <= kLastPython; ++minor) names.push_back(fmt::format("python3.{}", minor));
    names.emplace_back("python3");
  } else {
    for (int major = kFirstNode; major <= kLastNode; major += 2) names.push_back(fmt::format("node{}", major));
    names.emplace_back("node");
    names.emplace_back("nodejs");
  }
  return names;
}

// One interpreter for each version, the first in the order of folders.
std::vector<Interpreter> find_interpreters(Language language, std::span<const std::string> folders) {
  std::vector<Interpreter> found;
  std::vector<std::string> seen;
  for (const auto& folder : folders) {
    for (const auto& name : program_names(language)) {
      std::error_code error;
      const std::string path = fs::canonical(fs::path(folder) / name, error).string();
      if (error || access(path.c_str(), X_OK) != 0) continue;
      if (std::ranges::find(seen, path) != seen.end()) continue;
      seen.push_back(path);
      auto text = output_of({path, "--version"});
      if (!text) continue;
      const auto version = version_of(language, *text);
      if (!version || std::ranges::find(found, *version, &Interpreter::version) != found.end()) continue;
      found.push_back({.path = path, .text = std::move(*text), .version = *version});
    }
  }
  std::ranges::sort(found, {}, &Interpreter::version);
  return found;
}

// Written only where it differs, by a rename, so that instances that run keep the file they have and the compiled
// form of a client stays valid.
Result<void> write_client(const fs::path& path, std::string_view content) {
  {
    std::ifstream old(path, std::ios::binary);
    const std::string present{std::istreambuf_iterator<char>(old), std::istreambuf_iterator<char>()};
    if (old && present == content) return {};
  }
  const fs::path fresh = path.string() + ".new";
  std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  if (!out) return fail_errno("write " + fresh.string());
  if (chmod(fresh.c_str(), 0644) != 0) return fail_errno("chmod " + fresh.string());
  if (rename(fresh.c_str(), path.c_str()) != 0) return fail_errno("rename " + fresh.string());
  return {};
}

Result<void> write_clients(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return std::unexpected(errno_error(error.value(), "create " + directory.string()));
  if (chmod(directory.c_str(), 0755) != 0) return fail_errno("chmod " + directory.string());
  for (const auto& file : client_files()) {
    auto written = write_client(directory / file.name, file.content);
    if (!written) return written;
  }
  return {};
}

// The client's compiled form saves some milliseconds of each cold start; instances see the folder read-only, so they
// cannot write it themselves. Not having it is no error.
void compile_python_client(const fs::path& directory, const Interpreter& python) {
  const fs::path cache = directory / "__pycache__";
  std::vector<std::string> command = {python.path, "-S", "-I", "-m", "py_compile"};
  std::vector<fs::path> made = {cache};
  bool complete = true;
  for (const char* module : {"lambda_client", "lambda_json"}) {
    const fs::path source = directory / fmt::format("{}.py", module);
    made.push_back(cache / fmt::format("{}.cpython-3{}.pyc", module, python.version));
    command.push_back(source.string());
    std::error_code error;
    complete = complete && fs::exists(made.back(), error) &&
               fs::last_write_time(made.back(), error) >= fs::last_write_time(source, error);
  }
  if (complete) return;
  output_of(command);
  chmod(cache.c_str(), 0755);
  for (std::size_t i = 1; i < made.size(); ++i) chmod(made[i].c_str(), 0644);
}

// What every instance sees of the host. Of /etc only what programs need to find libraries and check certificates: its
// other files are the host's own business.
std::vector<Mount> system_mounts() {
  std::vector<Mount> mounts;
  mounts.push_back({"/usr", "/usr"});
  // On a machine with merged /usr these are symbolic links into it; the launcher makes a link again where a mount's
  // source is one.
  for (const char* folder : {"/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"}) {
    std::error_code error;
    if (fs::exists(fs::symlink_status(folder, error))) mounts.push_back({folder, folder});
  }
  for (const char* piece : {"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/alternatives", "/etc/ld.so.cache",
                            "/etc/ld.so.conf", "/etc/ld.so.conf.d"}) {
    std::error_code error;
    if (fs::exists(piece, error)) mounts.push_back({piece, piece});
  }
  // Debian's Java keeps its configuration there and links to it.
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/etc", error)) {
    if (entry.path().filename().string().starts_with("java-")) mounts.push_back({entry.path(), entry.path()});
  }
  return mounts;
}

bool below(const fs::path& path, const fs::path& folder) {
  const auto [end, rest] = std::ranges::mismatch(folder, path);
  return end == folder.end();
}

// An interpreter outside /usr brings its whole installation along: <prefix>/bin/python3.11 needs <prefix>/lib. Where
// the prefix would be a folder that holds more than an installation ("/", "/root", "/home/x"), only the program is
// mounted.
std::optional<Mount> interpreter_mount(const fs::path& interpreter) {
  if (below(interpreter, "/usr")) return std::nullopt;
  const fs::path prefix = interpreter.parent_path().parent_path();
  const auto depth = std::distance(prefix.begin(), prefix.end());  // "/" counts as one
  const bool wide = interpreter.parent_path().filename() != "bin" || depth < 3 || (below(prefix, "/home") && depth < 4);
  const std::string source = wide ? interpreter.string() : prefix.string();
  return Mount{source, source};
}

std::vector<std::pair<std::string, std::string>> environment_of(const Wanted& wanted, const std::string& name,
                                                                const std::string& interpreter) {
  std::string path = "/usr/local/bin:/usr/bin:/bin:/opt/bin";
  if (!interpreter.empty() && !below(interpreter, "/usr")) {
    path = fs::path(interpreter).parent_path().string() + ":" + path;
  }
  std::vector<std::pair<std::string, std::string>> environment = {
      {"PATH", path},
      {"LD_LIBRARY_PATH", "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"},
      {"LANG", "en_US.UTF-8"},
      {"TZ", ":UTC"},
      {"LAMBDA_TASK_ROOT", "/var/task"},
      {"LAMBDA_RUNTIME_DIR", "/var/runtime"},
  };
  if (wanted.language == Language::kPython) environment.emplace_back("PYTHONPATH", "/var/runtime");
  if (wanted.language == Language::kNode) {
    environment.emplace_back("NODE_PATH", fmt::format("/opt/nodejs/node{}/node_modules:/opt/nodejs/node_modules:"
                                                      "/var/runtime/node_modules:/var/runtime:/var/task",
                                                      wanted.version));
  }
  // Lambda does not set it for the operating-system-only runtimes.
  if (wanted.language != Language::kProvided) environment.emplace_back("AWS_EXECUTION_ENV", "AWS_Lambda_" + name);
  return environment;
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

Result<Runtimes> Runtimes::discover(const std::string& client_directory,
                                    const std::vector<std::string>& search_folders) {
  Runtimes runtimes;
  std::error_code error;
  const fs::path directory = fs::absolute(client_directory, error);
  auto written = write_clients(directory);
  if (!written) return std::unexpected(written.error());
  runtimes.client_directory_ = directory.string();
  runtimes.system_mounts_ = system_mounts();
  runtimes.searched_ = search_folders;
  for (const char* usual : {"/usr/bin", "/usr/local/bin"}) {
    if (std::ranges::find(search_folders, usual) == search_folders.end()) runtimes.searched_.emplace_back(usual);
  }

  for (const Language language : {Language::kNode, Language::kPython}) {
    const auto present = find_interpreters(language, runtimes.searched_);
    if (language == Language::kPython) {
      for (const auto& python : present) compile_python_client(directory, python);
    }
    const bool python = language == Language::kPython;
    for (int v = python ? kFirstPython : kFirstNode; v <= (python ? kLastPython : kLastNode); v += python ? 1 : 2) {
      FoundRuntime entry{.name = runtime_name({language, v}), .interpreter = {}, .version = {}, .exact = false};
      // The asked version itself, or else the nearest newer one.
      const auto nearest = std::ranges::lower_bound(present, v, {}, &Interpreter::version);
      if (nearest != present.end()) {
        entry.interpreter = nearest->path;
        entry.version = nearest->text;
        entry.exact = nearest->version == v;
      }
      runtimes.found_.push_back(std::move(entry));
    }
  }
  for (const char* name : {"provided.al2", "provided.al2023"}) {
    runtimes.found_.push_back({.name = name, .interpreter = {}, .version = {}, .exact = true});
  }
  return runtimes;
}

Result<RuntimePlan> Runtimes::plan(const std::string& runtime_name, const std::string& handler) const {
  const auto wanted = parse_name(runtime_name);
  const auto entry = std::ranges::find(found_, runtime_name, &FoundRuntime::name);
  if (!wanted || entry == found_.end()) {
    std::vector<std::string> names;
    names.reserve(found_.size());
    for (const auto& known : found_) names.push_back(known.name);
    return fail(ErrorCode::kUnsupported,
                fmt::format("the runtime {} is not known; there are {}", runtime_name, join(names)));
  }
  RuntimePlan plan;
  plan.mounts = system_mounts_;
  plan.environment = environment_of(*wanted, runtime_name, entry->interpreter);
  plan.environment.emplace_back("_HANDLER", handler);
  if (wanted->language == Language::kProvided) {
    plan.argv = {"/var/task/bootstrap"};
    return plan;
  }

  if (entry->interpreter.empty() || (!entry->exact && !substitutes_)) {
    const bool python = wanted->language == Language::kPython;
    const std::string what =
        python ? fmt::format("python3.{}", wanted->version) : fmt::format("node of version {}", wanted->version);
    std::vector<std::string> present;
    for (const auto& other : found_) {
      if (other.exact && !other.interpreter.empty()) {
        present.push_back(fmt::format("{} ({}, {})", other.name, other.interpreter, other.version));
      }
    }
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("the runtime {} has no interpreter on this machine: looked for {} in {}; there is {}", runtime_name,
                    what, join(searched_), present.empty() ? "none" : join(present)),
        "install it, name its folder in the setting runtimes.paths, or allow a newer one by runtimes.substitute");
  }
  plan.interpreter_version = entry->version;
  plan.ahead_environment = environment_of(*wanted, runtime_name, entry->interpreter);
  plan.ahead_environment.emplace_back("MAYFLY_CONTROL_FD", "3");  // the clients wait there (docs/runtimes.md)
  if (auto mount = interpreter_mount(entry->interpreter)) plan.mounts.push_back(std::move(*mount));
  plan.mounts.push_back({client_directory_, "/var/runtime"});
  if (wanted->language == Language::kPython) {
    // Without the module site: a third less start-up time, and the client sets the search path itself.
    plan.argv = {entry->interpreter, "-S", "/var/runtime/bootstrap.py"};
  } else {
    plan.argv = {entry->interpreter, "/var/runtime/index.mjs"};
  }
  return plan;
}

Result<RuntimePlan> Runtimes::plan(const std::string& runtime_name, const std::string& handler,
                                   const std::string& code_directory,
                                   const std::vector<std::string>& layer_directories) const {
  auto made = plan(runtime_name, handler);
  const auto wanted = parse_name(runtime_name);
  if (!made || wanted->language != Language::kProvided) return made;
  const auto has_bootstrap = [](const std::string& folder) {
    std::error_code error;
    return fs::is_regular_file(fs::path(folder) / "bootstrap", error);
  };
  if (has_bootstrap(code_directory)) return made;
  if (std::ranges::any_of(layer_directories, has_bootstrap)) {
    made->argv = {"/opt/bootstrap"};
    return made;
  }
  return fail(ErrorCode::kInvalid, "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]");
}

}  // namespace mayfly::sandbox
