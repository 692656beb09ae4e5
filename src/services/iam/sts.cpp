// STS: temporary credentials. AssumeRole decides by the role's trust policy and, where that leaves it to the account,
// by the caller's own policies.
#include "aws/gen/sts.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/time_format.h"
#include "services/iam/sessions.h"

namespace mayfly::iam {
namespace {

constexpr std::int32_t kSessionTokenSeconds = 43'200;

// STS answers these; its model does not carry them.
const aws::ErrorModel kInvalidParameterValue{.code = "InvalidParameterValue", .status = 400, .sender_fault = true};

std::unexpected<aws::ApiError> refuse_assume(const std::string& caller, const std::string& action,
                                             const std::string& role) {
  return refuse(aws::common_errors::AccessDeniedException,
                fmt::format("User: {} is not authorized to perform: {} on resource: {}", caller, action, role));
}

aws::ApiResult<Tags> session_tags(const std::optional<std::vector<tokens::Tag>>& given,
                                  const std::optional<std::vector<std::string>>& transitive) {
  Tags out;
  const auto has = [&](const std::string& key) {
    return std::ranges::any_of(out, [&](const auto& tag) { return iequals(tag.first, key); });
  };
  if (given) {
    for (const auto& tag : *given) {
      if (has(tag.Key.value_or(""))) {
        return refuse(kInvalidParameterValue,
                      "Duplicate tag keys found. Please note that Tag keys are case insensitive.");
      }
      out.emplace_back(tag.Key.value_or(""), tag.Value.value_or(""));
    }
  }
  if (transitive && !std::ranges::all_of(*transitive, has)) {
    return refuse(kInvalidParameterValue, "The specified transitive tag key must be included in the requested tags.");
  }
  return out;
}

void inherit_tags(const identity::Authenticated& who, identity::Session& session) {
  if (!who.session) return;
  for (const auto& key : who.session->transitive_tags) {
    const auto same = [&](const auto& tag) { return iequals(tag.first, key); };
    const auto found = std::ranges::find_if(who.session->tags, same);
    if (found == who.session->tags.end()) continue;
    std::erase_if(session.tags, same);  // a transitive tag cannot be replaced further down the chain
    session.tags.push_back(*found);
    session.transitive_tags.push_back(key);
  }
}

bool may_assume(const Core& core, const identity::Authenticated& who, const Entity& role,
                const tokens::AssumeRoleRequest& request, const Tags& tags, const std::string& action) {
  auto trust = core.compiled(identity::PolicyKind::kTrust, role.trust);
  if (!trust) return false;
  identity::Question question;
  question.action = action;
  question.resource = role.arn();
  question.resource_account = role.account;
  question.resource_policy_required = true;
  auto& context = question.context;
  if (request.ExternalId) context.set("sts:ExternalId", *request.ExternalId);
  if (request.SourceIdentity) context.set("sts:SourceIdentity", *request.SourceIdentity);
  context.set("sts:RoleSessionName", request.RoleSessionName.value_or(""));
  context.set("aws:CurrentTime", iso8601_millis(core.clock.now()));
  std::vector<std::string> keys;
  for (const auto& [name, value] : tags) {
    context.set("aws:RequestTag/" + name, value);
    keys.push_back(name);
  }
  if (!keys.empty()) context.set("aws:TagKeys", std::move(keys));
  if (request.TransitiveTagKeys) context.set("sts:TransitiveTagKeys", *request.TransitiveTagKeys);
  for (const auto& [name, value] : role.tags) context.set("aws:ResourceTag/" + name, value);
  const identity::NamedPolicy named{.name = "trust policy of " + role.arn(), .policy = std::move(*trust)};
  return decide(core, who, question, {&named, 1}).allowed;
}

Awaitable<aws::ApiResult<tokens::AssumeRoleResponse>> assume_role(Core& core, const aws::CallContext& context,
                                                                  tokens::AssumeRoleRequest request) {
  if (request.SerialNumber || request.TokenCode) {
    co_return refuse(aws::common_errors::NotImplemented, "SerialNumber and TokenCode (MFA) are not implemented");
  }
  if (request.ProvidedContexts && !request.ProvidedContexts->empty()) {
    co_return refuse(aws::common_errors::NotImplemented, "ProvidedContexts is not implemented");
  }
  auto tags = session_tags(request.Tags, request.TransitiveTagKeys);
  if (!tags) co_return std::unexpected(std::move(tags.error()));
  const auto arn = request.RoleArn.value_or("");
  const auto role = core.role_by_arn(arn);
  const std::string action = "sts:AssumeRole";
  if (!context.who || !role || !may_assume(core, *context.who, *role, request, *tags, action)) {
    co_return refuse_assume(context.principal.arn, action, arn);
  }
  const std::string tag_action = "sts:TagSession";
  if (!tags->empty() && !may_assume(core, *context.who, *role, request, *tags, tag_action)) {
    co_return refuse_assume(context.principal.arn, tag_action, arn);
  }
  const std::string source_action = "sts:SetSourceIdentity";
  if (request.SourceIdentity && !may_assume(core, *context.who, *role, request, *tags, source_action)) {
    co_return refuse_assume(context.principal.arn, source_action, arn);
  }
  const bool chained = context.who->caller.kind == identity::Caller::Kind::kRoleSession;
  auto duration = duration_of(request.DurationSeconds, role->max_session_seconds, chained);
  if (!duration) co_return std::unexpected(std::move(duration.error()));
  const auto name = request.RoleSessionName.value_or("");
  identity::Session session;
  session.caller.kind = identity::Caller::Kind::kRoleSession;
  session.caller.account = role->account;
  session.caller.role_arn = role->arn();
  session.caller.arn = fmt::format("arn:aws:sts::{}:assumed-role/{}/{}", role->account, role->name, name);
  session.user_id = role->id + ":" + name;
  session.principal_name = role->name;
  session.incarnation = role->id;
  session.issued = core.clock.now();
  session.expires = session.issued + *duration;
  session.source_identity = request.SourceIdentity.value_or("");
  // The role's own tags hold where the session does not say otherwise.
  session.tags = *tags;
  session.transitive_tags = request.TransitiveTagKeys.value_or(std::vector<std::string>());
  inherit_tags(*context.who, session);
  for (const auto& tag : role->tags) {
    const auto same = [&](const auto& present) { return iequals(present.first, tag.first); };
    if (std::ranges::none_of(session.tags, same)) session.tags.push_back(tag);
  }
  if (auto added = add_policies(core, request, session); !added) co_return std::unexpected(std::move(added.error()));
  tokens::AssumedRoleUser user;
  user.AssumedRoleId = session.user_id;
  user.Arn = session.caller.arn;
  tokens::AssumeRoleResponse out;
  out.SourceIdentity = request.SourceIdentity;
  if (session.has_policies || !tags->empty()) {
    // A share of the bound, rounded up; AWS packs differently and tells its own figure.
    out.PackedPolicySize = static_cast<std::int32_t>(session.policy.size() * 100 / kSessionPolicyLimit + 1);
  }
  out.Credentials = shown(identity::issue(core.key, std::move(session)));
  out.AssumedRoleUser = std::move(user);
  co_return out;
}

Awaitable<aws::ApiResult<tokens::GetCallerIdentityResponse>> get_caller_identity(Core&, const aws::CallContext& context,
                                                                                 tokens::GetCallerIdentityRequest) {
  tokens::GetCallerIdentityResponse out;
  out.Account = context.principal.account;
  out.Arn = context.principal.arn;
  out.UserId = context.who ? context.who->user_id : context.principal.account;
  co_return out;
}

Awaitable<aws::ApiResult<tokens::GetSessionTokenResponse>> get_session_token(Core& core,
                                                                             const aws::CallContext& context,
                                                                             tokens::GetSessionTokenRequest request) {
  using Kind = identity::Caller::Kind;
  if (request.SerialNumber || request.TokenCode) {
    co_return refuse(aws::common_errors::NotImplemented, "SerialNumber and TokenCode (MFA) are not implemented");
  }
  if (!context.who || context.who->session) {
    co_return refuse(aws::common_errors::AccessDeniedException, "Cannot call GetSessionToken with session credentials");
  }
  const auto& who = *context.who;
  identity::Session session;
  session.caller = who.caller;
  session.user_id = who.user_id;
  session.principal_name = who.principal_name;
  if (who.caller.kind == Kind::kUser) {
    const auto user = core.entity(EntityKind::kUser, who.caller.account, who.principal_name);
    if (!user) co_return std::unexpected(missing(EntityKind::kUser, who.principal_name));
    session.incarnation = user->id;
    session.tags = user->tags;
  }
  session.issued = core.clock.now();
  session.expires = session.issued + std::chrono::seconds(request.DurationSeconds.value_or(kSessionTokenSeconds));
  tokens::GetSessionTokenResponse out;
  out.Credentials = shown(identity::issue(core.key, std::move(session)));
  co_return out;
}

Awaitable<aws::ApiResult<tokens::GetFederationTokenResponse>> get_federation_token(
    Core& core, const aws::CallContext& context, tokens::GetFederationTokenRequest request) {
  if (!context.who || context.who->session) {
    co_return refuse(aws::common_errors::AccessDeniedException,
                     "Cannot call GetFederationToken with session credentials");
  }
  const std::optional<std::vector<std::string>> none;
  auto tags = session_tags(request.Tags, none);
  if (!tags) co_return std::unexpected(std::move(tags.error()));
  const auto& who = *context.who;
  const auto name = request.Name.value_or("");
  identity::Session session;
  session.caller.kind = identity::Caller::Kind::kFederated;
  session.caller.account = who.caller.account;
  session.caller.arn = fmt::format("arn:aws:sts::{}:federated-user/{}", who.caller.account, name);
  session.user_id = fmt::format("{}:{}", who.caller.account, name);
  session.principal_name = who.principal_name;
  if (const auto user = core.entity(EntityKind::kUser, who.caller.account, who.principal_name)) {
    session.incarnation = user->id;
  }
  session.issued = core.clock.now();
  session.expires = session.issued + std::chrono::seconds(request.DurationSeconds.value_or(kSessionTokenSeconds));
  session.tags = *tags;
  if (auto added = add_policies(core, request, session); !added) co_return std::unexpected(std::move(added.error()));
  session.has_policies = true;  // without any, a federated user may do nothing
  tokens::FederatedUser user;
  user.FederatedUserId = session.user_id;
  user.Arn = session.caller.arn;
  tokens::GetFederationTokenResponse out;
  out.PackedPolicySize = static_cast<std::int32_t>(session.policy.size() * 100 / kSessionPolicyLimit);
  out.Credentials = shown(identity::issue(core.key, std::move(session)));
  out.FederatedUser = std::move(user);
  co_return out;
}

Awaitable<aws::ApiResult<tokens::GetAccessKeyInfoResponse>> get_access_key_info(
    Core& core, const aws::CallContext& context, tokens::GetAccessKeyInfoRequest request) {
  bool active = false;
  const auto id = request.AccessKeyId.value_or("");
  const auto owner = core.owner_of_key(id, active);
  tokens::GetAccessKeyInfoResponse out;
  out.Account = owner ? owner->account : context.principal.account;
  co_return out;
}

}  // namespace

void bind_sts(aws::Service& service, Core& core) {
  bind<tokens::AssumeRole>(service, core, assume_role);
  bind<tokens::GetCallerIdentity>(service, core, get_caller_identity);
  bind<tokens::GetSessionToken>(service, core, get_session_token);
  bind<tokens::GetFederationToken>(service, core, get_federation_token);
  bind<tokens::GetAccessKeyInfo>(service, core, get_access_key_info);
}

}  // namespace mayfly::iam
