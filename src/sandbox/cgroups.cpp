#include "sandbox/cgroups.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

namespace mayfly::sandbox {
namespace {

constexpr std::uint64_t kCpuPeriodUs = 100'000;
constexpr std::uint64_t kLeastQuotaUs = 1'000;  // the kernel refuses less

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Result<void> write_text(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open " + path);
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return fail_errno(fmt::format("write {} to {}", text, path));
  }
  return {};
}

std::uint64_t number_in(const std::string& text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The number after `key` in lines of "key number".
std::uint64_t keyed_number(const std::string& text, const std::string& key) {
  std::istringstream lines(text);
  std::string word;
  std::uint64_t value = 0;
  while (lines >> word >> value) {
    if (word == key) return value;
  }
  return 0;
}

bool has_word(const std::string& text, const std::string& wanted, char separator) {
  std::istringstream words(text);
  std::string word;
  while (std::getline(words, word, separator)) {
    while (!word.empty() && word.back() == '\n') word.pop_back();
    if (word == wanted) return true;
  }
  return false;
}

std::vector<std::string> folders_in(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), ::closedir);
  if (!dir) return names;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.push_back(name);
  }
  return names;
}

void kill_members(const std::string& path) {
  std::istringstream pids(read_text(path + "/cgroup.procs"));
  int pid = 0;
  while (pids >> pid) {
    if (pid > 1) ::kill(pid, SIGKILL);
  }
}

// Kills what is in a group and removes it, waiting a bounded time for the kernel.
void clear(const std::string& path) {
  for (const auto& child : folders_in(path)) clear(path + "/" + child);
  for (int attempt = 0; attempt < 200; ++attempt) {
    if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return;
    kill_members(path);
    ::poll(nullptr, 0, 5);
  }
}

std::string join(const std::string& mount, const std::string& inner) {
  return inner == "/" || inner.empty() ? mount : mount + inner;
}

}  // namespace

const char* controller_name(Controller controller) {
  switch (controller) {
    case Controller::kMemory:
      return "memory";
    case Controller::kCpu:
      return "cpu";
    case Controller::kPids:
      return "pids";
  }
  return "";
}

Cgroups Cgroups::find_here() { return find(read_text("/proc/self/mountinfo"), read_text("/proc/self/cgroup")); }

Cgroups Cgroups::find(const std::string& mountinfo, const std::string& own_groups) {
  // "9:memory:/path" for version 1, "0::/path" for version 2.
  const auto own_path = [&](const std::string& controller) -> std::string {
    std::istringstream lines(own_groups);
    std::string line;
    while (std::getline(lines, line)) {
      const auto first = line.find(':');
      const auto second = line.find(':', first + 1);
      if (first == std::string::npos || second == std::string::npos) continue;
      const std::string names = line.substr(first + 1, second - first - 1);
      if (controller.empty() ? names.empty() : has_word(names, controller, ',')) return line.substr(second + 1);
    }
    return "";
  };

  Cgroups found;
  std::istringstream lines(mountinfo);
  std::string line;
  while (std::getline(lines, line)) {
    const auto dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::string skip;
    std::string root;
    std::string point;
    std::istringstream before(line.substr(0, dash));
    before >> skip >> skip >> skip >> root >> point;
    std::string type;
    std::string options;
    std::istringstream after(line.substr(dash + 3));
    after >> type >> skip >> options;
    for (const Controller c : kControllers) {
      ControllerPlace& place = found.places_[static_cast<std::size_t>(c)];
      std::string inner;
      if (type == "cgroup2") {
        if (!has_word(read_text(point + "/cgroup.controllers"), controller_name(c), ' ')) continue;
        place.version = 2;
        inner = own_path("");
      } else if (type == "cgroup" && has_word(options, controller_name(c), ',')) {
        place.version = 1;
        inner = own_path(controller_name(c));
      } else {
        continue;
      }
      // In a container the mount shows only a part of the hierarchy.
      if (root != "/" && inner.starts_with(root)) inner = inner.substr(root.size());
      place.path = join(point, inner);
    }
  }
  return found;
}

