#include "identity/policy_position.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/json.h"

namespace mayfly::identity {
namespace {

// Walks a text that is known to be JSON, value by value, with the path of each.
class Walk {
 public:
  Walk(std::string_view text, std::string_view wanted) : text_(text), wanted_(wanted) {}

  void run() { value(""); }
  std::optional<std::size_t> found;
  std::optional<std::string> duplicate;

 private:
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  [[nodiscard]] char here() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  std::string_view raw_string() {
    const auto start = at_++;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ < text_.size()) ++at_;
    return text_.substr(start, at_ - start);
  }

  static std::string decoded(std::string_view raw) {
    if (raw.find('\\') == std::string_view::npos) return std::string(raw.substr(1, raw.size() - 2));
    const auto parsed = parse_json(raw);
    return parsed && parsed->is_string() ? std::string(parsed->get_string()) : std::string(raw);
  }

  void value(const std::string& path) {
    skip_space();
    if (path == wanted_ && !found) found = at_;
    if (here() == '{') {
      object(path);
    } else if (here() == '[') {
      array(path);
    } else if (here() == '"') {
      raw_string();
    } else {
      while (at_ < text_.size() && std::string_view(",]} \t\r\n").find(text_[at_]) == std::string_view::npos) ++at_;
    }
  }

  // NOLINTNEXTLINE(misc-no-recursion): the text has been parsed with a bound on its depth.
  void object(const std::string& path) {
    std::set<std::string> names;
    ++at_;
    for (skip_space(); at_ < text_.size() && here() != '}'; skip_space()) {
      if (here() == ',') {
        ++at_;
        continue;
      }
      if (here() != '"') return;
      auto name = decoded(raw_string());
      auto inner = path.empty() ? name : path + "." + name;
      if (!names.insert(std::move(name)).second && !duplicate) duplicate = inner;
      skip_space();
      if (here() == ':') ++at_;
      value(inner);
    }
    if (at_ < text_.size()) ++at_;
  }

  // NOLINTNEXTLINE(misc-no-recursion): as above.
  void array(const std::string& path) {
    ++at_;
    std::size_t index = 0;
    for (skip_space(); at_ < text_.size() && here() != ']'; skip_space()) {
      if (here() == ',') {
        ++at_;
        continue;
      }
      value(fmt::format("{}[{}]", path, index++));
    }
    if (at_ < text_.size()) ++at_;
  }

  std::string_view text_;
  std::string_view wanted_;
  std::size_t at_ = 0;
};

}  // namespace

Position position_of(std::string_view text, std::size_t offset) {
  const auto before = text.substr(0, std::min(offset, text.size()));
  const auto lines = static_cast<std::size_t>(std::ranges::count(before, '\n'));
  const auto last = before.rfind('\n');
  const auto column = last == std::string_view::npos ? before.size() : before.size() - last - 1;
  return {.line = lines + 1, .column = column + 1};
}

std::optional<std::size_t> find_offset(std::string_view text, std::string_view path) {
  Walk walk(text, path);
  walk.run();
  return walk.found;
}

std::optional<std::string> find_duplicate(std::string_view text) {
  Walk walk(text, "");
  walk.run();
  return walk.duplicate;
}

}  // namespace mayfly::identity
