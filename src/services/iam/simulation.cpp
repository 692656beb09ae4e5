// SimulatePrincipalPolicy and SimulateCustomPolicy: decisions as they would be made, explained.
#include <algorithm>

#include "identity/policy_position.h"
#include "services/iam/shown.h"

namespace mayfly::iam {
namespace {

// Everything that one simulation decides by.
struct Inputs {
  std::vector<identity::NamedPolicy> identity;
  std::vector<identity::NamedPolicy> boundary;
  bool has_boundary = false;
  std::vector<identity::NamedPolicy> resource;
  std::map<std::string, std::string> documents;  // by policy name, for positions
  std::string inline_owner;                      // "user_ann" where inline policies are the entity's own
  identity::Caller caller;
};

aws::ApiResult<void> add_documents(Inputs& inputs, const std::optional<std::vector<std::string>>& documents,
                                   std::string_view prefix, std::vector<identity::NamedPolicy>& to) {
  if (!documents) return {};
  std::size_t index = 0;
  for (const auto& document : *documents) {
    auto policy = identity::Policy::parse(document, identity::PolicyKind::kIdentity, identity::Policy::kLongest);
    if (!policy) return refuse(wire::errors::InvalidInputException, policy.error().message);
    auto name = fmt::format("{}.{}", prefix, ++index);
    inputs.documents[name] = document;
    to.push_back({.name = std::move(name), .policy = std::move(*policy)});
  }
  return {};
}

aws::ApiResult<void> add_entity(const Core& core, Inputs& inputs, const Entity& entity) {
  const auto add = [&](std::string name, const std::string& document) -> aws::ApiResult<void> {
    auto policy = core.compiled(identity::PolicyKind::kIdentity, document);
    if (!policy) return refuse(wire::errors::PolicyEvaluationException, policy.error().message);
    inputs.documents[name] = document;
    inputs.identity.push_back({.name = std::move(name), .policy = std::move(*policy)});
    return {};
  };
  for (const auto& [name, document] : entity.inline_policies) {
    if (auto ok = add(fmt::format("{}_{}_{}", kind_name(entity.kind), entity.name, name), document); !ok) return ok;
  }
  for (const auto& arn : entity.attached) {
    const auto managed = core.managed(arn);
    if (!managed) continue;
    if (auto ok = add(managed->name, managed->versions.at(managed->default_version).document); !ok) return ok;
  }
  return {};
}

aws::ApiResult<Inputs> principal_inputs(const Core& core, const aws::CallContext& context, const std::string& arn) {
  Inputs inputs;
  for (const auto kind : {EntityKind::kUser, EntityKind::kRole, EntityKind::kGroup}) {
    const auto entity = core.entity(kind, context.principal.account, arn.substr(arn.rfind('/') + 1));
    if (!entity || entity->arn() != arn) continue;
    inputs.caller.kind =
        kind == EntityKind::kRole ? identity::Caller::Kind::kRoleSession : identity::Caller::Kind::kUser;
    inputs.caller.account = entity->account;
    inputs.caller.arn = arn;
    if (kind == EntityKind::kRole) inputs.caller.role_arn = arn;
    if (auto ok = add_entity(core, inputs, *entity); !ok) return std::unexpected(std::move(ok.error()));
    for (const auto& name : entity->groups) {
      const auto group = core.entity(EntityKind::kGroup, entity->account, name);
      if (!group) continue;
      if (auto ok = add_entity(core, inputs, *group); !ok) return std::unexpected(std::move(ok.error()));
    }
    if (!entity->boundary.empty()) {
      const auto effective = core.effective(entity);
      inputs.boundary = effective->boundary;
      inputs.has_boundary = true;
    }
    return inputs;
  }
  return refuse(wire::errors::NoSuchEntityException,
                fmt::format("Invalid Entity Arn: {} does not exist or is not valid.", arn));
}

// A character's line and column, counted as the simulator does: from the statement's text in its document.
wire::Position position(std::string_view document, std::size_t offset) {
  const auto at = identity::position_of(document, offset);
  wire::Position out;
  out.Line = static_cast<std::int32_t>(at.line);
  out.Column = static_cast<std::int32_t>(at.column);
  return out;
}

// The end of a JSON object that starts at `start`.
std::size_t end_of_object(std::string_view text, std::size_t start) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = start; i < text.size(); ++i) {
    if (in_string) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == '"') {
        in_string = false;
      }
    } else if (text[i] == '"') {
      in_string = true;
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && --depth == 0) {
      return i + 1;
    }
  }
  return text.size();
}

std::vector<wire::Statement> matched(const Inputs& inputs, const identity::Question& question, bool allow) {
  std::vector<wire::Statement> out;
  for (const auto& named : inputs.identity) {
    const auto document = inputs.documents.find(named.name);
    for (const auto& statement : named.policy->statements()) {
      if (statement.allow != allow || !statement.applies(question)) continue;
      wire::Statement one;
      one.SourcePolicyId = named.name;
      one.SourcePolicyType = "IAM Policy";
      if (document != inputs.documents.end()) {
        const std::string_view text(document->second);
        auto start = identity::find_offset(text, fmt::format("Statement[{}]", statement.index));
        if (!start) start = identity::find_offset(text, "Statement");
        one.StartPosition = position(text, *start);
        one.EndPosition = position(text, end_of_object(text, *start));
      }
      out.push_back(std::move(one));
    }
  }
  return out;
}

