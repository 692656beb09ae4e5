// Reads a pattern token by token in the service's order, so that what is wrong with it is found where the service finds
// it.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "pattern/compiled.h"
#include "pattern/tokens.h"

namespace mayfly::pattern {
namespace {

using Kind = Condition::Kind;
using Fields = std::map<std::string, std::vector<Condition>>;

constexpr std::size_t kMostBranches = 1'000;
constexpr std::string_view kOr = "$or";
constexpr std::string_view kTooComplex =
    "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard "
    "character";
// Names of operators, now and to come, which are no fields inside "$or".
constexpr std::array<std::string_view, 24> kReserved = {"exactly",
                                                        "equals-ignore-case",
                                                        "prefix",
                                                        "suffix",
                                                        "anything-but",
                                                        "exists",
                                                        "wildcard",
                                                        "numeric",
                                                        "cidr",
                                                        "=",
                                                        "<",
                                                        "<=",
                                                        ">",
                                                        ">=",
                                                        "regex",
                                                        "not-wildcard",
                                                        "not-equals-ignore-case",
                                                        "date-after",
                                                        "date-on-or-after",
                                                        "date-before",
                                                        "date-on-or-before",
                                                        "in-date-range",
                                                        "ip-address-in-range",
                                                        "ip-address-not-in-range"};

Condition with_text(Kind kind, std::string text) {
  Condition condition;
  condition.kind = kind;
  condition.text = std::move(text);
  return condition;
}
Condition with_number(double number) {
  Condition condition;
  condition.kind = Kind::kNumber;
  condition.low = condition.high = number;
  return condition;
}

class Compiler {
 public:
  explicit Compiler(std::string_view text) : tokens_(text) {}
  Result<Compiled> run();

 private:
  using Parsed = std::optional<Condition>;

  // Notes the error at the place where the parser stands; the first one counts.
  bool barf(std::string_view message);
  bool barf_twice(std::string_view message);
  // An error without a place.
  bool refuse(const std::string& message);
  bool parse_object(const std::string& path, bool inside_or);
  bool parse_or(const std::string& path);
  bool parse_values(const std::string& path);
  bool parse_value(Token token, std::vector<Condition>& out);
  Parsed parse_expression();
  Parsed parse_affix(Kind kind, Kind fold_kind, std::string_view word);
  Parsed parse_exactly();
  Parsed parse_exists();
  Parsed parse_cidr_expression();
  Parsed parse_equals_ignore_case();
  Parsed parse_wildcard_expression();
  Parsed parse_anything_but();
  bool parse_excluded_list(std::vector<Condition>& out);
  bool parse_excluded_values(Token token, std::string_view op, std::vector<Condition>& out);
  std::optional<Condition> excluded_text(std::string_view op, bool list);
  Parsed parse_numeric();
  Parsed parse_range_top(Token token, Condition range, const std::string& low);
  bool only_key();
  bool set_number(double& number, const std::string& text);
  bool check_wildcards();

