#include "services/apigateway/key_file.h"

#include <algorithm>

#include "base/encoding.h"
#include "services/apigateway/core.h"

namespace mayfly::apigateway {
namespace {

std::vector<std::string> cells_of(std::string_view line) {
  std::vector<std::string> out;
  for (;;) {
    const auto end = std::min(line.find(','), line.size());
    auto cell = trim(line.substr(0, end));
    if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') cell = cell.substr(1, cell.size() - 2);
    out.emplace_back(cell);
    if (end == line.size()) return out;
    line.remove_prefix(end + 1);
  }
}

}  // namespace

aws::ApiResult<std::vector<ImportedKey>> read_key_file(std::string_view text) {
  std::vector<ImportedKey> out;
  std::vector<std::string> head;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const auto cells = cells_of(line);
    if (head.empty()) {
      for (const auto& cell : cells) head.push_back(to_lower(cell));
      if (std::ranges::find(head, "key") == head.end() || std::ranges::find(head, "name") == head.end())
        return refuse_input("The first line of the file must name the columns Name and key");
      continue;
    }
    if (cells.size() > head.size()) return refuse_input("A line of the file has more cells than columns");
    ImportedKey one;
    one.key.enabled = true;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (head[i] == "name") one.key.name = cells[i];
      if (head[i] == "key") one.value = cells[i];
      if (head[i] == "description") one.key.description = cells[i];
      if (head[i] == "enabled") one.key.enabled = to_lower(cells[i]) == "true";
      if (head[i] == "usageplanids" && !cells[i].empty())
        return refuse_unsupported("usageplanIds", "keys are added to plans by CreateUsagePlanKey");
    }
    if (out.size() == kMostKeys) return refuse_limit("API keys of a file", kMostKeys);
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace mayfly::apigateway
