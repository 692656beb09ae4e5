// AddPermission, GetPolicy, RemovePermission. Statements are stored and shown; deciding by them belongs to identity.
#include "services/lambda/policy.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/ids.h"

namespace mayfly::lambda {
namespace {

bool all_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Which function, version or alias a policy belongs to; "" for the unqualified function.
aws::ApiResult<void> check_qualifier(const FunctionRecord& function, const std::string& qualifier) {
  if (qualifier.empty()) return {};
  if (find_version(function, qualifier) != nullptr) return {};
  if (is_alias_name(qualifier)) return refuse_missing("Cannot find alias arn: " + function.arn(qualifier));
  return std::unexpected(function_missing(function.place, function.name, qualifier));
}

json::object statement_of(const wire::AddPermissionRequest& request, json::value principal,
                          const std::string& resource) {
  json::object statement;
  statement["Sid"] = request.StatementId.value_or("");
  statement["Effect"] = "Allow";
  statement["Principal"] = std::move(principal);
  statement["Action"] = request.Action.value_or("");
  statement["Resource"] = resource;
  json::object equals;
  if (request.SourceAccount) equals["AWS:SourceAccount"] = *request.SourceAccount;
  if (request.FunctionUrlAuthType) equals["lambda:FunctionUrlAuthType"] = *request.FunctionUrlAuthType;
  if (request.EventSourceToken) equals["lambda:EventSourceToken"] = *request.EventSourceToken;
  if (request.PrincipalOrgID) equals["aws:PrincipalOrgID"] = *request.PrincipalOrgID;
  json::object condition;
  if (!equals.empty()) condition["StringEquals"] = std::move(equals);
  if (request.InvokedViaFunctionUrl) {
    json::object is;
    is["lambda:InvokedViaFunctionUrl"] = *request.InvokedViaFunctionUrl ? "true" : "false";
    condition["Bool"] = std::move(is);
  }
  if (request.SourceArn) {
    json::object like;
    like["AWS:SourceArn"] = *request.SourceArn;
    condition["ArnLike"] = std::move(like);
  }
  if (!condition.empty()) statement["Condition"] = std::move(condition);
  return statement;
}

// A policy's revision is that of what it belongs to.
std::string revision_of(const FunctionRecord& function, const std::string& qualifier) {
  const auto alias = function.aliases.find(qualifier);
  if (alias != function.aliases.end()) return alias->second.RevisionId.value_or("");
  const auto* version = find_version(function, qualifier);
  return version == nullptr ? std::string() : version->config.RevisionId.value_or("");
}

void renew_revision(FunctionRecord& function, const std::string& qualifier) {
  if (const auto alias = function.aliases.find(qualifier); alias != function.aliases.end()) {
    alias->second.RevisionId = uuid4();
    return;
  }
  if (qualifier.empty()) {
    function.latest.config.RevisionId = uuid4();
    return;
  }
  for (auto& [id, version] : function.versions) {
    if (std::to_string(id) == qualifier) version.config.RevisionId = uuid4();
  }
}

Awaitable<aws::ApiResult<wire::AddPermissionResponse>> add_permission(Core& core, const aws::CallContext& context,
                                                                      wire::AddPermissionRequest request) {
  const auto place = core.place(context);
  auto name = parse_function_name(request.FunctionName.value_or(""), request.Qualifier, place);
  if (!name) co_return std::unexpected(std::move(name.error()));
  const auto qualifier = name->qualifier;
  if (qualifier == kLatest) co_return refuse_parameter("We currently do not support adding policies for $LATEST.");
  auto principal = principal_value(request.Principal.value_or(""));
  if (!principal) co_return std::unexpected(std::move(principal.error()));
  const auto statement = statement_of(request, std::move(*principal), function_arn(place, name->name, qualifier));
  const auto revision = request.RevisionId;
  FunctionEdit edit = [statement, qualifier, revision](FunctionRecord& function) -> aws::ApiResult<void> {
    if (auto ok = check_qualifier(function, qualifier); !ok) return ok;
    if (revision && revision != revision_of(function, qualifier)) return refuse_revision();
    if (auto ok = add_statement(function.policies[qualifier], statement); !ok) return ok;
    renew_revision(function, qualifier);
    return {};
  };
  auto missing = function_missing(place, name->name, "");
  auto changed = co_await core.tables.change(place, name->name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::AddPermissionResponse out;
  out.Statement = to_json(statement);
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetPolicyResponse>> get_policy(Core& core, const aws::CallContext& context,
                                                              wire::GetPolicyRequest request) {
  const auto place = core.place(context);
  auto name = parse_function_name(request.FunctionName.value_or(""), request.Qualifier, place);
  if (!name) co_return std::unexpected(std::move(name.error()));
  const std::string none = "The resource you requested does not exist.";
  const auto function = core.tables.function(place, name->name);
  if (!function) co_return refuse_missing(none);
  const auto policy = function->policies.find(name->qualifier);
  if (policy == function->policies.end() || policy->second.empty()) co_return refuse_missing(none);
  wire::GetPolicyResponse out;
  out.Policy = policy->second.text();
  out.RevisionId = revision_of(*function, name->qualifier);
  co_return out;
}

Awaitable<aws::ApiResult<wire::RemovePermission::Response>> remove_permission(Core& core,
                                                                              const aws::CallContext& context,
                                                                              wire::RemovePermissionRequest request) {
  const auto place = core.place(context);
  auto name = parse_function_name(request.FunctionName.value_or(""), request.Qualifier, place);
  if (!name) co_return std::unexpected(std::move(name.error()));
  const auto qualifier = name->qualifier;
  FunctionEdit edit = [request, qualifier](FunctionRecord& function) -> aws::ApiResult<void> {
    if (auto ok = check_qualifier(function, qualifier); !ok) return ok;
    const auto policy = function.policies.find(qualifier);
    if (policy == function.policies.end() || policy->second.empty()) {
      return refuse_missing("No policy is associated with the given resource.");
    }
    if (request.RevisionId && *request.RevisionId != revision_of(function, qualifier)) return refuse_revision();
    const auto id = request.StatementId.value_or("");
    if (!remove_statement(policy->second, id)) {
      return refuse_missing(fmt::format("Statement {} is not found in resource policy.", id));
    }
    if (policy->second.empty()) function.policies.erase(policy);
    renew_revision(function, qualifier);
    return {};
  };
  auto missing = refuse_missing("No policy found for: " + function_arn(place, name->name, qualifier)).error();
  auto changed = co_await core.tables.change(place, name->name, std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return wire::RemovePermission::Response();
}

}  // namespace

aws::ApiResult<void> add_statement(Policy& policy, json::object statement) {
  const auto id = std::string(get_string(statement, "Sid"));
  for (const auto& present : policy.statements()) {
    if (get_string(present, "Sid") == id) {
      return refuse(wire::errors::ResourceConflictException,
                    fmt::format("The statement id ({}) provided already exists. Please provide a new statement id, or "
                                "remove the existing statement.",
                                id));
    }
  }
  auto statements = policy.statements();
  statements.emplace_back(std::move(statement));
  policy.set_statements(std::move(statements));
  policy.revision = uuid4();
  return {};
}

bool remove_statement(Policy& policy, std::string_view statement_id) {
  json::array kept;
  for (const auto& statement : policy.statements()) {
    if (get_string(statement, "Sid") != statement_id) kept.push_back(statement);
  }
  if (kept.size() == policy.statements().size()) return false;
  policy.set_statements(std::move(kept));
  policy.revision = uuid4();
  return true;
}

aws::ApiResult<json::value> principal_value(const std::string& principal) {
  if (principal == "*") return json::value("*");
  json::object out;
  if (principal.size() == 12 && all_digits(principal)) {
    out["AWS"] = fmt::format("arn:aws:iam::{}:root", principal);
  } else if (principal.starts_with("arn:aws")) {
    out["AWS"] = principal;
  } else if (principal.ends_with(".amazonaws.com") || principal.ends_with(".amazon.com")) {
    out["Service"] = principal;
  } else {
    return refuse_parameter("The provided principal was invalid. Please check the principal and try again.");
  }
  return json::value(std::move(out));
}

void bind_policies(aws::Service& service, Core& core) {
  bind<wire::AddPermission>(service, core, add_permission);
  bind<wire::GetPolicy>(service, core, get_policy);
  bind<wire::RemovePermission>(service, core, remove_permission);
}

}  // namespace mayfly::lambda