  Tokens tokens_;
  std::string error_;
  std::vector<Fields> branches_;
};

bool Compiler::barf(std::string_view message) {
  if (error_.empty()) error_ = tokens_.error().empty() ? std::string(message) + tokens_.place() : tokens_.error();
  return false;
}

// In lists the service takes an error for a message and adds the place once more.
bool Compiler::barf_twice(std::string_view message) {
  if (tokens_.error().empty()) return barf(std::string(message) + tokens_.place());
  if (error_.empty()) error_ = tokens_.error() + tokens_.place();
  return false;
}

bool Compiler::refuse(const std::string& message) {
  if (error_.empty()) error_ = tokens_.error().empty() ? message : tokens_.error();
  return false;
}

Result<Compiled> Compiler::run() {
  bool well = tokens_.next() == Token::kStartObject || barf("Filter is not an object");
  well = well && parse_object("", false) && check_wildcards();
  if (!well) return fail(ErrorCode::kInvalid, error_);
  Compiled compiled;
  for (auto& fields : branches_) {
    Branch branch;
    for (auto& [path, conditions] : fields) branch.push_back(Clause{.path = path, .conditions = std::move(conditions)});
    compiled.branches.push_back(std::move(branch));
  }
  return compiled;
}

bool Compiler::parse_object(const std::string& path, bool inside_or) {
  bool any = false;
  for (;;) {
    const Token token = tokens_.next();
    if (token == Token::kEndObject) break;
    if (token != Token::kFieldName) return barf("Filter is not an object");
    any = true;
    const std::string step = tokens_.name();
    if (step == kOr) {
      if (!parse_or(path)) return false;
      continue;
    }
    if (inside_or && std::find(kReserved.begin(), kReserved.end(), step) != kReserved.end())
      return barf(step + " is Ruler reserved fieldName which cannot be used inside $or.");
    const std::string inner = path.empty() ? step : path + "." + step;
    switch (tokens_.next()) {
      case Token::kStartObject:
        if (!parse_object(inner, inside_or)) return false;
        break;
      case Token::kStartArray:
        if (!parse_values(inner)) return false;
        break;
      default:
        return barf(fmt::format("\"{}\" must be an object or an array", step));
    }
  }
  return any || barf("Empty objects are not allowed");
}

// Each alternative is read against a copy of the branches so far; the branches afterwards are those of all of them.
bool Compiler::parse_or(const std::string& path) {
  std::vector<Fields> before = std::move(branches_);
  if (before.empty()) before.emplace_back();
  std::vector<Fields> all;
  if (tokens_.next() != Token::kStartArray) return barf("It must be an Array followed with $or.");
  std::size_t alternatives = 0;
  for (;;) {
    const Token token = tokens_.next();
    if (token == Token::kEndArray) break;
    if (token != Token::kStartObject) return barf("Only JSON object is allowed in array of $or relationship.");
    ++alternatives;
    branches_ = before;
    if (!parse_object(path, true)) return false;
    if (all.size() + branches_.size() > kMostBranches)
      return refuse(fmt::format("Rule is too complex - $or makes more than {} combinations", kMostBranches));
    for (auto& fields : branches_) all.push_back(std::move(fields));
  }
  if (alternatives < 2) return barf("There must have at least 2 Objects in $or relationship.");
  branches_ = std::move(all);
  return true;
}

bool Compiler::parse_values(const std::string& path) {
  std::vector<Condition> conditions;
  for (;;) {
    const Token token = tokens_.next();
    if (token == Token::kEndArray) break;
    if (!parse_value(token, conditions)) return false;
  }
  if (conditions.empty()) return barf("Empty arrays are not allowed");
  if (branches_.empty()) branches_.emplace_back();
  for (auto& fields : branches_) fields[path] = conditions;
  return true;
}

bool Compiler::parse_value(Token token, std::vector<Condition>& out) {
  switch (token) {
    case Token::kStartObject: {
      auto condition = parse_expression();
      if (condition) out.push_back(std::move(*condition));
      return condition.has_value();
    }
    case Token::kString: {
      const std::string text = tokens_.text();
      if (!tokens_.error().empty()) return barf("");
      out.push_back(with_text(Kind::kEqual, text));
      const auto address = parse_address(text);
      if (!address) return true;
      Condition condition;
      condition.kind = Kind::kAddress;
      condition.addresses.low = condition.addresses.high = *address;
      out.back() = std::move(condition);
      return true;
    }
    case Token::kNumber:
      if (const auto number = comparable_number(tokens_.text())) {
        out.push_back(with_number(*number));
      } else {
        out.push_back(with_text(Kind::kText, tokens_.text()));
      }
      return true;
    case Token::kNull:
    case Token::kTrue:
    case Token::kFalse:
      out.push_back(with_text(Kind::kText, tokens_.text()));
      return true;
    default:
      return barf("Match value must be String, number, true, false, or null");
  }
}

bool Compiler::only_key() {
  return tokens_.next() == Token::kEndObject || barf("Only one key allowed in match expression");
}

Compiler::Parsed Compiler::parse_expression() {
  if (tokens_.next() != Token::kFieldName) {
    barf("Match expression name not found");
    return std::nullopt;
  }
  const std::string name = tokens_.name();
  if (name == "exactly") return parse_exactly();
  if (name == "prefix") return parse_affix(Kind::kPrefix, Kind::kPrefixFold, name);
  if (name == "suffix") return parse_affix(Kind::kSuffix, Kind::kSuffixFold, name);
  if (name == "numeric") return parse_numeric();
  if (name == "anything-but") return parse_anything_but();
  if (name == "exists") return parse_exists();
  if (name == "cidr") return parse_cidr_expression();
  if (name == "equals-ignore-case") return parse_equals_ignore_case();
  if (name == "wildcard") return parse_wildcard_expression();
  barf("Unrecognized match type " + name);
  return std::nullopt;
}

Compiler::Parsed Compiler::parse_exactly() {
  if (tokens_.next() != Token::kString) {
    barf("exact match pattern must be a string");
    return std::nullopt;
  }
  auto condition = with_text(Kind::kEqual, tokens_.text());
  if (!only_key()) return std::nullopt;
  return condition;
}

Compiler::Parsed Compiler::parse_affix(Kind kind, Kind fold_kind, std::string_view word) {
  Token token = tokens_.next();
  const bool fold = token == Token::kStartObject;
  if (fold) {
    const char* expression =
        kind == Kind::kPrefix ? "Prefix expression name not found" : "Suffix expression name not found";
    if (tokens_.next() != Token::kFieldName) return barf(expression), std::nullopt;
    if (tokens_.name() != "equals-ignore-case") {
      barf(fmt::format("Unsupported {} pattern: {}", word, tokens_.name()));
      return std::nullopt;
    }
    token = tokens_.next();
  }
  if (token != Token::kString) {
    barf(fmt::format("{} match pattern must be a string", fold ? "equals-ignore-case" : word));
    return std::nullopt;
  }
  auto condition = fold ? with_text(fold_kind, fold_case(tokens_.text())) : with_text(kind, tokens_.text());
  if (!only_key() || (fold && !only_key())) return std::nullopt;
  return condition;
}

Compiler::Parsed Compiler::parse_exists() {
  const Token token = tokens_.next();
  if (token != Token::kTrue && token != Token::kFalse) {
    barf("exists match pattern must be either true or false.");
    return std::nullopt;
  }
  if (!only_key()) return std::nullopt;
  return with_text(token == Token::kTrue ? Kind::kExists : Kind::kAbsent, "");
}

Compiler::Parsed Compiler::parse_cidr_expression() {
  if (tokens_.next() != Token::kString) {
    barf("prefix match pattern must be a string");  // the service's words
    return std::nullopt;
  }
  auto range = parse_cidr(tokens_.text());
  if (!range) {
    refuse(range.error().message);
    return std::nullopt;
  }
  if (!only_key()) return std::nullopt;
  Condition condition;
  condition.kind = Kind::kAddress;
  condition.addresses = *range;
  return condition;
}

Compiler::Parsed Compiler::parse_equals_ignore_case() {
  if (tokens_.next() != Token::kString) {
    barf("equals-ignore-case match pattern must be a string");
    return std::nullopt;
  }
  auto condition = with_text(Kind::kEqualFold, fold_case(tokens_.text()));
  if (!only_key()) return std::nullopt;
  return condition;
}

Compiler::Parsed Compiler::parse_wildcard_expression() {
  if (tokens_.next() != Token::kString) {
    barf("wildcard match pattern must be a string");
    return std::nullopt;
  }
  auto wildcard = Wildcard::parse(tokens_.text());
  if (!wildcard) {
    barf(wildcard.error().message);
    return std::nullopt;
  }
  if (!only_key()) return std::nullopt;
  auto condition = with_text(Kind::kWildcard, "");
  condition.wildcard = std::move(*wildcard);
  return condition;
}

Compiler::Parsed Compiler::parse_anything_but() {
  constexpr std::string_view kMany = "Too many elements in numeric expression";  // the service's words
  Token token = tokens_.next();
  std::string op;
  if (token == Token::kStartObject) {
    if (tokens_.next() != Token::kFieldName) return barf("Anything-But expression name not found"), std::nullopt;
    op = tokens_.name();
    if (op != "equals-ignore-case" && op != "prefix" && op != "suffix" && op != "wildcard")
      return barf("Unsupported anything-but pattern: " + op), std::nullopt;
    token = tokens_.next();
  }
  if (token != Token::kStartArray && token != Token::kString && token != Token::kNumber)
    return barf("Value of anything-but must be an array or single string/number value."), std::nullopt;
  auto condition = with_text(Kind::kAnythingBut, "");
  if (!op.empty()) {
    if (!parse_excluded_values(token, op, condition.excluded)) return std::nullopt;
  } else if (token == Token::kStartArray) {
    if (!parse_excluded_list(condition.excluded)) return std::nullopt;
  } else if (token == Token::kString) {
    condition.excluded.push_back(with_text(Kind::kEqual, tokens_.text()));
  } else {
    double number = 0;
    const std::string text = tokens_.text();
    if (!set_number(number, text)) return refuse("Cannot compare number : " + text), std::nullopt;
    condition.excluded.push_back(with_number(number));
  }
  if (tokens_.next() != Token::kEndObject) return barf(kMany), std::nullopt;
  if (!op.empty() && tokens_.next() != Token::kEndObject) return barf(kMany), std::nullopt;
  return condition;
}

bool Compiler::parse_excluded_list(std::vector<Condition>& out) {
  bool strings = false;
  bool numbers = false;
  for (;;) {
    const Token token = tokens_.next();
    if (token == Token::kEndArray) break;
    if (token == Token::kString) {
      out.push_back(with_text(Kind::kEqual, tokens_.text()));
      strings = true;
    } else if (token == Token::kNumber) {
      double number = 0;
      const std::string text = tokens_.text();
      if (!set_number(number, text)) return barf("Cannot compare number : " + text);
      out.push_back(with_number(number));
      numbers = true;
    } else {
      return barf_twice("Inside anything but list, start|null|boolean is not supported.");
    }
  }
  if (strings == numbers)
    return barf("Inside anything but list, either all values are number or string, mixed type is not supported");
  return true;
}

// Of {"anything-but": {op: ..}}: one string or a list of them.
bool Compiler::parse_excluded_values(Token token, std::string_view op, std::vector<Condition>& out) {
  const bool list = token == Token::kStartArray;
  if (list) token = tokens_.next();
  for (; token != Token::kEndArray; token = tokens_.next()) {
    if (token != Token::kString) {
      std::string message = "prefix/suffix match pattern must be a string";
      if (op == "wildcard") message = "wildcard match pattern must be a string";
      if (op == "equals-ignore-case")
        message = "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.";
      return list ? barf_twice(message) : barf(message);
    }
    auto condition = excluded_text(op, list);
    if (!condition) return false;
    out.push_back(std::move(*condition));
    if (!list) break;
  }
  if (op != "wildcard") return true;
  // What is wrong with a wildcard is found after the end of the list.
  for (const auto& condition : out) {
    auto wildcard = Wildcard::parse(condition.text);
    if (!wildcard) return barf(wildcard.error().message);
  }
  for (auto& condition : out) condition.wildcard = std::move(*Wildcard::parse(std::exchange(condition.text, "")));
  return true;
}

std::optional<Condition> Compiler::excluded_text(std::string_view op, bool list) {
  const std::string text = tokens_.text();
  if (!tokens_.error().empty()) return barf(""), std::nullopt;
  if (text.empty() && (op == "prefix" || op == "suffix")) {
    constexpr std::string_view kNone = "Null prefix/suffix not allowed";
    (void)(list ? barf_twice(kNone) : barf(kNone));
    return std::nullopt;
  }
  if (op == "prefix") return with_text(Kind::kPrefix, text);
  if (op == "suffix") return with_text(Kind::kSuffix, text);
  if (op == "equals-ignore-case") return with_text(Kind::kEqualFold, fold_case(text));
  return with_text(Kind::kWildcard, text);
}

bool Compiler::set_number(double& number, const std::string& text) {
  const auto comparable = comparable_number(text);
  if (comparable) number = *comparable;
  return comparable.has_value();
}

Compiler::Parsed Compiler::parse_numeric() {
  constexpr std::string_view kMany = "Too many elements in numeric expression";
  if (tokens_.next() != Token::kStartArray) return barf("Value of numeric must be an array."), std::nullopt;
  if (tokens_.next() != Token::kString) return barf("Invalid member in numeric match: " + tokens_.text()), std::nullopt;
  const std::string op = tokens_.text();
  Token token = tokens_.next();
  if (op != "=" && op != "<" && op != "<=" && op != ">" && op != ">=")
    return barf("Unrecognized numeric range operator: " + op), std::nullopt;
  if (token != Token::kNumber)
    return barf(fmt::format("Value of {} must be numeric", op == "=" ? "equals" : op)), std::nullopt;
  const std::string text = tokens_.text();
  token = tokens_.next();
  Condition range;
  range.kind = op == "=" ? Kind::kNumber : Kind::kRange;
  range.low = -std::numeric_limits<double>::infinity();
  range.high = std::numeric_limits<double>::infinity();
  range.open_low = op == ">";
  range.open_high = op == "<";
  if (token != Token::kEndArray) {
    if (op != ">" && op != ">=") return barf(kMany), std::nullopt;
    auto both = parse_range_top(token, std::move(range), text);
    if (both && tokens_.next() != Token::kEndObject) return barf(kMany), std::nullopt;
    return both;
  }
  double number = 0;
  if (!set_number(number, text)) return barf("Cannot compare number : " + text), std::nullopt;
  if (op[0] != '<') range.low = number;
  if (op[0] != '>') range.high = number;
  if (tokens_.next() != Token::kEndObject) return barf(kMany), std::nullopt;
  return range;
}

Compiler::Parsed Compiler::parse_range_top(Token token, Condition range, const std::string& low) {
  if (token != Token::kString) return barf("Bad value in numeric range: " + tokens_.text()), std::nullopt;
  const std::string op = tokens_.text();
  if (op != "<" && op != "<=") return barf("Bad numeric range operator: " + op), std::nullopt;
  range.open_high = op == "<";
  if (tokens_.next() != Token::kNumber) return barf(fmt::format("Value of {} must be numeric", op)), std::nullopt;
  const std::string high = tokens_.text();
  if (tokens_.next() != Token::kEndArray) return barf("Too many terms in numeric range expression"), std::nullopt;
  if (!set_number(range.low, low)) return barf("Cannot compare number : " + low), std::nullopt;
  if (!set_number(range.high, high)) return barf("Cannot compare number : " + high), std::nullopt;
  if (range.low >= range.high) return barf("Bottom must be less than top"), std::nullopt;
  return range;
}

// The service weighs all wildcards of one field together.
bool Compiler::check_wildcards() {
  for (const auto& fields : branches_) {
    for (const auto& [path, conditions] : fields) {
      std::vector<const Wildcard*> wildcards;
      for (const auto& condition : conditions) {
        if (condition.kind == Kind::kWildcard) wildcards.push_back(&condition.wildcard);
      }
      if (!wildcards.empty() && too_complex(wildcards)) return refuse(std::string(kTooComplex));
    }
  }
  return true;
}

}  // namespace

Result<Compiled> compile(std::string_view text) { return Compiler(text).run(); }

}  // namespace mayfly::pattern
