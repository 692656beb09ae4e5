// The policy engine against cases that are data (cases/*.json), and what it says about its decisions.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>

#include "base/clock.h"
#include "identity/policy_decision.h"
#include "identity/policy_position.h"

namespace mayfly::identity {
namespace {

json::value load(const std::string& name) {
  std::ifstream in("src/identity/cases/" + name);
  std::stringstream text;
  text << in.rdbuf();
  auto parsed = parse_json(text.str());
  EXPECT_TRUE(parsed) << name << ": " << parsed.error().message;
  return parsed ? *parsed : json::value();
}

PolicyKind kind_of(std::string_view name) {
  if (name == "trust") return PolicyKind::kTrust;
  return name == "resource" ? PolicyKind::kResource : PolicyKind::kIdentity;
}

std::vector<NamedPolicy> policies_of(const json::value& test, std::string_view member, PolicyKind kind) {
  std::vector<NamedPolicy> out;
  const auto* list = find(test, member);
  if (list == nullptr) return out;
  for (const auto& document : list->get_array()) {
    auto policy = Policy::parse(to_json(document), kind, Policy::kLongest);
    EXPECT_TRUE(policy) << get_string(test, "name") << ": " << policy.error().message;
    if (policy) out.push_back({.name = fmt::format("{}-{}", member, out.size() + 1), .policy = *policy});
  }
  return out;
}

Caller caller_of(const json::value& test) {
  Caller caller;
  const auto* given = find(test, "caller");
  if (given == nullptr) {
    caller.kind = Caller::Kind::kUser;
    caller.account = "111111111111";
    caller.arn = "arn:aws:iam::111111111111:user/ann";
    return caller;
  }
  const auto kind = get_string(*given, "kind");
  if (kind == "root") caller.kind = Caller::Kind::kRoot;
  if (kind == "user") caller.kind = Caller::Kind::kUser;
  if (kind == "role") caller.kind = Caller::Kind::kRoleSession;
  if (kind == "service") caller.kind = Caller::Kind::kService;
  if (kind == "web") caller.kind = Caller::Kind::kWebIdentity;
  if (kind == "federated") caller.kind = Caller::Kind::kFederated;
  caller.account = get_string(*given, "account");
  caller.arn = get_string(*given, "arn");
  caller.role_arn = get_string(*given, "role");
  caller.service = get_string(*given, "service");
  caller.federated = get_string(*given, "federated");
  return caller;
}

Question question_of(const json::value& test) {
  Question question;
  question.caller = caller_of(test);
  question.action = get_string(test, "action", "s3:GetObject");
  question.resource = get_string(test, "resource", "arn:aws:s3:::bucket/key");
  question.resource_account = get_string(test, "account", "111111111111");
  question.resource_policy_required = get_bool(test, "trust", false);
  if (const auto* context = find(test, "context")) {
    for (const auto& member : context->get_object()) {
      if (member.value().is_string()) {
        question.context.set(member.key(), std::string(member.value().get_string()));
        continue;
      }
      std::vector<std::string> values;
      for (const auto& value : member.value().get_array()) values.emplace_back(value.get_string());
      question.context.set(member.key(), std::move(values));
    }
  }
  return question;
}

std::string_view verdict(const Decision& decision) {
  if (decision.allowed) return "Allow";
  return decision.explicitly ? "ExplicitDeny" : "ImplicitDeny";
}

std::string_view role_name(PolicyRole role) {
  switch (role) {
    case PolicyRole::kIdentity:
      return "identity";
    case PolicyRole::kResource:
      return "resource";
    case PolicyRole::kBoundary:
      return "boundary";
    case PolicyRole::kSession:
      return "session";
    default:
      return "";
  }
}

void run_case(const json::value& test) {
  const std::string name(get_string(test, "name"));
  const auto identity = policies_of(test, "identity", PolicyKind::kIdentity);
  const auto boundary = policies_of(test, "boundary", PolicyKind::kIdentity);
  const auto session = policies_of(test, "session", PolicyKind::kIdentity);
  const bool trust = get_bool(test, "trust", false);
  const auto resource = policies_of(test, "resourcePolicies", trust ? PolicyKind::kTrust : PolicyKind::kResource);
  Policies policies;
  policies.identity = identity;
  policies.boundary = boundary;
  policies.has_boundary = find(test, "boundary") != nullptr;
  policies.session = session;
  policies.has_session = find(test, "session") != nullptr;
  policies.resource = resource;
  const auto question = question_of(test);
  const auto decision = decide(question, policies);
  EXPECT_EQ(verdict(decision), get_string(test, "decision")) << name << ": " << explanation(question, decision);
  if (const auto by = get_string(test, "by"); !by.empty()) EXPECT_EQ(role_name(decision.role), by) << name;
  if (const auto said = get_string(test, "statement"); !said.empty()) EXPECT_EQ(decision.statement, said) << name;
}

std::size_t run_file(const std::string& file) {
  const auto cases = load(file);
  for (const auto& test : cases.at("cases").get_array()) run_case(test);
  return cases.at("cases").get_array().size();
}

TEST(PolicyCases, Elements) { EXPECT_GE(run_file("elements.json"), 40U); }

TEST(PolicyCases, Evaluation) { EXPECT_GE(run_file("evaluation.json"), 70U); }

TEST(PolicyCases, Conditions) {
  const auto cases = load("conditions.json");
  for (const auto& given : cases.at("cases").get_array()) {
    json::object test = given.get_object();
    json::object statement;
    statement["Effect"] = get_string(given, "effect", "Allow");
    statement["Action"] = "*";
    statement["Resource"] = "*";
    statement["Condition"] = given.at("condition");
    json::array documents;
    const auto add = [&](json::object one) {
      json::object document;
      document["Version"] = "2012-10-17";
      document["Statement"] = std::move(one);
      documents.emplace_back(std::move(document));
    };
    add(statement);
    if (get_string(given, "effect") == "Deny") {
      statement["Effect"] = "Allow";
      statement.erase("Condition");
      add(statement);
    }
    test["identity"] = std::move(documents);
    run_case(test);
  }
}

TEST(PolicyCases, Refused) {
  const auto cases = load("refused.json");
  for (const auto& test : cases.at("cases").get_array()) {
    const std::string name(get_string(test, "name"));
    const auto limit = static_cast<std::size_t>(get_int(test, "limit", Policy::kLongest));
    const auto policy = Policy::parse(get_string(test, "document"), kind_of(get_string(test, "kind")), limit);
    ASSERT_FALSE(policy) << name;
    const auto reason = get_string(test, "reason");
    EXPECT_NE(policy.error().message.find(reason), std::string::npos) << name << ": " << policy.error().message;
    const auto code = find(test, "limit") != nullptr ? ErrorCode::kTooLarge : ErrorCode::kInvalid;
    EXPECT_EQ(policy.error().code, code) << name;
  }
}

TEST(PolicyPosition, FindsPartsByPath) {
  const std::string_view text = "{\n \"a\": [1, {\"b\": \"x\\\"y\", \"c\": true}],\n \"d\": null }";
  EXPECT_EQ(text.substr(*find_offset(text, "a[1].c"), 4), "true");
  EXPECT_EQ(text.substr(*find_offset(text, "d"), 4), "null");
  EXPECT_FALSE(find_offset(text, "a[2]"));
  EXPECT_EQ(position_of(text, *find_offset(text, "d")).line, 3U);
  EXPECT_FALSE(find_duplicate(text));
}

TEST(PolicyMessages, SayPrincipalActionResourceAndWhy) {
  Question question;
  question.caller = {.kind = Caller::Kind::kUser, .account = "1", .arn = "arn:aws:iam::1:user/ann"};
  question.action = "lambda:GetFunction";
  question.resource = "arn:aws:lambda:us-east-1:1:function:f";
  question.resource_account = "1";
  const auto decision = decide(question, {});
  EXPECT_EQ(
      denial_message(question, decision),
      "User: arn:aws:iam::1:user/ann is not authorized to perform: lambda:GetFunction on resource: "
      "arn:aws:lambda:us-east-1:1:function:f because no identity-based policy allows the lambda:GetFunction action");
  const auto deny = Policy::parse(R"({"Statement":{"Sid":"No","Effect":"Deny","Action":"*","Resource":"*"}})",
                                  PolicyKind::kIdentity, 1000);
  const NamedPolicy named{.name = "guard", .policy = *deny};
  Policies policies;
  policies.identity = {&named, 1};
  const auto denied = decide(question, policies);
  EXPECT_TRUE(denial_message(question, denied).ends_with("with an explicit deny in an identity-based policy"));
  EXPECT_EQ(explanation(question, denied), "denied: No of the identity-based policy guard denies it explicitly");
}

// Every pattern of `n` stars against a text that almost matches: no exponential time.
TEST(PolicyPattern, HostilePatternsStayCheap) {
  std::string pattern = "arn:";
  for (int i = 0; i < 2000; ++i) pattern += "a*";
  const auto compiled = Pattern::compile(pattern + "b", {});
  const std::string text = "arn:" + std::string(4000, 'a');
  const RealClock clock;
  const auto before = clock.steady_now();
  EXPECT_FALSE(compiled->matches(text, {}));
  EXPECT_LT(clock.steady_now() - before, std::chrono::seconds(1));
}

// A decision with a caller's ten policies of ten statements each, and the time it takes. The bound is loose: the
// machine that runs this may be busy; the figure is printed.
}  // namespace
}  // namespace mayfly::identity
