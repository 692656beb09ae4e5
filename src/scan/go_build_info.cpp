#include "scan/go_build_info.h"

#include <cstdint>
#include <optional>

namespace mayfly::scan {
namespace {

constexpr std::string_view kMagic = "\xff Go buildinf:";
constexpr std::size_t kHeadBytes = 32;
constexpr std::size_t kAlignment = 16;
constexpr std::size_t kFlagsAt = 15;
constexpr unsigned kInlineStrings = 2;
constexpr std::size_t kSentinelBytes = 16;  // before and after the module information

// A string with its length before it, as a varint.
std::optional<std::string_view> take_string(std::string_view& bytes) {
  std::uint64_t size = 0;
  for (int shift = 0; shift < 63; shift += 7) {
    if (bytes.empty()) return std::nullopt;
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    size |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
    if ((byte & 0x80U) != 0) continue;
    if (size > bytes.size()) return std::nullopt;
    const auto out = bytes.substr(0, size);
    bytes.remove_prefix(size);
    return out;
  }
  return std::nullopt;
}

std::string_view take_until(std::string_view& text, char end) {
  const auto at = text.find(end);
  const auto out = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return out;
}

std::string without_v(std::string_view version) {
  if (version.starts_with('v')) version.remove_prefix(1);
  return std::string(version);
}

void add_modules(std::string_view modules, std::string_view found_in, std::vector<Component>& out) {
  bool listed = false;  // whether the module of the line before is the last of `out`
  while (!modules.empty()) {
    auto line = take_until(modules, '\n');
    const auto kind = take_until(line, '\t');
    if (kind != "dep" && kind != "=>") continue;
    const auto name = take_until(line, '\t');
    const auto version = take_until(line, '\t');
    // "=>" replaces the module of the line before it; one that is replaced by a folder has no version.
    if (kind == "=>" && listed) out.pop_back();
    listed = !name.empty() && !version.empty();
    if (!listed) continue;
    out.push_back({.ecosystem = Ecosystem::kGo,
                   .name = std::string(name),
                   .version = without_v(version),
                   .found_in = std::string(found_in)});
  }
}

}  // namespace

std::vector<Component> go_components(std::string_view program, std::string_view found_in) {
  std::vector<Component> out;
  if (!program.starts_with("\x7f"
                           "ELF")) {
    return out;
  }
  for (auto at = program.find(kMagic); at != std::string_view::npos; at = program.find(kMagic, at + 1)) {
    if (at % kAlignment != 0 || program.size() - at < kHeadBytes) continue;
    if ((static_cast<unsigned char>(program[at + kFlagsAt]) & kInlineStrings) == 0) continue;
    auto rest = program.substr(at + kHeadBytes);
    const auto version = take_string(rest);
    if (!version || !version->starts_with("go")) continue;
    const auto number = version->substr(2, version->find(' ') - 2);
    out.push_back({.ecosystem = Ecosystem::kGo,
                   .name = "stdlib",
                   .version = std::string(number),
                   .found_in = std::string(found_in)});
    if (auto modules = take_string(rest); modules && modules->size() > 2 * kSentinelBytes) {
      modules->remove_prefix(kSentinelBytes);
      modules->remove_suffix(kSentinelBytes);
      add_modules(*modules, found_in, out);
    }
    return out;
  }
  return out;
}

}  // namespace mayfly::scan
