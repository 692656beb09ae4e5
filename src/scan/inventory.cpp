#include "scan/inventory.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/encoding.h"
#include "base/json.h"
#include "scan/go_build_info.h"

namespace mayfly::scan {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepestLock = 64;
constexpr std::string_view kElf =
    "\x7f"
    "ELF";

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

Component npm(std::string_view name, std::string_view version, std::string_view found_in) {
  return {.ecosystem = Ecosystem::kNpm,
          .name = std::string(name),
          .version = std::string(version),
          .found_in = std::string(found_in)};
}

Component pypi(std::string_view name, std::string_view version, std::string_view found_in) {
  return {.ecosystem = Ecosystem::kPyPI,
          .name = normalized_pypi_name(name),
          .version = std::string(version),
          .found_in = std::string(found_in)};
}

// "node_modules/a/node_modules/@b/c" is the package "@b/c".
std::string_view package_of_path(std::string_view path) {
  constexpr std::string_view kFolder = "node_modules/";
  const auto at = path.rfind(kFolder);
  return at == std::string_view::npos ? std::string_view() : path.substr(at + kFolder.size());
}

// lockfileVersion 1: a tree of dependencies.
void add_tree(const json::value& dependencies, std::string_view found_in, int depth, std::vector<Component>& out) {
  if (!dependencies.is_object() || depth > kDeepestLock) return;
  for (const auto& [name, entry] : dependencies.get_object()) {
    if (const auto version = get_string(entry, "version"); !version.empty())
      out.push_back(npm(name, version, found_in));
    if (const auto* below = find(entry, "dependencies")) add_tree(*below, found_in, depth + 1, out);
  }
}

std::vector<Component> of_npm_lock(const WalkedFile& file) {
  std::vector<Component> out;
  const auto lock = parse_json(file.text);
  if (!lock) return out;
  const auto* packages = find(*lock, "packages");
  if (packages == nullptr || !packages->is_object()) {
    if (const auto* tree = find(*lock, "dependencies")) add_tree(*tree, file.name, 0, out);
    return out;
  }
  for (const auto& [path, entry] : packages->get_object()) {
    const auto version = get_string(entry, "version");
    // An alias says which package it really is.
    const auto name = get_string(entry, "name", package_of_path(path));
    if (!path.empty() && !name.empty() && !version.empty() && !get_bool(entry, "link", false)) {
      out.push_back(npm(name, version, file.name));
    }
  }
  return out;
}

std::vector<Component> of_npm_package(const WalkedFile& file) {
  const auto package = parse_json(file.text);
  if (!package) return {};
  const auto name = get_string(*package, "name");
  const auto version = get_string(*package, "version");
  if (name.empty() || version.empty()) return {};
  return {npm(name, version, file.name)};
}

std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  auto line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// The head of a METADATA file, which is a mail message's.
std::vector<Component> of_python_metadata(const WalkedFile& file) {
  std::string_view name;
  std::string_view version;
  auto text = file.text;
  while (!text.empty()) {
    const auto line = take_line(text);
    if (line.empty()) break;
    if (line.starts_with("Name:")) name = trim(line.substr(5));
    if (line.starts_with("Version:")) version = trim(line.substr(8));
  }
  if (name.empty() || version.empty()) return {};
  return {pypi(name, version, file.name)};
}

// Lines as "name[extra]==1.2.3 ; marker  # comment".
std::vector<Component> of_requirements(const WalkedFile& file) {
  std::vector<Component> out;
  auto text = file.text;
  while (!text.empty()) {
    auto line = take_line(text);
    line = trim(line.substr(0, line.find_first_of("#;\\")));
    const auto equals = line.find("==");
    if (equals == std::string_view::npos || line.starts_with('-')) continue;
    auto version = line.substr(equals + 2);
    if (version.starts_with('=')) version.remove_prefix(1);
    version = trim(version);
    version = version.substr(0, version.find_first_of(" \t"));
    const auto name = trim(line.substr(0, std::min(line.find('['), equals)));
    const bool exact = version.find_first_of("*,<>") == std::string_view::npos && !version.empty();
    if (exact && !name.empty() && name.find_first_of(" \t<>,") == std::string_view::npos) {
      out.push_back(pypi(name, version, file.name));
    }
  }
  return out;
}

// A program may be far larger than any text that is worth reading.
Result<bool> read_file(const fs::path& path, std::uint64_t size, std::string& out) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(ErrorCode::kIo, "reading " + path.string());
  std::string head(kElf.size(), '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  const bool program = in.gcount() == static_cast<std::streamsize>(kElf.size()) && head == kElf;
  if (size > (program ? kMostProgramBytes : kMostTextBytes)) return false;
  in.clear();
  in.seekg(0);
  out.resize(size);
  in.read(out.data(), static_cast<std::streamsize>(size));
  out.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return true;
}

}  // namespace

bool is_program(std::string_view text) { return text.starts_with(kElf); }

Result<Walk> walk(const fs::path& folder, const std::function<void(const WalkedFile&)>& visit) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return fail(ErrorCode::kNotFound, "there is no folder " + folder.string());
  std::vector<fs::path> paths;
  fs::recursive_directory_iterator entries(folder, error);
  for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    std::error_code ignored;
    if (!entries->is_symlink(ignored) && entries->is_regular_file(ignored)) paths.push_back(entries->path());
  }
  if (error) return fail(ErrorCode::kIo, "listing " + folder.string() + ": " + error.message());
  std::ranges::sort(paths);
  Walk out;
  std::string text;
  for (const auto& path : paths) {
    const auto size = fs::file_size(path, error);
    if (error) return fail(ErrorCode::kIo, "reading " + path.string() + ": " + error.message());
    ++out.files;
    auto read = read_file(path, size, text);
    if (!read) return std::unexpected(std::move(read.error()));
    if (!*read) {
      ++out.unread;
      continue;
    }
    visit({.name = path.lexically_relative(folder).generic_string(), .text = text});
  }
  return out;
}

std::vector<Component> components_of(const WalkedFile& file) {
  const auto name = file_name(file.name);
  if (name == "package-lock.json" || name == "npm-shrinkwrap.json" || name == ".package-lock.json")
    return of_npm_lock(file);
  if (name == "package.json" && !package_of_path(file.name).empty()) return of_npm_package(file);
  if (name == "METADATA" && file.name.find(".dist-info/") != std::string::npos) return of_python_metadata(file);
  if (name.starts_with("requirements") && name.ends_with(".txt")) return of_requirements(file);
  if (is_program(file.text)) return go_components(file.text, file.name);
  return {};
}

}  // namespace mayfly::scan
