#include "sandbox/root_tree.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <fstream>
#include <iterator>

namespace mayfly::sandbox {
namespace {

constexpr std::uint64_t kReadOnly = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

Result<void> set_attributes(int tree, std::uint64_t attributes, bool recursive) {
  mount_attr attr{};
  attr.attr_set = attributes;
  attr.propagation = MS_PRIVATE;
  if (::mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr) != 0) {
    return fail_errno("mount_setattr");
  }
  return {};
}

// A detached copy of what is at `path`, with everything mounted below it.
Result<UniqueFd> clone_mount(const std::string& path, std::uint64_t attributes) {
  UniqueFd tree(::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!tree) return fail_errno("mount " + path);
  if (auto done = set_attributes(tree.get(), attributes, true); !done) return std::unexpected(done.error());
  return tree;
}

// Opens a path inside the new root; links in it, also absolute ones, stay inside.
UniqueFd open_inside(int root, const std::string& path, int flags, mode_t mode = 0) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
}

// Folders are made only in the tmpfs: what is mounted already is read-only and refuses.
Result<void> make_folders(int root, const std::string& path) {
  std::size_t at = 1;
  while (at < path.size()) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const UniqueFd parent = open_inside(root, "/" + path.substr(1, at - 1), O_PATH | O_DIRECTORY);
    if (!parent) return fail_errno("open the folder of " + path);
    if (::mkdirat(parent.get(), path.substr(at, end - at).c_str(), 0755) != 0 && errno != EEXIST) {
      return fail_errno("make " + path.substr(0, end));
    }
    at = end + 1;
  }
  return {};
}

std::string parent_of(const std::string& path) { return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1)); }
std::string leaf_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Result<void> make_file(int root, const std::string& path, const std::string& content) {
  const UniqueFd file = open_inside(root, path, O_WRONLY | O_CREAT, 0644);
  if (!file) return fail_errno("make " + path);
  if (!content.empty() && ::write(file.get(), content.data(), content.size()) < 0) return fail_errno("write " + path);
  return {};
}

Result<void> make_link(int root, const std::string& path, const std::string& content) {
  if (auto done = make_folders(root, parent_of(path)); !done && parent_of(path) != "/") return done;
  const UniqueFd parent = open_inside(root, parent_of(path), O_PATH | O_DIRECTORY);
  if (!parent || (::symlinkat(content.c_str(), parent.get(), leaf_of(path).c_str()) != 0 && errno != EEXIST)) {
    return fail_errno("make the link " + path);
  }
  return {};
}

Result<void> attach(int root, const Mount& mount, std::uint64_t attributes) {
  struct stat info{};
  if (::lstat(mount.source.c_str(), &info) != 0) return fail_errno("mount " + mount.source);
  if (S_ISLNK(info.st_mode)) {
    std::array<char, PATH_MAX> text{};
    const ssize_t size = ::readlink(mount.source.c_str(), text.data(), text.size());
    if (size < 0) return fail_errno("read the link " + mount.source);
    return make_link(root, mount.target, {text.data(), static_cast<std::size_t>(size)});
  }
  const bool folder = S_ISDIR(info.st_mode);
  UniqueFd target = open_inside(root, mount.target, O_PATH);
  if (!target) {
    const std::string needed = folder ? mount.target : parent_of(mount.target);
    if (auto done = make_folders(root, needed); !done) return done;
    if (!folder) {
      if (auto done = make_file(root, mount.target, ""); !done) return done;
    }
    target = open_inside(root, mount.target, O_PATH);
    if (!target) return fail_errno("open " + mount.target);
  }
  auto tree = clone_mount(mount.source, attributes);
  if (!tree) return std::unexpected(tree.error());
  if (::move_mount(tree->get(), "", target.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return fail_errno(fmt::format("mount {} at {}", mount.source, mount.target));
  }
  return {};
}

// Only name servers that are not on the host's own loopback can be asked from inside.
std::string resolver_text() {
  std::ifstream in("/etc/resolv.conf");
  std::string text;
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with("nameserver 127.") || line.starts_with("nameserver ::1")) continue;
    if (line.starts_with("nameserver ") || line.starts_with("options ")) text += line + "\n";
  }
  return text;
}

// The skeleton every root has. Names as on Lambda, so that programs which look their user up find one.
Result<void> fill(int root) {
  // The two folders named lib are hidden by every function's own files. A runtime that is started before them needs to
  // find them: the dynamic linker never looks again into a folder of LD_LIBRARY_PATH that was missing at its start.
  for (const char* folder : {"/dev", "/dev/shm", "/etc", "/opt/lib", "/proc", "/tmp", "/var/task/lib", "/var/runtime",
                             "/var/tmp", "/home", "/run"}) {
    if (auto done = make_folders(root, folder); !done) return done;
  }
  const std::array<std::pair<const char*, std::string>, 6> files = {
      {{"/etc/passwd",
        "root:x:0:0:root:/:/sbin/nologin\nsbx_user1051:x:993:990::/tmp:/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/:/sbin/nologin\n"},
       {"/etc/group", "root:x:0:\nsbx_user1051:x:990:\nnogroup:x:65534:\n"},
       {"/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"},
       {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
       {"/etc/hostname", "mayfly\n"},
       {"/etc/resolv.conf", resolver_text()}}};
  for (const auto& [path, content] : files) {
    if (auto done = make_file(root, path, content); !done) return done;
  }
  for (const char* device : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}) {
    if (auto done = attach(root, {device, device}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC); !done) return done;
  }
  const std::array<std::pair<const char*, const char*>, 4> links = {{{"/dev/fd", "/proc/self/fd"},
                                                                     {"/dev/stdin", "/proc/self/fd/0"},
                                                                     {"/dev/stdout", "/proc/self/fd/1"},
                                                                     {"/dev/stderr", "/proc/self/fd/2"}}};
  for (const auto& [path, content] : links) {
    if (auto done = make_link(root, path, content); !done) return done;
  }
  return {};
}