void Cgroups::prepare(const std::string& suffix, std::vector<std::string>& given_up) {
  server_ = "mayfly-" + suffix;
  for (const Controller c : kControllers) {
    ControllerPlace& place = places_[static_cast<std::size_t>(c)];
    if (place.version == 0) continue;
    const auto give_up = [&](const Error& error) {
      place.version = 0;
      given_up.push_back(fmt::format("{}: {}", controller_name(c), error.message));
    };
    if (place.version == 2) {
      // Only a group without processes may hand controllers to its children, save the root of the hierarchy.
      auto enabled = write_text(place.path + "/cgroup.subtree_control", fmt::format("+{}", controller_name(c)));
      if (!enabled) {
        const std::string leaf = place.path + "/mayfly-server";
        ::mkdir(leaf.c_str(), 0755);
        std::istringstream pids(read_text(place.path + "/cgroup.procs"));
        std::string pid;
        while (pids >> pid) (void)write_text(leaf + "/cgroup.procs", pid);
        enabled = write_text(place.path + "/cgroup.subtree_control", fmt::format("+{}", controller_name(c)));
      }
      if (!enabled) {
        give_up(enabled.error());
        continue;
      }
    }
    const std::string path = place.path + "/" + server_;
    for (const auto& stale : folders_in(path)) clear(path + "/" + stale);
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
      give_up(errno_error(errno, "make " + path));
      continue;
    }
    if (place.version == 2) {
      auto enabled = write_text(path + "/cgroup.subtree_control", fmt::format("+{}", controller_name(c)));
      if (!enabled) give_up(enabled.error());
    }
  }
}

std::string Cgroups::folder(Controller c, const std::string& name) const {
  return place(c).path + "/" + server_ + "/" + name;
}

std::vector<std::string> Cgroups::server_folders() const {
  std::vector<std::string> folders;
  for (const Controller c : kControllers) {
    if (place(c).version == 0) continue;
    std::string path = place(c).path + "/" + server_;
    if (std::ranges::find(folders, path) == folders.end()) folders.push_back(std::move(path));
  }
  return folders;
}

namespace {
std::uint64_t quota_us(std::uint64_t cpu_milli) { return std::max(kLeastQuotaUs, kCpuPeriodUs * cpu_milli / 1000); }
}  // namespace

Result<void> Cgroups::create(const std::string& name) {
  for (const auto& server : server_folders()) {
    const std::string path = server + "/" + name;
    if (::mkdir(path.c_str(), 0755) != 0) return fail_errno("make " + path);
  }
  return {};
}

Result<void> Cgroups::background(const std::string& name, bool on) {
  // The defaults of each version, and the least it takes.
  const int version = place(Controller::kCpu).version;
  if (version == 1) return write_text(folder(Controller::kCpu, name) + "/cpu.shares", on ? "2" : "1024");
  if (version == 2) return write_text(folder(Controller::kCpu, name) + "/cpu.weight", on ? "1" : "100");
  return {};
}

Result<void> Cgroups::limit(const std::string& name, const Limits& limits) {
  const auto set = [&](Controller c, const char* file1, const char* file2, const std::string& value1,
                       const std::string& value2) -> Result<void> {
    const int version = place(c).version;
    if (version == 0) return {};
    return write_text(folder(c, name) + "/" + (version == 1 ? file1 : file2), version == 1 ? value1 : value2);
  };
  const std::string memory = std::to_string(limits.memory_bytes);
  if (auto done = set(Controller::kMemory, "memory.limit_in_bytes", "memory.max", memory, memory); !done) return done;
  if (place(Controller::kMemory).version == 2) {
    const std::string path = folder(Controller::kMemory, name);
    // A kernel without swap accounting has no such file, and then there is nothing to forbid.
    if (auto done = write_text(path + "/memory.swap.max", "0"); !done && done.error().code != ErrorCode::kNotFound) {
      return done;
    }
    if (auto done = write_text(path + "/memory.oom.group", "1"); !done) return done;
  } else if (place(Controller::kMemory).version == 1) {
    auto done = write_text(folder(Controller::kMemory, name) + "/memory.memsw.limit_in_bytes", memory);
    if (!done && done.error().code != ErrorCode::kNotFound) return done;
  }
  const std::uint64_t quota = quota_us(std::max(limits.cpu_milli, limits.start_cpu_milli));
  if (auto done = set(Controller::kCpu, "cpu.cfs_quota_us", "cpu.max", std::to_string(quota),
                      fmt::format("{} {}", quota, kCpuPeriodUs));
      !done) {
    return done;
  }
  // The init of the process namespace is one more.
  const std::string pids = std::to_string(limits.pids + 1);
  return set(Controller::kPids, "pids.max", "pids.max", pids, pids);
}

