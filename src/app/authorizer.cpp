#include "app/authorizer.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "app/action_table.h"
#include "aws/model.h"
#include "base/encoding.h"
#include "base/time_format.h"

namespace mayfly::app {
namespace {

constexpr std::size_t kArnColons = 5;

bool is_arn(std::string_view text) { return text.starts_with("arn:"); }

// The part of an ARN between two of its colons: 4 is the account.
std::string_view arn_part(std::string_view arn, std::size_t index) {
  for (std::size_t i = 0; i < index; ++i) {
    const auto colon = arn.find(':');
    if (colon == std::string_view::npos) return {};
    arn.remove_prefix(colon + 1);
  }
  return index == kArnColons ? arn : arn.substr(0, arn.find(':'));
}

std::string member(const json::object& request, std::string_view name) {
  const auto* value = request.if_contains(name);
  if (value == nullptr) return {};
  if (value->is_string()) return std::string(value->get_string());
  return value->is_number() ? to_json(*value) : std::string();
}

// "name", "name:qualifier", "123456789012:function:name", a whole ARN: always a whole ARN.
std::string function_arn(const aws::CallContext& context, const json::object& request) {
  auto name = member(request, "FunctionName");
  const auto qualifier = member(request, "Qualifier");
  std::string account = context.principal.account;
  std::string region = context.region;
  if (is_arn(name)) {
    region = arn_part(name, 3);
    account = arn_part(name, 4);
    name = arn_part(name, kArnColons);
  }
  if (const auto at = name.find("function:"); at != std::string::npos) {
    if (at >= 13 && name[at - 1] == ':') account = name.substr(at - 13, 12);
    name.erase(0, at + 9);
  }
  auto arn = fmt::format("arn:aws:lambda:{}:{}:function:{}", region, account, name);
  if (!qualifier.empty() && name.find(':') == std::string::npos) arn += ":" + qualifier;
  return arn;
}

std::string layer_arn(const aws::CallContext& context, const json::object& request) {
  auto name = member(request, "LayerName");
  if (is_arn(name)) return name;
  return fmt::format("arn:aws:lambda:{}:{}:layer:{}", context.region, context.principal.account, name);
}

// "http://host/000000000000/name"
std::string queue_arn(const aws::CallContext& context, const json::object& request) {
  auto url = member(request, "QueueUrl");
  if (url.empty()) url = context.path;  // a call at a queue's URL
  const auto last = url.rfind('/');
  if (last == std::string::npos) {
    return fmt::format("arn:aws:sqs:{}:{}:{}", context.region, context.principal.account, url);
  }
  const auto before = last == 0 ? std::string::npos : url.rfind('/', last - 1);
  auto account = before == std::string::npos ? std::string() : url.substr(before + 1, last - before - 1);
  if (account.size() != 12) account = context.principal.account;
  return fmt::format("arn:aws:sqs:{}:{}:{}", context.region, account, url.substr(last + 1));
}

std::string bus_arn(const aws::CallContext& context, const std::string& name) {
  if (is_arn(name)) return name;
  return fmt::format("arn:aws:events:{}:{}:event-bus/{}", context.region, context.principal.account,
                     name.empty() ? "default" : name);
}

std::string rule_arn(const aws::CallContext& context, const json::object& request, std::string_view name) {
  auto bus = member(request, "EventBusName");
  if (is_arn(bus)) bus = bus.substr(bus.rfind('/') + 1);
  const auto prefix = bus.empty() || bus == "default" ? std::string() : bus + "/";
  return fmt::format("arn:aws:events:{}:{}:rule/{}{}", context.region, context.principal.account, prefix,
                     member(request, name));
}

// Fills in one {name} of a template.
std::string fill_one(const aws::CallContext& context, const iam::Iam& iam, const json::object& request,
                     std::string_view name) {
  const auto& account = context.principal.account;
  if (name == "region") return context.region;
  if (name == "account") return account;
  if (name == "function") return function_arn(context, request);
  if (name == "layer") return layer_arn(context, request);
  if (name == "queue") return queue_arn(context, request);
  if (name == "user") return iam.entity_arn(iam::Iam::Named::kUser, account, member(request, "UserName"));
  if (name == "role") return iam.entity_arn(iam::Iam::Named::kRole, account, member(request, "RoleName"));
  if (name == "group") return iam.entity_arn(iam::Iam::Named::kGroup, account, member(request, "GroupName"));
  if (name == "self-or-user") {
    const auto given = member(request, "UserName");
    return given.empty() ? context.principal.arn : iam.entity_arn(iam::Iam::Named::kUser, account, given);
  }
  if (name == "Path") {
    const auto path = member(request, name);
    return path.empty() ? "/" : path;
  }
  if (name.starts_with("rule:")) return rule_arn(context, request, name.substr(5));
  if (name.starts_with("bus:")) return bus_arn(context, member(request, name.substr(4)));
  if (name.starts_with("topic-of:")) {
    const auto arn = member(request, name.substr(9));
    return arn.substr(0, arn.rfind(':'));
  }
  if (name.starts_with("oidc-host:")) {
    const auto url = member(request, name.substr(10));
    const auto scheme = url.find("://");
    return scheme == std::string::npos ? url : url.substr(scheme + 3);
  }
  const auto bar = name.find('|');
  auto value = member(request, name.substr(0, bar));
  return value.empty() && bar != std::string_view::npos ? std::string(name.substr(bar + 1)) : value;
}

// The resources that a request is about: one but for batches over several. A member that is missing leaves its place
// empty, so that nothing but a wildcard matches there.
std::vector<std::string> fill_resource(const aws::CallContext& context, const iam::Iam& iam,
                                       const json::object& request, std::string_view pattern) {
  if (pattern == "{buses}") {
    std::set<std::string> buses;
    if (const auto* entries = request.if_contains("Entries"); entries != nullptr && entries->is_array()) {
      for (const auto& entry : entries->get_array()) {
        buses.insert(bus_arn(context, std::string(get_string(entry, "EventBusName"))));
      }
    }
    if (buses.empty()) buses.insert(bus_arn(context, ""));
    return {buses.begin(), buses.end()};
  }
  std::string out;
  while (!pattern.empty()) {
    const auto open = pattern.find('{');
    out += pattern.substr(0, open);
    if (open == std::string_view::npos) break;
    const auto close = pattern.find('}', open);
    out += fill_one(context, iam, request, pattern.substr(open + 1, close - open - 1));
    pattern.remove_prefix(close + 1);
  }
  return {out.empty() ? "*" : out};
}

// "arn:aws:iam::*:user/*" is whoever calls, and nobody's role.
bool is_arn_text(const json::value& value) {
  if (!value.is_string()) return false;
  const std::string_view text(value.get_string());
  return text.starts_with("arn:") && text != "arn:aws:iam::*:user/*";
}

// Every role that a request hands to a service, wherever it stands in it.
void collect_roles(const json::value& value, std::vector<std::string>& out) {
  if (value.is_object()) {
    // A patch operation names the member that it sets.
    const auto path = get_string(value, "path");
    if (path == "/credentials" || path == "/authorizerCredentials") {
      const auto* role = find(value, "value");
      if (role != nullptr && is_arn_text(*role)) out.emplace_back(role->get_string());
    }
    for (const auto& inner : value.get_object()) {
      const std::string_view name(inner.key());
      bool role = name == "Role" || name == "RoleArn" || name == "CredentialsArn" || name == "AuthorizerCredentialsArn";
      // Of REST APIs; these names stand elsewhere, too.
      if (name == "credentials" || name == "authorizerCredentials") role = is_arn_text(inner.value());
      if (role && inner.value().is_string()) {
        out.emplace_back(inner.value().get_string());
      } else {
        collect_roles(inner.value(), out);
      }
    }
  } else if (value.is_array()) {
    for (const auto& inner : value.get_array()) collect_roles(inner, out);
  }
}

aws::ApiError denied(std::string message) {
  aws::ApiError error;
  error.model = &aws::common_errors::AccessDeniedException;
  error.message = std::move(message);
  return error;
}

// Tags that a request sets, for aws:RequestTag and aws:TagKeys. They come as a list of pairs or as a map.
void add_tags(const json::object& request, identity::Context& context) {
  std::vector<std::string> keys;
  for (const auto* name : {"Tags", "tags"}) {
    const auto* tags = request.if_contains(name);
    if (tags == nullptr) continue;
    if (tags->is_object()) {
      for (const auto& tag : tags->get_object()) {
        keys.emplace_back(tag.key());
        if (tag.value().is_string())
          context.set("aws:RequestTag/" + keys.back(), std::string(tag.value().get_string()));
      }
    } else if (tags->is_array()) {
      for (const auto& tag : tags->get_array()) {
        keys.emplace_back(get_string(tag, "Key"));
        context.set("aws:RequestTag/" + keys.back(), std::string(get_string(tag, "Value")));
      }
    }
  }
  if (const auto* removed = request.if_contains("TagKeys"); removed != nullptr && removed->is_array()) {
    for (const auto& key : removed->get_array()) {
      if (key.is_string()) keys.emplace_back(key.get_string());
    }
  }
  if (!keys.empty()) context.set("aws:TagKeys", std::move(keys));
}

// Members of a request that a service has condition keys for.
void add_members(std::string_view service, const json::object& request, identity::Context& context) {
  if (service != "secretsmanager") return;
  for (const auto* name : {"SecretId", "Name", "Description", "VersionId", "VersionStage", "KmsKeyId",
                           "RecoveryWindowInDays", "RotationLambdaARN"}) {
    if (auto value = member(request, name); !value.empty()) {
      context.set(fmt::format("secretsmanager:{}", name), std::move(value));
    }
  }
  for (const auto* name : {"ForceDeleteWithoutRecovery", "BlockPublicPolicy", "RotateImmediately"}) {
    const auto* value = request.if_contains(name);
    if (value != nullptr && value->is_bool()) {
      context.set(fmt::format("secretsmanager:{}", name), value->get_bool() ? "true" : "false");
    }
  }
}

}  // namespace

void Authorizer::add_resource_policies(std::string service, ResourcePolicies policies) {
  resource_policies_[std::move(service)] = std::move(policies);
}

void Authorizer::add_resource_tags(std::string service, ResourceTags tags) {
  resource_tags_[std::move(service)] = std::move(tags);
}

void Authorizer::add_names(std::string name, Names names) { names_[std::move(name)] = std::move(names); }

void Authorizer::add_clock(identity::Context& context) const {
  const auto now = clock_.now();
  context.set("aws:CurrentTime", iso8601_millis(now));
  context.set("aws:EpochTime", std::to_string(static_cast<std::int64_t>(epoch_seconds(now))));
}

void Authorizer::add_facts(const RequestFacts& facts, identity::Context& context) const {
  add_clock(context);
  context.set("aws:SourceIp", facts.source_ip);
  context.set("aws:SecureTransport", facts.tls ? "true" : "false");
  context.set("aws:UserAgent", facts.user_agent);
  context.set("aws:ViaAWSService", "false");
}

std::vector<identity::NamedPolicy> Authorizer::policies_of(std::string_view arn) const {
  std::vector<identity::NamedPolicy> out;
  const auto source = resource_policies_.find(arn_part(arn, 2));
  if (source == resource_policies_.end()) return out;
  if (const auto document = source->second(arn)) {
    out.push_back(iam_.resource_policy(fmt::format("policy of {}", arn), *document));
  }
  return out;
}

std::optional<aws::ApiError> Authorizer::check_action(const aws::CallContext& context, const RequestFacts& facts,
                                                      std::string action, std::string resource,
                                                      const identity::Context& more) const {
  if (!context.who) return denied("The caller is not known.");
  identity::Question question;
  question.context = more;
  add_facts(facts, question.context);
  question.context.set("aws:RequestedRegion", context.region);
  question.action = std::move(action);
  question.resource = std::move(resource);
  if (const auto tags = resource_tags_.find(arn_part(question.resource, 2)); tags != resource_tags_.end()) {
    for (auto& [name, value] : tags->second(question.resource)) {
      question.context.set(fmt::format("{}:ResourceTag/{}", tags->first, name), value);
      question.context.set("aws:ResourceTag/" + name, std::move(value));
    }
  }
  const auto account = arn_part(question.resource, 4);
  question.resource_account = account.size() == 12 ? std::string(account) : context.principal.account;
  const auto policies = policies_of(question.resource);
  const auto decision = iam_.decide(*context.who, question, policies);
  if (decision.allowed) return std::nullopt;
  return denied(identity::denial_message(question, decision));
}

bool Authorizer::allows_anonymous(const RequestFacts& facts, std::string action, std::string resource,
                                  const identity::Context& more) const {
  identity::Question question;
  question.context = more;
  add_facts(facts, question.context);
  question.action = std::move(action);
  question.resource = std::move(resource);
  question.resource_account = arn_part(question.resource, 4);
  const auto resource_policies = policies_of(question.resource);
  identity::Policies policies;
  policies.resource = resource_policies;
  return identity::decide(question, policies).allowed;
}

bool Authorizer::allows(const identity::Authenticated& who, identity::Question question) const {
  if (question.resource_account.empty()) question.resource_account = arn_part(question.resource, 4);
  add_clock(question.context);
  const auto policies = policies_of(question.resource);
  return iam_.decide(who, question, policies).allowed;
}

bool Authorizer::allows_by_resource(identity::Question question) const {
  add_clock(question.context);
  const auto resource_policies = policies_of(question.resource);
  identity::Policies policies;
  policies.resource = resource_policies;
  return identity::decide(question, policies).allowed;
}

bool Authorizer::allows_service(const std::string& service, const std::string& account, const std::string& source_arn,
                                std::string action, std::string resource, const std::string& role_arn) const {
  identity::Question question;
  question.action = std::move(action);
  question.resource = std::move(resource);
  question.resource_account = arn_part(question.resource, 4);
  question.context.set("aws:SourceArn", source_arn);
  question.context.set("aws:SourceAccount", account);
  if (!role_arn.empty()) {
    // A role of the account whose resource acts: no other can have been passed to it.
    if (arn_part(role_arn, 4) != account || !iam_.role_trusts(role_arn, service)) return false;
    const auto who = iam_.principal(role_arn);
    return who && allows(*who, std::move(question));
  }
  question.context.set("aws:PrincipalIsAWSService", "true");
  question.context.set("aws:PrincipalServiceName", service);
  question.caller.kind = identity::Caller::Kind::kService;
  question.caller.service = service;
  return allows_by_resource(std::move(question));
}

std::optional<Authorizer::Explanation> Authorizer::explain(std::string_view principal, std::string action,
                                                           std::string resource) const {
  const auto who = iam_.principal(principal);
  if (!who) return std::nullopt;
  identity::Question question;
  question.action = std::move(action);
  question.resource = std::move(resource);
  const auto account = arn_part(question.resource, 4);
  question.resource_account = account.size() == 12 ? std::string(account) : who->caller.account;
  RequestFacts facts;
  facts.source_ip = "127.0.0.1";
  add_facts(facts, question.context);
  const auto policies = policies_of(question.resource);
  const auto decision = iam_.decide(*who, question, policies);
  return Explanation{.allowed = decision.allowed, .text = identity::explanation(question, decision)};
}

std::optional<aws::ApiError> Authorizer::check_passed_roles(const aws::CallContext& context, const RequestFacts& facts,
                                                            const aws::ServiceModel& service,
                                                            const json::object& request) const {
  // IAM's and STS's own requests name roles that they are about and hand none on.
  if (service.signing_name == "iam" || service.signing_name == "sts") return std::nullopt;
  std::vector<std::string> roles;
  collect_roles(json::value(request), roles);
  for (auto& role : roles) {
    identity::Context more;
    more.set("iam:PassedToService", fmt::format("{}.amazonaws.com", service.signing_name));
    if (auto refused = check_action(context, facts, "iam:PassRole", std::move(role), more)) return refused;
  }
  return std::nullopt;
}

std::optional<aws::ApiError> Authorizer::check(const aws::CallContext& context, const RequestFacts& facts,
                                               const aws::ServiceModel& service, const aws::OperationModel& operation,
                                               const json::object& request) const {
  using Kind = identity::Caller::Kind;
  // The root user may do everything in its account; a resource of another account is found by the service itself.
  if (context.who && context.who->caller.kind == Kind::kRoot) return std::nullopt;
  const auto* entry = find_action(service.name, operation.name);
  if (entry == nullptr) {
    return denied(fmt::format("User: {} is not authorized to perform: {}:{}", context.principal.arn,
                              service.signing_name, operation.name));
  }
  if (entry->resource == "{open}") return std::nullopt;  // needs no permission, or decides for itself
  identity::Context more;
  add_tags(request, more);
  add_members(service.signing_name, request, more);
  const std::string_view pattern = entry->resource;
  const auto named = pattern.starts_with('{') ? names_.find(pattern.substr(1, pattern.size() - 2)) : names_.end();
  auto resources =
      named == names_.end() ? fill_resource(context, iam_, request, pattern) : named->second(context, request);
  for (auto& resource : resources) {
    if (auto refused = check_action(context, facts, std::string(entry->action), std::move(resource), more)) {
      return refused;
    }
  }
  return check_passed_roles(context, facts, service, request);
}

}  // namespace mayfly::app
