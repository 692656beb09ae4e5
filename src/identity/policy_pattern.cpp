#include "identity/policy_pattern.h"

#include <algorithm>

#include "base/encoding.h"

namespace mayfly::identity {
namespace {

constexpr char16_t kAnyRun = 0x100;
constexpr char16_t kAnyOne = 0x101;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

char16_t symbol(char c) { return static_cast<unsigned char>(c); }

// Only the last `*` is ever gone back to: once what follows an earlier one has matched, a later match of it cannot
// help.
bool glob(std::u16string_view pattern, std::string_view text, bool ignore_case) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::u16string_view::npos;
  std::size_t from = 0;
  while (t < text.size()) {
    const char c = ignore_case ? lower(text[t]) : text[t];
    if (p < pattern.size() && (pattern[p] == kAnyOne || pattern[p] == symbol(c))) {
      ++p;
      ++t;
    } else if (p < pattern.size() && pattern[p] == kAnyRun) {
      star = p++;
      from = t;
    } else if (star != std::u16string_view::npos) {
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == kAnyRun) ++p;
  return p == pattern.size();
}

bool equal(std::string_view a, std::string_view b, bool ignore_case) { return ignore_case ? iequals(a, b) : a == b; }

}  // namespace

void Context::set(std::string_view key, std::string value) {
  std::vector<std::string> values;
  values.push_back(std::move(value));
  set(key, std::move(values));
}

void Context::set(std::string_view key, std::vector<std::string> values) {
  auto name = to_lower(key);
  for (auto& [present, old] : keys_) {
    if (present == name) {
      old = std::move(values);
      return;
    }
  }
  keys_.emplace_back(std::move(name), std::move(values));
}

const std::vector<std::string>* Context::find(std::string_view lower_key) const {
  for (const auto& [key, values] : keys_) {
    if (key == lower_key) return &values;
  }
  return nullptr;
}

Result<Pattern::Piece> Pattern::read_variable(std::string_view inside) {
  Piece piece;
  if (inside == "*" || inside == "?" || inside == "$") {
    piece.symbols = Symbols(1, symbol(inside.front()));
    return piece;
  }
  const auto comma = inside.find(',');
  piece.variable = to_lower(trim(inside.substr(0, comma)));
  if (comma != std::string_view::npos) {
    const auto fallback = trim(inside.substr(comma + 1));
    if (fallback.size() < 2 || fallback.front() != '\'' || fallback.back() != '\'') {
      return fail(ErrorCode::kInvalid, "the default value of a policy variable stands in single quotes");
    }
    piece.otherwise = std::string(fallback.substr(1, fallback.size() - 2));
  }
  const bool valid = !piece.variable.empty() && std::ranges::all_of(piece.variable, [](char c) {
    return c > ' ' && c != '{' && c != '}' && c != '$' && c != '*' && c != '?' && c != '\'';
  });
  if (!valid) return fail(ErrorCode::kInvalid, "a policy variable is malformed");
  return piece;
}

Result<Pattern> Pattern::compile(std::string_view text, Options options) {
  Pattern pattern;
  pattern.text_ = text;
  pattern.options_ = options;
  Symbols run;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (options.variables && text.substr(i).starts_with("${")) {
      const auto end = text.find('}', i);
      if (end == std::string_view::npos) return fail(ErrorCode::kInvalid, "a policy variable is not closed by '}'");
      auto piece = read_variable(text.substr(i + 2, end - i - 2));
      if (!piece) return std::unexpected(std::move(piece.error()));
      i = end;
      if (piece->variable.empty()) {
        run += piece->symbols;
        continue;
      }
      if (!run.empty()) pattern.pieces_.push_back({.symbols = std::exchange(run, {})});
      pattern.pieces_.push_back(std::move(*piece));
    } else if (options.wildcards && text[i] == '*') {
      if (run.empty() || run.back() != kAnyRun) run += kAnyRun;
    } else if (options.wildcards && text[i] == '?') {
      run += kAnyOne;
    } else {
      run += symbol(options.ignore_case ? lower(text[i]) : text[i]);
    }
  }
  if (!run.empty()) pattern.pieces_.push_back({.symbols = std::move(run)});
  pattern.choose_shape();
  return pattern;
}

void Pattern::choose_shape() {
  if (std::ranges::any_of(pieces_, [](const Piece& piece) { return !piece.variable.empty(); })) {
    shape_ = Shape::kVariables;
    return;
  }
  if (!pieces_.empty()) symbols_ = std::move(pieces_.front().symbols);
  pieces_.clear();
  const auto wild = std::ranges::find_if(symbols_, [](char16_t c) { return c >= kAnyRun; });
  for (auto it = symbols_.begin(); it != wild; ++it) literal_ += static_cast<char>(*it);
  if (wild == symbols_.end()) {
    shape_ = Shape::kLiteral;
  } else if (*wild == kAnyRun && wild + 1 == symbols_.end()) {
    shape_ = literal_.empty() ? Shape::kEverything : Shape::kPrefix;
  } else {
    shape_ = Shape::kGlob;
  }
}

void Pattern::append_text(std::string_view text, Symbols& out) const {
  for (const char c : text) out += symbol(options_.ignore_case ? lower(c) : c);
}

bool Pattern::expand(const Context& context, Symbols& out) const {
  for (const auto& piece : pieces_) {
    if (piece.variable.empty()) {
      out += piece.symbols;
      continue;
    }
    const auto* values = context.find(piece.variable);
    // What a request says never acts as a wildcard, and a key of several values stands for none of them.
    if (values != nullptr && values->size() == 1) {
      append_text(values->front(), out);
    } else if (piece.otherwise) {
      append_text(*piece.otherwise, out);
    } else {
      return false;
    }
  }
  return true;
}

bool Pattern::resolvable(const Context& context) const {
  Symbols ignored;
  return shape_ != Shape::kVariables || expand(context, ignored);
}

bool Pattern::matches(std::string_view text, const Context& context) const {
  switch (shape_) {
    case Shape::kEverything:
      return true;
    case Shape::kLiteral:
      return equal(text, literal_, options_.ignore_case);
    case Shape::kPrefix:
      return text.size() >= literal_.size() && equal(text.substr(0, literal_.size()), literal_, options_.ignore_case);
    case Shape::kGlob:
      return glob(symbols_, text, options_.ignore_case);
    case Shape::kVariables:
      break;
  }
  Symbols expanded;
  return expand(context, expanded) && glob(expanded, text, options_.ignore_case);
}

}  // namespace mayfly::identity
