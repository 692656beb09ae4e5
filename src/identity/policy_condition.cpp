#include "identity/policy_condition.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/encoding.h"
#include "base/time_format.h"

namespace mayfly::identity {
namespace {

constexpr std::size_t kArnParts = 6;
constexpr std::string_view kIfExists = "IfExists";

// The first five colons separate; what follows belongs to the resource. Colons inside `${...}` separate nothing.
std::vector<std::string_view> arn_parts(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  bool in_variable = false;
  for (std::size_t i = 0; i < text.size() && parts.size() + 1 < kArnParts; ++i) {
    if (text.substr(i).starts_with("${")) in_variable = true;
    if (text[i] == '}') in_variable = false;
    if (text[i] == ':' && !in_variable) {
      parts.push_back(text.substr(start, i - start));
      start = i + 1;
    }
  }
  parts.push_back(text.substr(start));
  return parts;
}

Truth truth(bool value) { return value ? Truth::kTrue : Truth::kFalse; }

}  // namespace

const Condition::Form* Condition::find_form(std::string_view name) {
  using enum Type;
  using enum Compare;
  static constexpr std::array kForms = {
      Form{"StringEquals", kString, kEquals, false, false, false},
      Form{"StringNotEquals", kString, kEquals, true, false, false},
      Form{"StringEqualsIgnoreCase", kString, kEquals, false, false, true},
      Form{"StringNotEqualsIgnoreCase", kString, kEquals, true, false, true},
      Form{"StringLike", kString, kEquals, false, true, false},
      Form{"StringNotLike", kString, kEquals, true, true, false},
      Form{"NumericEquals", kNumeric, kEquals, false, false, false},
      Form{"NumericNotEquals", kNumeric, kEquals, true, false, false},
      Form{"NumericLessThan", kNumeric, kLess, false, false, false},
      Form{"NumericLessThanEquals", kNumeric, kLessEquals, false, false, false},
      Form{"NumericGreaterThan", kNumeric, kGreater, false, false, false},
      Form{"NumericGreaterThanEquals", kNumeric, kGreaterEquals, false, false, false},
      Form{"DateEquals", kDate, kEquals, false, false, false},
      Form{"DateNotEquals", kDate, kEquals, true, false, false},
      Form{"DateLessThan", kDate, kLess, false, false, false},
      Form{"DateLessThanEquals", kDate, kLessEquals, false, false, false},
      Form{"DateGreaterThan", kDate, kGreater, false, false, false},
      Form{"DateGreaterThanEquals", kDate, kGreaterEquals, false, false, false},
      Form{"Bool", kBool, kEquals, false, false, true},
      Form{"BinaryEquals", kBinary, kEquals, false, false, false},
      Form{"IpAddress", kIp, kEquals, false, false, false},
      Form{"NotIpAddress", kIp, kEquals, true, false, false},
      Form{"ArnEquals", kArn, kEquals, false, true, false},
      Form{"ArnLike", kArn, kEquals, false, true, false},
      Form{"ArnNotEquals", kArn, kEquals, true, true, false},
      Form{"ArnNotLike", kArn, kEquals, true, true, false},
      Form{"Null", kNull, kEquals, false, false, true},
  };
  const auto* found = std::ranges::find_if(kForms, [&](const Form& form) { return iequals(form.name, name); });
  return found == kForms.end() ? nullptr : found;
}

bool Condition::read_number(std::string_view text, double& out) {
  text = trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out, std::chars_format::fixed);
  return read.ec == std::errc() && read.ptr == text.data() + text.size() && !text.empty();
}

bool Condition::read_date(std::string_view text, double& out) {
  if (read_number(text, out)) return true;  // seconds of the epoch
  std::string full(text);
  if (full.size() == 10) full += "T00:00:00Z";
  const auto time = parse_iso8601(full);
  if (time) out = epoch_seconds(*time);
  return time.has_value();
}

Result<void> Condition::add_arn(const std::string& value, bool variables) {
  std::vector<Pattern> parts;
  for (const auto part : arn_parts(value)) {
    auto pattern = Pattern::compile(part, {.wildcards = true, .variables = variables});
    if (!pattern) return std::unexpected(std::move(pattern.error()));
    parts.push_back(std::move(*pattern));
  }
  const bool everything = parts.size() == 1 && parts.front().matches_everything();
  if (parts.size() != kArnParts && !everything) {
    // "arn:aws:sns:*" and its like: AWS takes them, and they match what their parts match.
    if (parts.empty() || !value.ends_with('*')) {
      return fail(ErrorCode::kInvalid, fmt::format("{} is not an ARN", value));
    }
    auto rest = Pattern::compile("*", {.variables = false});
    while (parts.size() < kArnParts) parts.push_back(*rest);
  }
  arns_.push_back(std::move(parts));
  return {};
}

