// The resource policy of a secret. What it says is decided by the front for every operation.
#include <fmt/core.h>

#include <algorithm>

#include "identity/policy_document.h"
#include "services/secrets/core.h"

namespace mayfly::secrets {
namespace {

constexpr std::size_t kLongestPolicy = 20'480;

// Lets everybody in, with no condition that could narrow it.
bool is_public(const identity::Policy& policy) {
  using Kind = identity::PrincipalPattern::Kind;
  return std::ranges::any_of(policy.statements(), [](const identity::Statement& statement) {
    if (!statement.allow || !statement.conditions.empty()) return false;
    return statement.not_principal || std::ranges::any_of(statement.principals, [](const auto& principal) {
             return principal.kind == Kind::kEveryone;
           });
  });
}

Result<identity::PolicyPtr> parse(const std::string& text) {
  return identity::Policy::parse(text, identity::PolicyKind::kResource, kLongestPolicy);
}

Awaitable<aws::ApiResult<wire::PutResourcePolicyResponse>> put_resource_policy(Core& core,
                                                                               const aws::CallContext& context,
                                                                               wire::PutResourcePolicyRequest request) {
  auto found = find_live(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  const auto text = request.ResourcePolicy.value_or("");
  const auto policy = parse(text);
  if (!policy) {
    co_return refuse(wire::errors::MalformedPolicyDocumentException,
                     fmt::format("This resource policy contains a syntax error: {}", policy.error().message));
  }
  if (request.BlockPublicPolicy.value_or(false) && is_public(**policy)) {
    co_return refuse(wire::errors::PublicPolicyException,
                     "The policy grants public access: a statement allows everybody without a condition.");
  }
  Edit edit = [text](Secret& record) -> aws::ApiResult<void> {
    record.policy = text;
    return {};
  };
  auto changed = co_await change_live(core, (*found)->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::PutResourcePolicyResponse out;
  out.ARN = (*changed)->arn();
  out.Name = (*changed)->name;
  co_return out;
}

Awaitable<aws::ApiResult<wire::GetResourcePolicyResponse>> get_resource_policy(Core& core,
                                                                               const aws::CallContext& context,
                                                                               wire::GetResourcePolicyRequest request) {
  auto found = find_live(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  wire::GetResourcePolicyResponse out;
  out.ARN = (*found)->arn();
  out.Name = (*found)->name;
  out.ResourcePolicy = some((*found)->policy);
  co_return out;
}

Awaitable<aws::ApiResult<wire::DeleteResourcePolicyResponse>> delete_resource_policy(
    Core& core, const aws::CallContext& context, wire::DeleteResourcePolicyRequest request) {
  auto found = find_live(core, context, request.SecretId);
  if (!found) co_return std::unexpected(std::move(found.error()));
  Edit edit = [](Secret& record) -> aws::ApiResult<void> {
    record.policy.clear();
    return {};
  };
  auto changed = co_await change_live(core, (*found)->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  wire::DeleteResourcePolicyResponse out;
  out.ARN = (*changed)->arn();
  out.Name = (*changed)->name;
  co_return out;
}

Awaitable<aws::ApiResult<wire::ValidateResourcePolicyResponse>> validate_resource_policy(
    Core& core, const aws::CallContext& context, wire::ValidateResourcePolicyRequest request) {
  if (request.SecretId) {
    auto found = find_live(core, context, request.SecretId);
    if (!found) co_return std::unexpected(std::move(found.error()));
  }
  wire::ValidateResourcePolicyResponse out;
  out.ValidationErrors.emplace();
  const auto policy = parse(request.ResourcePolicy.value_or(""));
  if (!policy) {
    co_return refuse(wire::errors::MalformedPolicyDocumentException,
                     fmt::format("This resource policy contains a syntax error: {}", policy.error().message));
  }
  if (is_public(**policy)) {
    wire::ValidationErrorsEntry error;
    error.CheckName = "PUBLIC_POLICY";
    error.ErrorMessage = "A statement allows everybody without a condition.";
    out.ValidationErrors->push_back(std::move(error));
  }
  out.PolicyValidationPassed = out.ValidationErrors->empty();
  co_return out;
}

}  // namespace

void bind_policies(aws::Service& service, Core& core) {
  bind<wire::PutResourcePolicy>(service, core, put_resource_policy);
  bind<wire::GetResourcePolicy>(service, core, get_resource_policy);
  bind<wire::DeleteResourcePolicy>(service, core, delete_resource_policy);
  bind<wire::ValidateResourcePolicy>(service, core, validate_resource_policy);
}

}  // namespace mayfly::secrets
