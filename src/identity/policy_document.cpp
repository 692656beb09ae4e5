#include "identity/policy_document.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <span>

#include "base/encoding.h"
#include "identity/policy_position.h"

namespace mayfly::identity {
namespace {

bool all_digits(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_account(std::string_view text) { return text.size() == 12 && all_digits(text); }

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// What is wrong with a document, and the path of the part that is.
struct Wrong {
  std::string reason;
  std::string path;
};
template <typename T>
using Checked = std::expected<T, Wrong>;

std::unexpected<Wrong> wrong(std::string reason, std::string path) {
  return std::unexpected(Wrong{.reason = std::move(reason), .path = std::move(path)});
}

// A string, a boolean, a number, or a list of them, as texts.
Checked<std::vector<std::string>> texts(const json::value& value, const std::string& path) {
  std::vector<std::string> out;
  const auto add = [&](const json::value& one) {
    if (one.is_string()) {
      out.emplace_back(one.get_string());
    } else if (one.is_bool() || one.is_number()) {
      out.push_back(to_json(one));
    } else {
      return false;
    }
    return true;
  };
  if (!value.is_array()) {
    if (!add(value)) return wrong("Syntax errors in policy.", path);
    return out;
  }
  std::size_t index = 0;
  for (const auto& one : value.get_array()) {
    if (!add(one)) return wrong("Syntax errors in policy.", fmt::format("{}[{}]", path, index));
    ++index;
  }
  return out;
}

// Builds statements out of a parsed document.
class Reader {
 public:
  Reader(PolicyKind kind, bool variables) : kind_(kind), variables_(variables) {}

  Checked<Statement> statement(const json::value& value, std::size_t index, const std::string& path);

 private:
  Checked<void> members(const json::object& object, const std::string& path) const;
  Checked<void> sid(const json::object& object, Statement& out, const std::string& path);
  Checked<void> effect(const json::object& object, Statement& out, const std::string& path) const;
  Checked<void> actions(const json::object& object, Statement& out, const std::string& path) const;
  Checked<void> resources(const json::object& object, Statement& out, const std::string& path) const;
  Checked<void> principals(const json::object& object, Statement& out, const std::string& path) const;
  Checked<void> principal_values(std::string_view type, const std::vector<std::string>& values, Statement& out,
                                 const std::string& path) const;
  Checked<void> conditions(const json::object& object, Statement& out, const std::string& path) const;

  PolicyKind kind_;
  bool variables_;
  std::set<std::string> sids_;
};

Checked<void> Reader::members(const json::object& object, const std::string& path) const {
  static constexpr std::array<std::string_view, 9> kKnown = {
      "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"};
  for (const auto& member : object) {
    const std::string_view name(member.key());
    if (std::ranges::find(kKnown, name) == kKnown.end()) {
      return wrong("Syntax errors in policy.", fmt::format("{}.{}", path, name));
    }
    const bool principal = name == "Principal" || name == "NotPrincipal";
    if (kind_ == PolicyKind::kIdentity && principal) {
      return wrong("Policy document should not specify a principal.", fmt::format("{}.{}", path, name));
    }
    if (kind_ == PolicyKind::kTrust && (name == "Resource" || name == "NotResource")) {
      return wrong("Has prohibited field Resource", fmt::format("{}.{}", path, name));
    }
  }
  if (kind_ != PolicyKind::kIdentity && !object.contains("Principal") && !object.contains("NotPrincipal")) {
    return wrong("Missing required field Principal", path);
  }
  return {};
}

Checked<void> Reader::sid(const json::object& object, Statement& out, const std::string& path) {
  const auto* value = object.if_contains("Sid");
  if (value == nullptr) return {};
  if (!value->is_string()) return wrong("Syntax errors in policy.", path + ".Sid");
  out.sid = std::string(value->get_string());
  if (kind_ != PolicyKind::kResource && !std::ranges::all_of(out.sid, is_alphanumeric)) {
    return wrong(
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
        "[0-9A-Za-z]*",
        path + ".Sid");
  }
  if (!out.sid.empty() && !sids_.insert(out.sid).second) {
    return wrong("Statement IDs (SID) in a single policy must be unique.", path + ".Sid");
  }
  return {};
}

Checked<void> Reader::effect(const json::object& object, Statement& out, const std::string& path) const {
  const auto* value = object.if_contains("Effect");
  if (value == nullptr) return wrong("Missing required field Effect", path);
  if (!value->is_string()) return wrong("Syntax errors in policy.", path + ".Effect");
  const std::string_view text(value->get_string());
  if (text != "Allow" && text != "Deny") return wrong(fmt::format("Invalid effect: {}", text), path + ".Effect");
  out.allow = text == "Allow";
  return {};
}

Checked<void> Reader::actions(const json::object& object, Statement& out, const std::string& path) const {
  const auto* plain = object.if_contains("Action");
  const auto* negated = object.if_contains("NotAction");
  if ((plain == nullptr) == (negated == nullptr)) {
    return wrong(plain == nullptr ? "Policy statement must contain actions." : "Syntax errors in policy.", path);
  }
  out.not_action = negated != nullptr;
  const auto where = path + (out.not_action ? ".NotAction" : ".Action");
  auto values = texts(out.not_action ? *negated : *plain, where);
  if (!values) return std::unexpected(std::move(values.error()));
  if (values->empty()) return wrong("Policy statement must contain actions.", where);
  for (const auto& value : *values) {
    if (!is_action_pattern(value)) {
      return wrong("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.", where);
    }
    if (kind_ == PolicyKind::kTrust && !value.starts_with("sts:")) {
      return wrong("AssumeRole policy may only specify STS AssumeRole actions.", where);
    }
    auto pattern = Pattern::compile(value, {.variables = false, .ignore_case = true});
    out.actions.push_back(std::move(*pattern));
  }
  return {};
}

Checked<void> Reader::resources(const json::object& object, Statement& out, const std::string& path) const {
  const auto* plain = object.if_contains("Resource");
  const auto* negated = object.if_contains("NotResource");
  if (plain == nullptr && negated == nullptr && kind_ == PolicyKind::kTrust) {
    out.about_any_resource = true;
    return {};
  }
  if ((plain == nullptr) == (negated == nullptr)) {
    return wrong(plain == nullptr ? "Policy statement must contain resources." : "Syntax errors in policy.", path);
  }
  out.not_resource = negated != nullptr;
  const auto where = path + (out.not_resource ? ".NotResource" : ".Resource");
  auto values = texts(out.not_resource ? *negated : *plain, where);
  if (!values) return std::unexpected(std::move(values.error()));
  if (values->empty()) return wrong("Policy statement must contain resources.", where);
  for (const auto& value : *values) {
    const bool complete = std::ranges::count(value, ':') >= 5 || value.find('*') != std::string::npos;
    const bool arn = value == "*" || (value.starts_with("arn:") && complete);
    if (!arn) return wrong(fmt::format("Resource {} must be in ARN format or \"*\".", value), where);
    auto pattern = Pattern::compile(value, {.variables = variables_});
    if (!pattern) return wrong(pattern.error().message, where);
    out.resources.push_back(std::move(*pattern));
  }
  return {};
}

Checked<void> Reader::principal_values(std::string_view type, const std::vector<std::string>& values, Statement& out,
                                       const std::string& path) const {
  using Kind = PrincipalPattern::Kind;
  for (const auto& value : values) {
    PrincipalPattern pattern{.kind = Kind::kOther, .value = value};
    if (type == "AWS") {
      if (value == "*") {
        pattern.kind = Kind::kEveryone;
      } else if (is_account(value)) {
        pattern.kind = Kind::kAccount;
      } else if (value.starts_with("arn:") && value.ends_with(":root") && std::ranges::count(value, ':') == 5) {
        pattern.kind = Kind::kAccount;
        pattern.value = value.substr(value.size() - 17, 12);
        if (!is_account(pattern.value))
          return wrong(fmt::format("Invalid principal in policy: \"AWS\":\"{}\"", value), path);
      } else if (value.starts_with("arn:") && value.find('*') == std::string::npos) {
        pattern.kind = Kind::kArn;
      } else if (value.size() < 16 || !std::ranges::all_of(value, is_alphanumeric)) {
        // What is left is a unique id (AIDA..., AROA...), which stands where a principal was deleted: it names nobody.
        return wrong(fmt::format("Invalid principal in policy: \"AWS\":\"{}\"", value), path);
      }
    } else if (type == "Service") {
      if (value.find('.') == std::string::npos) {
        return wrong(fmt::format("Invalid principal in policy: \"SERVICE\":\"{}\"", value), path);
      }
      pattern.kind = Kind::kService;
    } else if (type == "Federated") {
      pattern.kind = Kind::kFederated;
    } else if (type != "CanonicalUser") {
      return wrong(fmt::format("Invalid principal in policy: \"{}\":\"{}\"", type, value), path);
    }
    out.principals.push_back(std::move(pattern));
  }
  return {};
}

Checked<void> Reader::principals(const json::object& object, Statement& out, const std::string& path) const {
  const auto* plain = object.if_contains("Principal");
  const auto* negated = object.if_contains("NotPrincipal");
  if (plain == nullptr && negated == nullptr) return {};
  if (plain != nullptr && negated != nullptr) return wrong("Syntax errors in policy.", path);
  out.not_principal = negated != nullptr;
  const auto& value = out.not_principal ? *negated : *plain;
  const auto where = path + (out.not_principal ? ".NotPrincipal" : ".Principal");
  // An Allow for all but some is an Allow for the whole world.
  if (out.not_principal && out.allow) return wrong("Allow with NotPrincipal is not allowed.", where);
  if (value.is_string()) {
    if (value.get_string() != "*") {
      return wrong(fmt::format("Invalid principal in policy: \"{}\"", std::string_view(value.get_string())), where);
    }
    out.principals.push_back({.kind = PrincipalPattern::Kind::kEveryone, .value = "*"});
    return {};
  }
  if (!value.is_object() || value.get_object().empty()) return wrong("Syntax errors in policy.", where);
  for (const auto& member : value.get_object()) {
    const std::string type(member.key());
    const auto inner = fmt::format("{}.{}", where, type);
    auto values = texts(member.value(), inner);
    if (!values) return std::unexpected(std::move(values.error()));
    if (auto read = principal_values(type, *values, out, inner); !read) return read;
  }
  return {};
}

Checked<void> Reader::conditions(const json::object& object, Statement& out, const std::string& path) const {
  const auto* block = object.if_contains("Condition");
  if (block == nullptr) return {};
  if (!block->is_object()) return wrong("Syntax errors in policy.", path + ".Condition");
  for (const auto& comparison : block->get_object()) {
    const auto where = fmt::format("{}.Condition.{}", path, std::string_view(comparison.key()));
    if (!comparison.value().is_object()) return wrong("Syntax errors in policy.", where);
    for (const auto& line : comparison.value().get_object()) {
      const auto inner = fmt::format("{}.{}", where, std::string_view(line.key()));
      auto values = texts(line.value(), inner);
      if (!values) return std::unexpected(std::move(values.error()));
      auto condition = Condition::compile(comparison.key(), line.key(), *values, variables_);
      if (!condition) return wrong(condition.error().message, inner);
      out.conditions.push_back(std::move(*condition));
    }
  }
  return {};
}

Checked<Statement> Reader::statement(const json::value& value, std::size_t index, const std::string& path) {
  if (!value.is_object()) return wrong("Syntax errors in policy.", path);
  const auto& object = value.get_object();
  Statement out;
  out.index = index;
  auto read = members(object, path);
  if (read) read = sid(object, out, path);
  if (read) read = effect(object, out, path);
  if (read) read = principals(object, out, path);
  if (read) read = actions(object, out, path);
  if (read) read = resources(object, out, path);
  if (read) read = conditions(object, out, path);
  if (!read) return std::unexpected(std::move(read.error()));
  return out;
}

Checked<std::vector<Statement>> read_document(const json::value& document, PolicyKind kind) {
  if (!document.is_object()) return wrong("Syntax errors in policy.", "");
  const auto& object = document.get_object();
  for (const auto& member : object) {
    const std::string_view name(member.key());
    if (name != "Version" && name != "Id" && name != "Statement") {
      return wrong("Syntax errors in policy.", std::string(name));
    }
  }
  const auto version = get_string(document, "Version", "2008-10-17");
  const bool known = version == "2012-10-17" || version == "2008-10-17";
  if (!known || (object.contains("Version") && !object.at("Version").is_string())) {
    return wrong("Policy document must be version 2012-10-17 or greater.", "Version");
  }
  const auto* statements = object.if_contains("Statement");
  if (statements == nullptr) return wrong("Missing required field Statement", "");
  Reader reader(kind, version == "2012-10-17");
  std::vector<Statement> out;
  if (!statements->is_array()) {
    auto one = reader.statement(*statements, 0, "Statement");
    if (!one) return std::unexpected(std::move(one.error()));
    out.push_back(std::move(*one));
    return out;
  }
  for (std::size_t i = 0; i < statements->get_array().size(); ++i) {
    auto one = reader.statement(statements->get_array()[i], i, fmt::format("Statement[{}]", i));
    if (!one) return std::unexpected(std::move(one.error()));
    out.push_back(std::move(*one));
  }
  return out;
}

std::unexpected<Error> refuse_at(std::string_view text, std::string_view reason, const std::string& path) {
  const auto at = position_of(text, find_offset(text, path).value_or(0));
  const auto place = path.empty() ? std::string() : path + ", ";
  return fail(ErrorCode::kInvalid, fmt::format("{} ({}line {}, column {})", reason, place, at.line, at.column));
}

// "not JSON at byte 17: ..." says where it failed.
std::size_t syntax_offset(std::string_view message) {
  std::size_t offset = 0;
  const auto at = message.find("byte ");
  if (at != std::string_view::npos) {
    const auto digits = message.substr(at + 5);
    std::from_chars(digits.data(), digits.data() + digits.size(), offset);
  }
  return offset;
}

}  // namespace

bool is_action_pattern(std::string_view text) {
  if (text == "*") return true;
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) return false;
  const auto vendor = text.substr(0, colon);
  const auto name = text.substr(colon + 1);
  const auto wild = [](char c) { return c == '*' || c == '?'; };
  return std::ranges::all_of(vendor, [](char c) { return is_alphanumeric(c) || c == '-'; }) &&
         std::ranges::all_of(name, [&](char c) { return is_alphanumeric(c) || wild(c) || c == '_' || c == '-'; });
}

Grant PrincipalPattern::names(const Caller& caller) const {
  switch (kind) {
    case Kind::kEveryone:
      return Grant::kEveryone;
    case Kind::kAccount: {
      const bool inside = caller.account == value && caller.kind != Caller::Kind::kService;
      return inside ? Grant::kAccount : Grant::kNone;
    }
    case Kind::kArn:
      if (caller.kind == Caller::Kind::kService || caller.arn.empty()) return Grant::kNone;
      if (caller.arn == value) return Grant::kExactly;
      return !caller.role_arn.empty() && caller.role_arn == value ? Grant::kRole : Grant::kNone;
    case Kind::kService:
      return caller.kind == Caller::Kind::kService && caller.service == value ? Grant::kExactly : Grant::kNone;
    case Kind::kFederated:
      return caller.kind == Caller::Kind::kWebIdentity && caller.federated == value ? Grant::kExactly : Grant::kNone;
    case Kind::kOther:
      return Grant::kNone;
  }
  return Grant::kNone;
}

Grant Statement::grant(const Caller& caller) const {
  auto best = Grant::kNone;
  if (!not_principal) {
    for (const auto& principal : principals) best = std::max(best, principal.names(caller));
    return best;
  }
  // Everybody but those who are named with all that they are: account, role and session. Naming less exempts nobody.
  const auto named = [&](Grant wanted) {
    return std::ranges::any_of(principals, [&](const auto& p) { return p.names(caller) == wanted; });
  };
  if (named(Grant::kEveryone)) return Grant::kNone;
  const bool exactly = named(Grant::kExactly) || (caller.kind == Caller::Kind::kRoot && named(Grant::kAccount));
  const bool role = caller.role_arn.empty() || named(Grant::kRole);
  const bool account = caller.account.empty() || caller.kind == Caller::Kind::kService || named(Grant::kAccount);
  return exactly && role && account ? Grant::kNone : Grant::kEveryone;
}

bool Statement::about_action(std::string_view action, const Context& context) const {
  const bool listed = std::ranges::any_of(actions, [&](const Pattern& p) { return p.matches(action, context); });
  return listed != not_action;
}

bool Statement::about_resource(const Question& question) const {
  if (about_any_resource) return true;
  const auto& context = question.context;
  const auto matches = [&](const Pattern& p) { return p.matches(question.resource, context); };
  if (!not_resource) return std::ranges::any_of(resources, matches);
  // An Allow for all but something that this request cannot name is no Allow for all.
  const auto resolvable = [&](const Pattern& p) { return p.resolvable(context); };
  if (allow && !std::ranges::all_of(resources, resolvable)) return false;
  return std::ranges::none_of(resources, matches);
}

bool Statement::applies(const Question& question) const {
  if (!about_action(question.action, question.context) || !about_resource(question)) return false;
  return std::ranges::all_of(conditions, [&](const Condition& condition) {
    const auto result = condition.evaluate(question.context);
    return result == Truth::kTrue || (result == Truth::kUnclear && !allow);
  });
}

std::string Statement::label() const { return sid.empty() ? fmt::format("statement {}", index + 1) : sid; }

Result<PolicyPtr> Policy::parse(std::string_view text, PolicyKind kind, std::size_t limit) {
  const auto counted = static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return std::string_view(" \t\r\n").find(c) == std::string_view::npos; }));
  if (text.size() > kLongest || counted > limit) {
    return fail(ErrorCode::kTooLarge, fmt::format("{} characters; at most {}", counted, std::min(limit, kLongest)));
  }
  const auto document = parse_json(text);
  if (!document) {
    const auto at = position_of(text, syntax_offset(document.error().message));
    return fail(ErrorCode::kInvalid, fmt::format("Syntax error at position ({},{})", at.line, at.column));
  }
  if (const auto twice = find_duplicate(text)) return refuse_at(text, "A member stands twice.", *twice);
  auto statements = read_document(*document, kind);
  if (!statements) return refuse_at(text, statements.error().reason, statements.error().path);
  auto policy = std::make_shared<Policy>();
  policy->statements_ = std::move(*statements);
  return PolicyPtr(std::move(policy));
}

}  // namespace mayfly::identity
