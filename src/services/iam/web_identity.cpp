// AssumeRoleWithWebIdentity: a role for who holds a token of an issuer that the role's account knows and the role
// trusts. The request is not signed: the token is the proof.
#include "identity/issuer_keys.h"
#include "services/iam/sessions.h"

namespace mayfly::iam {
namespace {

std::unexpected<aws::ApiError> refuse_token(std::string message) {
  return refuse(tokens::errors::InvalidIdentityTokenException, std::move(message));
}

std::unexpected<aws::ApiError> refuse_by(const Error& why) {
  if (why.code == ErrorCode::kTimeout) return refuse(tokens::errors::ExpiredTokenException, "Token expired");
  // What exactly was wrong helps who made the token up.
  log(Level::kInfo, "a web identity was refused", {{"reason", why.message}});
  if (why.code == ErrorCode::kNotFound)
    return refuse_token(
        "Couldn't retrieve verification key from your identity provider,  please reference "
        "AssumeRoleWithWebIdentity documentation for requirements");
  return refuse_token("The ID Token provided is not a valid JWT for this provider.");
}

std::shared_ptr<const OidcProvider> provider_of(const Core& core, std::string_view account, const std::string& issuer) {
  const auto scheme = issuer.find("://");
  if (scheme == std::string::npos) return nullptr;
  auto found = core.providers.find(oidc_provider_key(account, issuer.substr(scheme + 3)));
  return found && found->url == issuer ? found : nullptr;
}

bool may_assume(const Core& core, const Entity& role, const OidcProvider& provider, const json::object& claims,
                const std::string& session_name) {
  auto trust = core.compiled(identity::PolicyKind::kTrust, role.trust);
  if (!trust) return false;
  identity::Question question;
  question.caller.kind = identity::Caller::Kind::kWebIdentity;
  question.caller.federated = provider.arn();
  question.action = "sts:AssumeRoleWithWebIdentity";
  question.resource = role.arn();
  question.resource_account = role.account;
  question.resource_policy_required = true;
  question.context.set("aws:FederatedProvider", provider.arn());
  question.context.set("aws:CurrentTime", iso8601_millis(core.clock.now()));
  question.context.set("sts:RoleSessionName", session_name);
  for (const auto* name : {"aud", "sub", "azp", "amr"}) {
    const auto* claim = claims.if_contains(name);
    if (claim == nullptr) continue;
    std::vector<std::string> values;
    if (claim->is_string()) values.emplace_back(claim->get_string());
    if (claim->is_array()) {
      for (const auto& one : claim->get_array()) values.push_back(identity::claim_text(one));
    }
    question.context.set(provider.name() + ":" + name, std::move(values));
  }
  const identity::NamedPolicy named{.name = "trust policy of " + role.arn(), .policy = std::move(*trust)};
  identity::Policies policies;
  policies.resource = {&named, 1};
  return identity::decide(question, policies).allowed;
}

Awaitable<aws::ApiResult<tokens::AssumeRoleWithWebIdentityResponse>> assume_role(
    Core& core, const aws::CallContext&, tokens::AssumeRoleWithWebIdentityRequest request) {
  if (request.ProviderId) {
    co_return refuse(aws::common_errors::NotImplemented,
                     "ProviderId is for OAuth 2.0 providers, which are not implemented");
  }
  const auto token = request.WebIdentityToken.value_or("");
  auto parsed = identity::parse_jwt(token);
  if (!parsed) co_return refuse_by(parsed.error());
  const auto role = core.role_by_arn(request.RoleArn.value_or(""));
  const std::string denied = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
  // A role that is not there is told like one that may not be assumed.
  if (!role || core.issuers == nullptr) co_return refuse(aws::common_errors::AccessDeniedException, denied);
  std::string issuer(get_string(parsed->claims, "iss"));
  const auto provider = provider_of(core, role->account, issuer);
  if (!provider) co_return refuse_token(fmt::format("No OpenIDConnect provider found in your account for {}", issuer));
  auto audience = provider->client_ids;
  auto claims = co_await core.issuers->verify(token, std::move(issuer), std::move(audience));
  if (!claims) co_return refuse_by(claims.error());
  const auto name = request.RoleSessionName.value_or("");
  if (!may_assume(core, *role, *provider, *claims, name))
    co_return refuse(aws::common_errors::AccessDeniedException, denied);
  auto duration = duration_of(request.DurationSeconds, role->max_session_seconds, false);
  if (!duration) co_return std::unexpected(std::move(duration.error()));
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
  session.tags = role->tags;
  if (auto added = add_policies(core, request, session); !added) co_return std::unexpected(std::move(added.error()));
  tokens::AssumedRoleUser user;
  user.AssumedRoleId = session.user_id;
  user.Arn = session.caller.arn;
  tokens::AssumeRoleWithWebIdentityResponse out;
  out.SubjectFromWebIdentityToken = std::string(get_string(*claims, "sub"));
  out.Provider = provider->arn();
  const auto* aud = claims->if_contains("aud");
  out.Audience = aud == nullptr ? std::string(get_string(*claims, "client_id")) : identity::claim_text(*aud);
  if (session.has_policies)
    out.PackedPolicySize = static_cast<std::int32_t>(session.policy.size() * 100 / kSessionPolicyLimit + 1);
  out.Credentials = shown(identity::issue(core.key, std::move(session)));
  out.AssumedRoleUser = std::move(user);
  co_return out;
}

}  // namespace

void bind_web_identity(aws::Service& service, Core& core) {
  bind<tokens::AssumeRoleWithWebIdentity>(service, core, assume_role);
}

}  // namespace mayfly::iam