// Built attached at the staging folder, because a detached tree takes no mounts and cannot be cloned on older kernels.
Result<void> build_root(const std::vector<Mount>& mounts) {
  if (::mount("mayfly", "build", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m,nr_inodes=4096") != 0) {
    return fail_errno("mount a tmpfs");
  }
  const UniqueFd root(::open("build", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail_errno("open the new root");
  if (auto done = set_attributes(root.get(), 0, false); !done) return done;
  if (auto done = fill(root.get()); !done) return done;
  for (const auto& mount : mounts) {
    if (auto done = attach(root.get(), mount, kReadOnly); !done) return done;
  }
  return set_attributes(root.get(), kReadOnly, false);
}

}  // namespace

Result<RootTrees> RootTrees::create(const std::string& staging) {
  if (::unshare(CLONE_NEWNS) != 0) return fail_errno("a mount namespace for the launcher");
  // What the host mounts later is still seen here; nothing of ours is seen there.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return fail_errno("make mounts private");
  for (const auto& folder : {staging, staging + "/root", staging + "/build", staging + "/layers"}) {
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno("make " + folder);
    if (::chmod(folder.c_str(), 0755) != 0) return fail_errno("set the mode of " + folder);
  }
  if (::mount(staging.c_str(), staging.c_str(), nullptr, MS_BIND, nullptr) != 0) return fail_errno("bind " + staging);
  if (::mount(nullptr, staging.c_str(), nullptr, MS_PRIVATE, nullptr) != 0) return fail_errno("private " + staging);
  if (::chdir(staging.c_str()) != 0) return fail_errno("enter " + staging);
  return RootTrees();
}

namespace {
bool is_code(const Mount& mount) { return mount.target == "/var/task" || mount.target == "/opt"; }
}  // namespace

std::string RootTrees::root_key(const SandboxSpec& spec) {
  std::string key;
  for (const auto& mount : spec.mounts) {
    if (!is_code(mount)) key += mount.source + '\n' + mount.target + '\n';
  }
  return key;
}

Result<UniqueFd> RootTrees::root_for(const SandboxSpec& spec) {
  const std::string key = root_key(spec);
  std::vector<Mount> system;
  std::ranges::copy_if(spec.mounts, std::back_inserter(system), [](const Mount& mount) { return !is_code(mount); });
  auto found = std::ranges::find(prepared_, key, &Prepared::key);
  if (found == prepared_.end()) {
    if (auto built = build_root(system); !built) {
      ::umount2("build", MNT_DETACH);
      return std::unexpected(built.error());
    }
    const std::string slot = fmt::format("base-{}", ++uses_);
    // The attached original moves aside and stays: it is what later instances clone.
    if (::mkdir(slot.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno("make " + slot);
    if (::move_mount(AT_FDCWD, "build", AT_FDCWD, slot.c_str(), 0) != 0) return fail_errno("keep the new root");
    if (prepared_.size() >= kMaxRoots) {
      const auto oldest = std::ranges::min_element(prepared_, {}, &Prepared::used);
      ::umount2(oldest->slot.c_str(), MNT_DETACH);
      ::rmdir(oldest->slot.c_str());
      prepared_.erase(oldest);
    }
    UniqueFd base(::open(slot.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!base) return fail_errno("open the prepared root");
    prepared_.push_back({.key = key, .slot = slot, .used = 0, .tree = std::move(base)});
    found = prepared_.end() - 1;
  }
  found->used = ++uses_;
  UniqueFd root(::open_tree(found->tree.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH));
  if (!root) return fail_errno("clone the prepared root");
  return root;
}

Result<CodeMounts> RootTrees::code_for(const SandboxSpec& spec) {
  CodeMounts code;
  code.hide_opt = true;
  std::vector<std::string> opt = spec.opt_layers;
  for (const auto& mount : spec.mounts) {
    if (mount.target == "/opt") opt.push_back(mount.source);
    if (mount.target.starts_with("/opt/")) {
      if (!spec.opt_layers.empty()) {
        return fail(ErrorCode::kUnsupported, fmt::format("{} would be hidden by the layers at /opt", mount.target),
                    "Install the interpreter in another folder than /opt.");
      }
      code.hide_opt = false;
    }
    if (mount.target != "/var/task") continue;
    auto tree = clone_mount(mount.source, kReadOnly);
    if (!tree) return std::unexpected(tree.error());
    code.task = std::move(*tree);
  }
  if (!opt.empty()) {
    auto tree = layers(opt);
    if (!tree) return std::unexpected(tree.error());
    code.opt = std::move(*tree);
  }
  return code;
}

Result<UniqueFd> RootTrees::layers(const std::vector<std::string>& folders) {
  if (folders.size() == 1) return clone_mount(folders[0], kReadOnly);
  std::string lower;
  // overlayfs names the uppermost first.
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) {
    lower += (lower.empty() ? "lowerdir=" : ":") + *folder;
  }
  if (::mount("overlay", "layers", "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, lower.c_str()) != 0) {
    return fail_errno("merge the layers");
  }
  auto tree = clone_mount("layers", kReadOnly);
  ::umount2("layers", MNT_DETACH);
  return tree;
}

}  // namespace mayfly::sandbox
