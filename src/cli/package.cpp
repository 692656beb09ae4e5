#include "cli/package.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <zip.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace mayfly::cli {
namespace {
namespace fs = std::filesystem;

Result<std::string> read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail_errno(path.string());
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

struct File {
  std::string name;  // inside the package
  std::string content;
  unsigned mode = 0644;
};

bool ignored(const fs::path& name) { return name == ".git" || name == "__pycache__" || name == ".DS_Store"; }

Result<std::vector<File>> collect(const fs::path& folder) {
  std::vector<File> files;
  std::error_code ec;
  const fs::path root = fs::canonical(folder, ec);
  if (ec) return std::unexpected(errno_error(ec.value(), folder.string()));
  for (auto it = fs::recursive_directory_iterator(root, ec); !ec && it != fs::recursive_directory_iterator();
       it.increment(ec)) {
    if (ignored(it->path().filename())) {
      it.disable_recursion_pending();
      continue;
    }
    if (!it->is_regular_file()) continue;
    const fs::path real = fs::canonical(it->path());
    if (!real.string().starts_with(root.string() + "/")) {
      return fail(ErrorCode::kInvalid, fmt::format("{}: a link that leads out of the folder", it->path().string()));
    }
    auto content = read_file(real);
    if (!content) return std::unexpected(content.error());
    struct stat info{};
    if (::stat(real.c_str(), &info) != 0) return fail_errno(real.string());
    files.push_back({.name = fs::relative(it->path(), root).string(),
                     .content = std::move(*content),
                     .mode = (info.st_mode & 0111) != 0 ? 0755U : 0644U});
  }
  if (ec) return std::unexpected(errno_error(ec.value(), folder.string()));
  if (files.empty()) return fail(ErrorCode::kInvalid, fmt::format("{}: holds no files", folder.string()));
  std::ranges::sort(files, {}, &File::name);  // The same folder gives the same package.
  return files;
}

Result<std::string> zip_files(const std::vector<File>& files) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* buffer = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_t* archive = zip_open_from_source(buffer, ZIP_TRUNCATE, &error);
  if (archive == nullptr) return fail(ErrorCode::kInternal, "cannot make a zip archive");
  zip_source_keep(buffer);
  const std::unique_ptr<zip_source_t, void (*)(zip_source_t*)> keep(buffer, zip_source_free);
  constexpr std::time_t kFixedTime = 946'684'800;  // 2000-01-01, so that a package's hash depends on its content only.
  for (const auto& file : files) {
    zip_source_t* source = zip_source_buffer(archive, file.content.data(), file.content.size(), 0);
    const zip_int64_t index = zip_file_add(archive, file.name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
      zip_source_free(source);
      zip_discard(archive);
      return fail(ErrorCode::kInternal, fmt::format("cannot add {} to the zip archive", file.name));
    }
    const auto at = static_cast<zip_uint64_t>(index);
    zip_file_set_external_attributes(archive, at, 0, ZIP_OPSYS_UNIX, (0100000U | file.mode) << 16);
    zip_file_set_mtime(archive, at, kFixedTime, 0);
  }
  if (zip_close(archive) != 0) {
    zip_discard(archive);
    return fail(ErrorCode::kInternal, "cannot write the zip archive");
  }
  zip_stat_t info;
  zip_stat_init(&info);
  zip_source_stat(buffer, &info);
  std::string bytes(info.size, '\0');
  if (zip_source_open(buffer) != 0 ||
      zip_source_read(buffer, bytes.data(), bytes.size()) != static_cast<zip_int64_t>(bytes.size())) {
    return fail(ErrorCode::kInternal, "cannot read the zip archive back");
  }
  zip_source_close(buffer);
  return bytes;
}

Result<std::vector<File>> list_zip(const std::string& bytes) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  zip_t* archive = zip_open_from_source(source, ZIP_RDONLY, &error);
  if (archive == nullptr) {
    zip_source_free(source);
    return fail(ErrorCode::kInvalid, "not a zip file");
  }
  const std::unique_ptr<zip_t, void (*)(zip_t*)> keep(archive, zip_discard);
  std::vector<File> files;
  const zip_int64_t count = zip_get_num_entries(archive, 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* name = zip_get_name(archive, static_cast<zip_uint64_t>(i), 0);
    if (name != nullptr) files.push_back({.name = name, .content = {}, .mode = 0644});
  }
  return files;
}

void guess(const std::vector<File>& files, Package& package) {
  const auto named = [&](std::string_view name) -> const File* {
    const auto it = std::ranges::find(files, name, &File::name);
    return it == files.end() ? nullptr : &*it;
  };
  if (named("bootstrap") != nullptr) {
    package.language = "provided";
    package.handler = "bootstrap";
    return;
  }
  for (const std::string module : {"index", "app", "handler", "main"}) {
    for (const std::string_view extension : {".mjs", ".js", ".cjs"}) {
      if (named(module + std::string(extension)) == nullptr) continue;
      package.language = "nodejs";
      package.handler = module + ".handler";
      return;
    }
  }
  for (const std::string module : {"lambda_function", "app", "handler", "main", "index"}) {
    const File* file = named(module + ".py");
    if (file == nullptr) continue;
    package.language = "python";
    const bool has_handler = file->content.find("def handler(") != std::string::npos;
    package.handler = module + (has_handler ? ".handler" : ".lambda_handler");
    return;
  }
}

}  // namespace

Result<Package> read_package(const fs::path& path) {
  Package package;
  std::error_code ec;
  if (fs::is_directory(path, ec)) {
    const auto files = collect(path);
    if (!files) return std::unexpected(files.error());
    auto zip = zip_files(*files);
    if (!zip) return std::unexpected(zip.error());
    package.zip = std::move(*zip);
    package.files = files->size();
    guess(*files, package);
    return package;
  }
  auto bytes = read_file(path);
  if (!bytes) return std::unexpected(bytes.error());
  package.zip = std::move(*bytes);
  const auto files = list_zip(package.zip);
  if (!files) return fail(files.error().code, fmt::format("{}: {}", path.string(), files.error().message));
  package.files = files->size();
  guess(*files, package);
  return package;
}

}  // namespace mayfly::cli