void Cgroups::limit_cpu(const std::string& name, std::uint32_t cpu_milli) const {
  const std::string quota = std::to_string(quota_us(cpu_milli));
  const int version = place(Controller::kCpu).version;
  if (version == 1) (void)write_text(folder(Controller::kCpu, name) + "/cpu.cfs_quota_us", quota);
  if (version == 2)
    (void)write_text(folder(Controller::kCpu, name) + "/cpu.max", fmt::format("{} {}", quota, kCpuPeriodUs));
}

Result<std::vector<UniqueFd>> Cgroups::to_join(const std::string& name) const {
  std::vector<UniqueFd> files;
  for (const Controller c : kControllers) {
    if (place(c).version != 1) continue;
    const std::string path = folder(c, name) + "/cgroup.procs";
    UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file) return fail_errno("open " + path);
    files.push_back(std::move(file));
  }
  return files;
}

UniqueFd Cgroups::clone_target(const std::string& name) const {
  for (const Controller c : kControllers) {
    if (place(c).version == 2) return UniqueFd(::open(folder(c, name).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  return {};
}

std::uint64_t Cgroups::memory_bytes(const std::string& name) const {
  const int version = place(Controller::kMemory).version;
  if (version == 0) return 0;
  const std::string text = read_text(folder(Controller::kMemory, name) + "/memory.stat");
  return keyed_number(text, version == 1 ? "rss" : "anon");
}

std::uint64_t Cgroups::peak_memory_bytes(const std::string& name) const {
  const int version = place(Controller::kMemory).version;
  if (version == 0) return 0;
  const char* file = version == 1 ? "/memory.max_usage_in_bytes" : "/memory.peak";
  return number_in(read_text(folder(Controller::kMemory, name) + file));
}

void Cgroups::end(const std::string& name) const {
  // Each step only makes the end faster: the end of the process namespace's init is what is sure to come.
  if (place(Controller::kPids).version != 0) (void)write_text(folder(Controller::kPids, name) + "/pids.max", "0");
  const int version = place(Controller::kCpu).version;
  if (version == 1) (void)write_text(folder(Controller::kCpu, name) + "/cpu.cfs_quota_us", "-1");
  if (version == 2) (void)write_text(folder(Controller::kCpu, name) + "/cpu.max", "max");
  for (const Controller c : kControllers) {
    if (place(c).version == 0) continue;
    if (place(c).version == 2 && write_text(folder(c, name) + "/cgroup.kill", "1")) return;
    return kill_members(folder(c, name));
  }
}

std::uint64_t Cgroups::oom_kills(const std::string& name) const {
  const int version = place(Controller::kMemory).version;
  if (version == 0) return 0;
  const char* file = version == 1 ? "/memory.oom_control" : "/memory.events";
  return keyed_number(read_text(folder(Controller::kMemory, name) + file), "oom_kill");
}

bool Cgroups::remove(const std::string& name) const {
  bool gone = true;
  for (const auto& server : server_folders()) {
    if (::rmdir((server + "/" + name).c_str()) != 0 && errno != ENOENT) gone = false;
  }
  return gone;
}

void Cgroups::remove_all() const {
  if (server_.empty()) return;  // before prepare() the folders would be those of everybody
  for (const auto& server : server_folders()) clear(server);
}

}  // namespace mayfly::sandbox
