// Files of a zip package, read in memory. The package may come from anybody: sizes are counted, not believed.
#include <zip.h>

#include <memory>
#include <utility>

#include "scan/inventory.h"

namespace mayfly::scan {
namespace {

constexpr std::uint64_t kMostBytesInAll = 1ULL << 30;
constexpr std::size_t kChunk = 64UL * 1024;
constexpr zip_uint32_t kFileType = 0170000;
constexpr zip_uint32_t kRegular = 0100000;

struct CloseArchive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseEntry {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using Archive = std::unique_ptr<zip_t, CloseArchive>;

Result<Archive> open_archive(std::string_view bytes) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  Archive archive(source == nullptr ? nullptr : zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error));
  if (!archive && source != nullptr) zip_source_free(source);
  zip_error_fini(&error);
  if (!archive) return fail(ErrorCode::kInvalid, "not a zip archive");
  return archive;
}

bool is_regular(zip_t* archive, zip_uint64_t index, std::string_view name) {
  if (name.ends_with('/')) return false;
  zip_uint8_t system = 0;
  zip_uint32_t attributes = 0;
  if (zip_file_get_external_attributes(archive, index, 0, &system, &attributes) != 0 || system != ZIP_OPSYS_UNIX)
    return true;
  const auto type = (attributes >> 16) & kFileType;
  return type == 0 || type == kRegular;
}

// False where the entry holds more than `most` bytes.
Result<bool> read_entry(zip_t* archive, zip_uint64_t index, std::uint64_t most, std::string& out) {
  const std::unique_ptr<zip_file_t, CloseEntry> file(zip_fopen_index(archive, index, 0));
  if (!file) return fail(ErrorCode::kInvalid, "an entry of the archive cannot be read");
  out.clear();
  for (;;) {
    const auto before = out.size();
    out.resize(before + kChunk);
    const auto got = zip_fread(file.get(), out.data() + before, kChunk);
    if (got < 0) return fail(ErrorCode::kInvalid, "an entry of the archive is damaged");
    out.resize(before + static_cast<std::size_t>(got));
    if (got == 0) return true;
    if (out.size() > most) return false;
  }
}

}  // namespace

Result<Walk> walk_zip(std::string_view bytes, const std::function<void(const WalkedFile&)>& visit) {
  auto archive = open_archive(bytes);
  if (!archive) return std::unexpected(std::move(archive.error()));
  const auto count = zip_get_num_entries(archive->get(), 0);
  Walk out;
  std::string text;
  std::uint64_t total = 0;
  for (zip_uint64_t i = 0; std::cmp_less(i, count); ++i) {
    const char* name = zip_get_name(archive->get(), i, ZIP_FL_ENC_RAW);
    if (name == nullptr || !is_regular(archive->get(), i, name)) continue;
    ++out.files;
    auto read = read_entry(archive->get(), i, kMostProgramBytes, text);
    if (!read) return std::unexpected(std::move(read.error()));
    total += text.size();
    if (total > kMostBytesInAll) return fail(ErrorCode::kTooLarge, "the package unpacks to more than 1 GiB");
    if (!*read || (text.size() > kMostTextBytes && !is_program(text))) {
      ++out.unread;
      continue;
    }
    visit({.name = name, .text = text});
  }
  return out;
}

}  // namespace mayfly::scan
