#include "services/lambda/code_package.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <zip.h>

#include <cerrno>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/fd.h"
#include "base/ids.h"

namespace mayfly::lambda {
namespace {

namespace fs = std::filesystem;

struct ZipCloser {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct FileCloser {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using Archive = std::unique_ptr<zip_t, ZipCloser>;
using ArchiveFile = std::unique_ptr<zip_file_t, FileCloser>;

enum class EntryKind : std::uint8_t { kFile, kFolder, kLink };

struct PackageEntry {
  std::string path;  // relative, normalised, no trailing slash
  EntryKind kind = EntryKind::kFile;
  bool executable = false;
  zip_uint64_t index = 0;
};

struct Checked {
  Archive archive;
  std::vector<PackageEntry> entries;
  PackageSummary summary;
};

std::unexpected<Error> bad(std::string message) { return fail(ErrorCode::kInvalid, std::move(message)); }

// Splits at '/', refuses what leaves the folder or cannot be a file name. "./a//b/" is "a/b".
Result<std::string> normalise(std::string_view name, const PackageLimits& limits) {
  if (name.empty() || name.size() > limits.path_bytes) return bad("an entry's name is empty or too long");
  if (name.find('\0') != std::string_view::npos) return bad("an entry's name holds a NUL");
  if (name.find('\\') != std::string_view::npos) return bad("an entry's name holds a backslash");
  if (name.front() == '/') return bad(fmt::format("the entry {} has an absolute path", name));
  std::string out;
  std::size_t at = 0;
  while (at <= name.size()) {
    const auto slash = std::min(name.find('/', at), name.size());
    const auto part = name.substr(at, slash - at);
    at = slash + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") return bad(fmt::format("the entry {} leaves the package", name));
    if (part.size() > 255) return bad("a part of an entry's name is longer than 255 bytes");
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

// A link may point only at something inside the package, seen from where the link is. "..", where there is any, must
// come first: after a name it could step back out of what another link led to, which no lexical count sees.
bool link_stays_inside(std::string_view link_path, std::string_view target) {
  if (target.empty() || target.front() == '/' || target.find('\0') != std::string_view::npos) return false;
  bool descended = false;
  auto depth = std::count(link_path.begin(), link_path.end(), '/');
  std::size_t at = 0;
  while (at <= target.size()) {
    const auto slash = std::min(target.find('/', at), target.size());
    const auto part = target.substr(at, slash - at);
    at = slash + 1;
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      descended = true;
    } else if (descended || --depth < 0) {
      return false;
    }
  }
  return true;
}

Result<std::string> read_link_target(zip_t* archive, zip_uint64_t index) {
  const ArchiveFile file(zip_fopen_index(archive, index, 0));
  if (!file) return bad("a link in the package cannot be read");
  std::string target(4096, '\0');
  const auto got = zip_fread(file.get(), target.data(), target.size());
  if (got <= 0 || static_cast<std::size_t>(got) >= target.size()) return bad("a link in the package is not valid");
  target.resize(static_cast<std::size_t>(got));
  return target;
}

Result<PackageEntry> check_entry(zip_t* archive, zip_uint64_t index, const zip_stat_t& stat,
                                 const PackageLimits& limits) {
  PackageEntry entry;
  entry.index = index;
  const std::string_view name = stat.name;
  auto path = normalise(name, limits);
  if (!path) return std::unexpected(std::move(path.error()));
  entry.path = std::move(*path);
  if (name.back() == '/') entry.kind = EntryKind::kFolder;
  if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && stat.encryption_method != ZIP_EM_NONE) {
    return bad(fmt::format("the entry {} is encrypted", name));
  }
  zip_uint8_t system = 0;
  zip_uint32_t attributes = 0;
  if (zip_file_get_external_attributes(archive, index, 0, &system, &attributes) == 0 && system == ZIP_OPSYS_UNIX) {
    const auto mode = attributes >> 16U;
    entry.executable = (mode & 0111U) != 0;
    switch (mode & S_IFMT) {
      case 0:
      case S_IFREG:
        break;
      case S_IFDIR:
        entry.kind = EntryKind::kFolder;
        break;
      case S_IFLNK:
        entry.kind = EntryKind::kLink;
        break;
      default:
        return bad(fmt::format("the entry {} is neither a file, a folder nor a link", name));
    }
  }
  if (entry.kind == EntryKind::kLink) {
    const auto target = read_link_target(archive, index);
    if (!target) return std::unexpected(target.error());
    if (!link_stays_inside(entry.path, *target)) return bad(fmt::format("the link {} points out of the package", name));
  }
  return entry;
}

// A file may not be another entry's folder, and nothing may be written through a link.
Result<void> check_tree(const std::map<std::string, EntryKind>& seen) {
  for (const auto& [path, kind] : seen) {
    for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      const auto parent = seen.find(path.substr(0, slash));
      if (parent != seen.end() && parent->second != EntryKind::kFolder) {
        return bad(fmt::format("the entry {} lies under {}, which is no folder", path, parent->first));
      }
    }
  }
  return {};
}

Result<Checked> open_and_check(std::string_view zip, const PackageLimits& limits) {
  if (zip.size() > limits.zipped_bytes) return fail(ErrorCode::kTooLarge, "the zipped package is too large");
  // libzip takes no bytes at all for a new archive; the shortest real one is its end record.
  if (zip.size() < 22) return bad("not a zip archive");
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(zip.data(), zip.size(), 0, &error);
  if (source == nullptr) return fail(ErrorCode::kInternal, "no memory for a zip archive");
  Checked out;
  out.archive.reset(zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error));
  zip_error_fini(&error);
  if (!out.archive) {
    zip_source_free(source);
    return bad("not a zip archive");
  }
  const auto count = zip_get_num_entries(out.archive.get(), 0);
  if (count < 0 || static_cast<std::uint64_t>(count) > limits.entries) {
    return fail(ErrorCode::kTooLarge, "the package has too many entries");
  }
  if (count == 0) return bad("the package is empty");
  std::map<std::string, EntryKind> seen;
  for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_stat_index(out.archive.get(), i, ZIP_FL_ENC_RAW, &stat) != 0 || (stat.valid & ZIP_STAT_NAME) == 0 ||
        (stat.valid & ZIP_STAT_SIZE) == 0) {
      return bad("an entry of the package cannot be read");
    }
    // Compared before adding: declared sizes are 64 bits of foreign input and may wrap a sum.
    if (stat.size > limits.unzipped_bytes - out.summary.unzipped_bytes) {
      return fail(ErrorCode::kTooLarge, "the unzipped package is too large");
    }
    out.summary.unzipped_bytes += stat.size;
    auto entry = check_entry(out.archive.get(), i, stat, limits);
    if (!entry) return std::unexpected(std::move(entry.error()));
    if (entry->path.empty()) continue;  // "./"
    const bool fresh = seen.emplace(entry->path, entry->kind).second;
    if (!fresh) {
      if (entry->kind == EntryKind::kFolder && seen[entry->path] == EntryKind::kFolder) continue;
      return bad(fmt::format("the package holds {} twice", entry->path));
    }
    out.entries.push_back(std::move(*entry));
  }
  out.summary.entries = out.entries.size();
  if (auto tree = check_tree(seen); !tree) return std::unexpected(std::move(tree.error()));
  return out;
}

