#include "scan/version.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/encoding.h"

namespace mayfly::scan {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Numbers of any length, as text without leading zeros.
std::strong_ordering compare_numbers(std::string_view a, std::string_view b) {
  a.remove_prefix(std::min(a.find_first_not_of('0'), a.size()));
  b.remove_prefix(std::min(b.find_first_not_of('0'), b.size()));
  if (a.size() != b.size()) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (;;) {
    const auto at = text.find(separator);
    out.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

bool all_digits(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_digit); }

// --- Semantic Versioning -------------------------------------------------------------------------------------------

struct Semantic {
  std::vector<std::string_view> release;  // a missing part counts as 0
  std::vector<std::string_view> pre;      // empty: a release
};

std::optional<Semantic> parse_semantic(std::string_view text) {
  if (text.starts_with('v') || text.starts_with('=')) text.remove_prefix(1);
  text = text.substr(0, text.find('+'));
  Semantic out;
  const auto dash = text.find('-');
  if (dash != std::string_view::npos) out.pre = split(text.substr(dash + 1), '.');
  out.release = split(text.substr(0, dash), '.');
  if (!std::ranges::all_of(out.release, all_digits)) return std::nullopt;
  return out;
}

std::strong_ordering compare_identifiers(std::string_view a, std::string_view b) {
  const bool a_number = all_digits(a);
  const bool b_number = all_digits(b);
  if (a_number && b_number) return compare_numbers(a, b);
  if (a_number != b_number) return a_number ? std::strong_ordering::less : std::strong_ordering::greater;
  return a.compare(b) <=> 0;
}

std::strong_ordering compare(const Semantic& a, const Semantic& b) {
  for (std::size_t i = 0; i < std::max(a.release.size(), b.release.size()); ++i) {
    const auto order =
        compare_numbers(i < a.release.size() ? a.release[i] : "0", i < b.release.size() ? b.release[i] : "0");
    if (order != 0) return order;
  }
  if (a.pre.empty() != b.pre.empty()) {
    return a.pre.empty() ? std::strong_ordering::greater : std::strong_ordering::less;
  }
  for (std::size_t i = 0; i < std::min(a.pre.size(), b.pre.size()); ++i) {
    const auto order = compare_identifiers(a.pre[i], b.pre[i]);
    if (order != 0) return order;
  }
  return a.pre.size() <=> b.pre.size();
}

// --- PEP 440 -------------------------------------------------------------------------------------------------------

// A part that may be absent sorts before or after every value, as the part wants it.
struct Part {
  int rank = 0;  // -1: absent and below everything, 1: absent and above everything
  std::string letter;
  std::string_view number = "0";
};

std::strong_ordering compare(const Part& a, const Part& b) {
  if (a.rank != b.rank) return a.rank <=> b.rank;
  if (const auto order = a.letter.compare(b.letter); order != 0) return order <=> 0;
  return compare_numbers(a.number, b.number);
}

struct Pep440 {
  std::string_view epoch = "0";
  std::vector<std::string_view> release;
  Part pre, post, dev;
  std::string local;
};

// Takes "[-_.]?(one of names)[-_.]?[0-9]*" from the front of `text`, which is in lower case.
bool take_part(std::string_view& text, std::initializer_list<std::pair<std::string_view, std::string_view>> names,
               Part& out) {
  auto rest = text;
  const auto skip_separator = [&rest] {
    if (!rest.empty() && (rest.front() == '-' || rest.front() == '_' || rest.front() == '.')) rest.remove_prefix(1);
  };
  skip_separator();
  const auto found = std::ranges::find_if(names, [&](const auto& name) { return rest.starts_with(name.first); });
  if (found == names.end()) return false;
  rest.remove_prefix(found->first.size());
  auto after_name = rest;
  skip_separator();
  std::size_t digits = 0;
  while (digits < rest.size() && is_digit(rest[digits])) ++digits;
  out = {.rank = 0, .letter = std::string(found->second), .number = digits > 0 ? rest.substr(0, digits) : "0"};
  text = digits > 0 ? rest.substr(digits) : after_name;
  return true;
}

// `text` is in lower case, trimmed, and outlives the result.
std::optional<Pep440> parse_pep440(std::string_view text) {
  Pep440 out;
  if (const auto plus = text.find('+'); plus != std::string_view::npos) {
    out.local = text.substr(plus + 1);
    text = text.substr(0, plus);
  }
  if (text.starts_with('v')) text.remove_prefix(1);
  if (const auto mark = text.find('!'); mark != std::string_view::npos) {
    out.epoch = text.substr(0, mark);
    text.remove_prefix(mark + 1);
    if (!all_digits(out.epoch)) return std::nullopt;
  }
  std::size_t end = 0;
  while (end < text.size() &&
         (is_digit(text[end]) || (text[end] == '.' && end + 1 < text.size() && is_digit(text[end + 1]))))
    ++end;
  out.release = split(text.substr(0, end), '.');
  if (!std::ranges::all_of(out.release, all_digits)) return std::nullopt;
  while (out.release.size() > 1 && compare_numbers(out.release.back(), "0") == 0) out.release.pop_back();
  text.remove_prefix(end);
  const bool has_pre = take_part(text,
                                 {{"alpha", "a"},
                                  {"a", "a"},
                                  {"beta", "b"},
                                  {"b", "b"},
                                  {"preview", "rc"},
                                  {"pre", "rc"},
                                  {"rc", "rc"},
                                  {"c", "rc"}},
                                 out.pre);
  bool has_post = take_part(text, {{"post", ""}, {"rev", ""}, {"r", ""}}, out.post);
  if (!has_post && text.size() > 1 && text.front() == '-' && is_digit(text[1])) {
    // "1.0-1" is a post release without the word.
    std::size_t digits = 1;
    while (digits < text.size() && is_digit(text[digits])) ++digits;
    out.post = {.rank = 0, .letter = "", .number = text.substr(1, digits - 1)};
    text.remove_prefix(digits);
    has_post = true;
  }
  const bool has_dev = take_part(text, {{"dev", ""}}, out.dev);
  if (!text.empty()) return std::nullopt;
  // A development release of a final version comes before its pre-releases, and every pre-release before the final one.
  if (!has_pre) out.pre.rank = has_dev && !has_post ? -1 : 1;
  if (!has_post) out.post.rank = -1;
  if (!has_dev) out.dev.rank = 1;
  return out;
}

std::strong_ordering compare(const Pep440& a, const Pep440& b) {
  if (const auto order = compare_numbers(a.epoch, b.epoch); order != 0) return order;
  for (std::size_t i = 0; i < std::max(a.release.size(), b.release.size()); ++i) {
    const auto order =
        compare_numbers(i < a.release.size() ? a.release[i] : "0", i < b.release.size() ? b.release[i] : "0");
    if (order != 0) return order;
  }
  if (const auto order = compare(a.pre, b.pre); order != 0) return order;
  if (const auto order = compare(a.post, b.post); order != 0) return order;
  if (const auto order = compare(a.dev, b.dev); order != 0) return order;
  return a.local.compare(b.local) <=> 0;
}

template <typename Version>
std::strong_ordering compare_parsed(const std::optional<Version>& a, const std::optional<Version>& b,
                                    std::string_view a_text, std::string_view b_text) {
  if (a && b) return compare(*a, *b);
  if (a.has_value() != b.has_value()) return a ? std::strong_ordering::greater : std::strong_ordering::less;
  return a_text.compare(b_text) <=> 0;
}

}  // namespace

std::strong_ordering compare_versions(Ecosystem ecosystem, std::string_view a, std::string_view b) {
  if (ecosystem != Ecosystem::kPyPI) return compare_parsed(parse_semantic(a), parse_semantic(b), a, b);
  const auto lower_a = to_lower(trim(a));
  const auto lower_b = to_lower(trim(b));
  return compare_parsed(parse_pep440(lower_a), parse_pep440(lower_b), lower_a, lower_b);
}

}  // namespace mayfly::scan