Result<void> Condition::add_value(const std::string& value, const Form& form, bool variables) {
  double number = 0;
  switch (type_) {
    case Type::kString:
    case Type::kBool: {
      if (type_ == Type::kBool && !iequals(value, "true") && !iequals(value, "false")) {
        if (!variables || value.find("${") == std::string::npos) {
          return fail(ErrorCode::kInvalid, fmt::format("{} is no boolean", value));
        }
      }
      auto pattern = Pattern::compile(
          value, {.wildcards = form.wildcards, .variables = variables, .ignore_case = form.ignore_case});
      if (!pattern) return std::unexpected(std::move(pattern.error()));
      patterns_.push_back(std::move(*pattern));
      return {};
    }
    case Type::kNumeric:
      if (!read_number(value, number)) return fail(ErrorCode::kInvalid, fmt::format("{} is no number", value));
      numbers_.push_back(number);
      return {};
    case Type::kDate:
      if (!read_date(value, number)) return fail(ErrorCode::kInvalid, fmt::format("{} is no date", value));
      numbers_.push_back(number);
      return {};
    case Type::kBinary: {
      auto bytes = base64_decode(value);
      if (!bytes) return fail(ErrorCode::kInvalid, fmt::format("{} is not base64", value));
      binaries_.push_back(std::move(*bytes));
      return {};
    }
    case Type::kIp: {
      auto range = parse_network(value);
      if (!range) return fail(ErrorCode::kInvalid, fmt::format("{} is no IP range", value));
      ranges_.push_back(std::move(*range));
      return {};
    }
    case Type::kArn:
      return add_arn(value, variables);
    case Type::kNull:
      if (!iequals(value, "true") && !iequals(value, "false")) {
        return fail(ErrorCode::kInvalid, fmt::format("{} is no boolean", value));
      }
      (iequals(value, "true") ? expects_null_ : expects_value_) = true;
      return {};
  }
  return fail(ErrorCode::kInternal, "unknown condition type");
}

Result<Condition> Condition::compile(std::string_view name, std::string_view key, std::span<const std::string> values,
                                     bool variables) {
  Condition out;
  out.name_ = name;
  out.shown_key_ = key;
  out.key_ = to_lower(key);
  auto bare = name;
  const auto has_prefix = [&](std::string_view prefix) {
    return bare.size() > prefix.size() && iequals(bare.substr(0, prefix.size()), prefix);
  };
  if (has_prefix("ForAllValues:")) {
    out.quantifier_ = Quantifier::kAll;
    bare.remove_prefix(13);
  } else if (has_prefix("ForAnyValue:")) {
    out.quantifier_ = Quantifier::kAny;
    bare.remove_prefix(12);
  }
  if (bare.size() > kIfExists.size() && iequals(bare.substr(bare.size() - kIfExists.size()), kIfExists)) {
    out.if_exists_ = true;
    bare.remove_suffix(kIfExists.size());
  }
  const auto* form = find_form(bare);
  const bool bad_null = form != nullptr && form->type == Type::kNull && out.if_exists_;
  if (form == nullptr || bad_null) {
    return fail(ErrorCode::kInvalid, fmt::format("Invalid Condition type : {}", name));
  }
  if (key.empty()) return fail(ErrorCode::kInvalid, "a condition needs a key");
  if (values.empty()) return fail(ErrorCode::kInvalid, fmt::format("the condition on {} has no value", key));
  out.type_ = form->type;
  out.compare_ = form->compare;
  out.negated_ = form->negated;
  for (const auto& value : values) {
    if (auto added = out.add_value(value, *form, variables); !added) return std::unexpected(std::move(added.error()));
  }
  return out;
}

bool Condition::arn_matches(std::string_view value, const Context& context) const {
  const auto parts = arn_parts(value);
  return std::ranges::any_of(arns_, [&](const std::vector<Pattern>& patterns) {
    if (patterns.size() == 1) return true;  // "*"
    if (parts.size() != kArnParts) return false;
    for (std::size_t i = 0; i < kArnParts; ++i) {
      if (!patterns[i].matches(parts[i], context)) return false;
    }
    return true;
  });
}

bool Condition::number_matches(double value) const {
  return std::ranges::any_of(numbers_, [&](double wanted) {
    switch (compare_) {
      case Compare::kEquals:
        return value == wanted;
      case Compare::kLess:
        return value < wanted;
      case Compare::kLessEquals:
        return value <= wanted;
      case Compare::kGreater:
        return value > wanted;
      case Compare::kGreaterEquals:
        return value >= wanted;
    }
    return false;
  });
}

Truth Condition::compare_one(const std::string& value, const Context& context) const {
  double number = 0;
  switch (type_) {
    case Type::kString:
    case Type::kBool:
      return truth(std::ranges::any_of(patterns_, [&](const Pattern& p) { return p.matches(value, context); }));
    case Type::kNumeric:
      return read_number(value, number) ? truth(number_matches(number)) : Truth::kUnclear;
    case Type::kDate:
      return read_date(value, number) ? truth(number_matches(number)) : Truth::kUnclear;
    case Type::kBinary: {
      const auto bytes = base64_decode(value);
      return bytes ? truth(std::ranges::find(binaries_, *bytes) != binaries_.end()) : Truth::kUnclear;
    }
    case Type::kIp: {
      const auto address = parse_network(value);
      if (!address) return Truth::kUnclear;
      return truth(std::ranges::any_of(ranges_, [&](const Network& range) { return within(*address, range); }));
    }
    case Type::kArn:
      return truth(arn_matches(value, context));
    case Type::kNull:
      break;
  }
  return Truth::kUnclear;
}

Truth Condition::evaluate(const Context& context) const {
  const auto* values = context.find(key_);
  const bool missing = values == nullptr || values->empty();
  if (type_ == Type::kNull) return truth((missing && expects_null_) || (!missing && expects_value_));
  if (missing) {
    if (if_exists_ || quantifier_ == Quantifier::kAll) return Truth::kTrue;
    return truth(negated_ && quantifier_ == Quantifier::kNone);
  }
  // Without a quantifier a key has one value. Where it has several, one that fits is enough, and a negated operator
  // wants that none does.
  const bool all = quantifier_ == Quantifier::kAll || (quantifier_ == Quantifier::kNone && negated_);
  bool unclear = false;
  for (const auto& value : *values) {
    const auto one = compare_one(value, context);
    if (one == Truth::kUnclear) {
      unclear = true;
      continue;
    }
    const bool fits = (one == Truth::kTrue) != negated_;
    if (fits != all) return truth(fits);  // decides, whatever could not be read
  }
  return unclear ? Truth::kUnclear : truth(all);
}

}  // namespace mayfly::identity