Result<void> sync_folder(const fs::path& folder) {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno("syncing a folder of code");
  return {};
}

Result<void> write_file(zip_t* archive, const PackageEntry& entry, const fs::path& path, std::uint64_t& budget) {
  const ArchiveFile in(zip_fopen_index(archive, entry.index, 0));
  if (!in) return bad(fmt::format("the entry {} cannot be read", entry.path));
  const mode_t mode = entry.executable ? 0755 : 0644;
  const UniqueFd out(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!out) return fail_errno("creating a file of code");
  // The umask of the process must not take the bits that the function needs.
  if (::fchmod(out.get(), mode) != 0) return fail_errno("setting the mode of a file of code");
  std::vector<char> buffer(64UL * 1024);
  for (;;) {
    const auto got = zip_fread(in.get(), buffer.data(), buffer.size());
    if (got < 0) return bad(fmt::format("the entry {} is damaged", entry.path));
    if (got == 0) break;
    if (static_cast<std::uint64_t>(got) > budget)
      return fail(ErrorCode::kTooLarge, "the unzipped package is too large");
    budget -= static_cast<std::uint64_t>(got);
    for (std::size_t done = 0; done < static_cast<std::size_t>(got);) {
      const auto wrote = ::write(out.get(), buffer.data() + done, static_cast<std::size_t>(got) - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return fail_errno("writing a file of code");
      done += static_cast<std::size_t>(wrote);
    }
  }
  if (::fsync(out.get()) != 0) return fail_errno("syncing a file of code");
  return {};
}

Result<void> make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return fail(ErrorCode::kIo, fmt::format("creating a folder of code: {}", error.message()));
  fs::permissions(path, fs::perms(0755), error);
  return {};
}

Result<void> write_entries(const Checked& checked, const fs::path& folder, std::uint64_t budget) {
  std::set<fs::path> folders{folder};
  for (const auto& entry : checked.entries) {
    const auto path = folder / entry.path;
    const auto parent = entry.kind == EntryKind::kFolder ? path : path.parent_path();
    for (auto up = parent; folders.insert(up).second; up = up.parent_path()) {
    }
    if (auto made = make_folder(parent); !made) return made;
    if (entry.kind == EntryKind::kLink) {
      const auto target = read_link_target(checked.archive.get(), entry.index);
      if (!target) return std::unexpected(target.error());
      if (::symlink(target->c_str(), path.c_str()) != 0) return fail_errno("creating a link of code");
    } else if (entry.kind == EntryKind::kFile) {
      if (auto wrote = write_file(checked.archive.get(), entry, path, budget); !wrote) return wrote;
    }
  }
  for (const auto& made : folders) {
    std::error_code ignored;
    fs::permissions(made, fs::perms(0755), ignored);
    if (auto synced = sync_folder(made); !synced) return synced;
  }
  return {};
}

}  // namespace

Result<PackageSummary> check_package(std::string_view zip, const PackageLimits& limits) {
  auto checked = open_and_check(zip, limits);
  if (!checked) return std::unexpected(std::move(checked.error()));
  return checked->summary;
}

Result<void> unpack_package(std::string_view zip, const PackageLimits& limits, const fs::path& target) {
  std::error_code error;
  if (fs::exists(target, error)) return {};
  auto checked = open_and_check(zip, limits);
  if (!checked) return std::unexpected(std::move(checked.error()));
  const auto staging = target.parent_path() / fmt::format(".unpacking-{}", random_hex(8));
  auto done = make_folder(staging);
  if (done) done = write_entries(*checked, staging, limits.unzipped_bytes);
  if (done && ::rename(staging.c_str(), target.c_str()) != 0) {
    // Somebody else unpacked the same package meanwhile: theirs is as good.
    if (errno != EEXIST && errno != ENOTEMPTY) done = fail_errno("putting a folder of code in place");
  }
  fs::remove_all(staging, error);
  if (done) done = sync_folder(target.parent_path());
  return done;
}

}  // namespace mayfly::lambda