wire::EvaluationResult evaluate(const Inputs& inputs, const std::string& action, const std::string& resource,
                                const std::optional<std::vector<wire::ContextEntry>>& entries, bool resource_given) {
  identity::Question question;
  question.caller = inputs.caller;
  question.action = action;
  question.resource = resource;
  question.resource_account = inputs.caller.account;
  if (entries) {
    for (const auto& entry : *entries) {
      question.context.set(entry.ContextKeyName.value_or(""),
                           entry.ContextKeyValues.value_or(std::vector<std::string>()));
    }
  }
  identity::Policies policies;
  policies.identity = inputs.identity;
  policies.boundary = inputs.boundary;
  policies.has_boundary = inputs.has_boundary;
  policies.resource = inputs.resource;
  const auto decision = identity::decide(question, policies);
  const std::string verdict = decision.allowed ? "allowed" : decision.explicitly ? "explicitDeny" : "implicitDeny";
  wire::EvaluationResult out;
  out.EvalActionName = action;
  out.EvalResourceName = resource;
  out.EvalDecision = verdict;
  out.MatchedStatements = decision.explicitly || decision.allowed ? matched(inputs, question, decision.allowed)
                                                                  : std::vector<wire::Statement>();
  out.MissingContextValues.emplace();
  out.EvalDecisionDetails.emplace();
  out.OrganizationsDecisionDetail.emplace();
  out.OrganizationsDecisionDetail->AllowedByOrganizations = true;
  if (inputs.has_boundary) {
    out.PermissionsBoundaryDecisionDetail.emplace();
    out.PermissionsBoundaryDecisionDetail->AllowedByPermissionsBoundary =
        decision.role != identity::PolicyRole::kBoundary;
  }
  if (resource_given) {
    wire::ResourceSpecificResult one;
    one.EvalResourceName = resource;
    one.EvalResourceDecision = verdict;
    one.MatchedStatements = out.MatchedStatements;
    one.MissingContextValues.emplace();
    one.EvalDecisionDetails.emplace();
    if (out.PermissionsBoundaryDecisionDetail)
      one.PermissionsBoundaryDecisionDetail = out.PermissionsBoundaryDecisionDetail;
    out.ResourceSpecificResults.emplace();
    out.ResourceSpecificResults->push_back(std::move(one));
  }
  return out;
}

template <typename Request>
aws::ApiResult<wire::SimulatePolicyResponse> simulate(Inputs inputs, const Request& request) {
  if (request.ResourcePolicy) {
    auto policy =
        identity::Policy::parse(*request.ResourcePolicy, identity::PolicyKind::kResource, identity::Policy::kLongest);
    if (!policy) return refuse(wire::errors::InvalidInputException, policy.error().message);
    inputs.resource.push_back({.name = "ResourcePolicy", .policy = std::move(*policy)});
  }
  const bool given = request.ResourceArns && !request.ResourceArns->empty();
  const std::vector<std::string> resources = given ? *request.ResourceArns : std::vector<std::string>{"*"};
  wire::SimulatePolicyResponse out;
  out.EvaluationResults.emplace();
  for (const auto& action : request.ActionNames.value_or(std::vector<std::string>())) {
    if (!identity::is_action_pattern(action) || action == "*") {
      return refuse(wire::errors::InvalidInputException, fmt::format("Invalid Action Name: {}", action));
    }
    for (const auto& resource : resources) {
      out.EvaluationResults->push_back(evaluate(inputs, action, resource, request.ContextEntries, given));
    }
  }
  out.IsTruncated = false;
  return out;
}

Awaitable<aws::ApiResult<wire::SimulatePolicyResponse>> simulate_principal(
    Core& core, const aws::CallContext& context, wire::SimulatePrincipalPolicyRequest request) {
  auto inputs = principal_inputs(core, context, request.PolicySourceArn.value_or(""));
  if (!inputs) co_return std::unexpected(std::move(inputs.error()));
  auto added = add_documents(*inputs, request.PolicyInputList, "PolicyInputList", inputs->identity);
  if (!added) co_return std::unexpected(std::move(added.error()));
  if (request.PermissionsBoundaryPolicyInputList) {
    inputs->boundary.clear();
    inputs->has_boundary = true;
    auto bounded = add_documents(*inputs, request.PermissionsBoundaryPolicyInputList,
                                 "PermissionsBoundaryPolicyInputList", inputs->boundary);
    if (!bounded) co_return std::unexpected(std::move(bounded.error()));
  }
  co_return simulate(std::move(*inputs), request);
}

Awaitable<aws::ApiResult<wire::SimulatePolicyResponse>> simulate_custom(Core&, const aws::CallContext& context,
                                                                        wire::SimulateCustomPolicyRequest request) {
  Inputs inputs;
  inputs.caller.kind = identity::Caller::Kind::kUser;
  inputs.caller.account = context.principal.account;
  inputs.caller.arn =
      request.CallerArn.value_or(fmt::format("arn:aws:iam::{}:user/simulated", context.principal.account));
  auto added = add_documents(inputs, request.PolicyInputList, "PolicyInputList", inputs.identity);
  if (!added) co_return std::unexpected(std::move(added.error()));
  inputs.has_boundary = request.PermissionsBoundaryPolicyInputList.has_value();
  auto bounded = add_documents(inputs, request.PermissionsBoundaryPolicyInputList, "PermissionsBoundaryPolicyInputList",
                               inputs.boundary);
  if (!bounded) co_return std::unexpected(std::move(bounded.error()));
  co_return simulate(std::move(inputs), request);
}

}  // namespace

void bind_simulation(aws::Service& service, Core& core) {
  bind<wire::SimulatePrincipalPolicy>(service, core, simulate_principal);
  bind<wire::SimulateCustomPolicy>(service, core, simulate_custom);
}

}  // namespace mayfly::iam
