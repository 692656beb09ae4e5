#include "services/iam/iam.h"

#include "aws/gen/sts.h"
#include "base/crypto.h"
#include "base/time_format.h"
#include "services/iam/core.h"

namespace mayfly::iam {
namespace {

std::string last_part(std::string_view arn) { return std::string(arn.substr(arn.rfind('/') + 1)); }

// A document that cannot be read must not be without effect.
identity::PolicyPtr deny_everything() {
  static const auto kPolicy = identity::Policy::parse(
      R"({"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}})",
      identity::PolicyKind::kResource, identity::Policy::kLongest);
  return *kPolicy;
}

void set_own_keys(const identity::Authenticated& who, identity::Context& context) {
  const auto& caller = who.caller;
  context.set("aws:PrincipalArn", caller.role_arn.empty() ? caller.arn : caller.role_arn);
  context.set("aws:PrincipalAccount", caller.account);
  context.set("aws:userid", who.user_id);
  context.set("aws:PrincipalIsAWSService", "false");
  switch (caller.kind) {
    case identity::Caller::Kind::kRoot:
      context.set("aws:PrincipalType", "Account");
      break;
    case identity::Caller::Kind::kUser:
      context.set("aws:PrincipalType", "User");
      break;
    case identity::Caller::Kind::kRoleSession:
      context.set("aws:PrincipalType", "AssumedRole");
      break;
    default:
      context.set("aws:PrincipalType", "FederatedUser");
  }
  if (!who.username.empty()) context.set("aws:username", who.username);
  for (const auto& [name, value] : who.principal_tags) context.set("aws:PrincipalTag/" + name, value);
  if (!who.session) return;
  context.set("aws:TokenIssueTime", iso8601_millis(who.session->issued));
  if (!who.session->source_identity.empty()) context.set("aws:SourceIdentity", who.session->source_identity);
}

}  // namespace

struct Iam::Impl {
  Impl(store::KeyValue& store, Clock& clock, identity::ServerKey key, IamSettings settings)
      : core(store, clock, std::move(key), std::move(settings)) {
    auto who = std::make_shared<identity::Authenticated>();
    who->caller.kind = identity::Caller::Kind::kRoot;
    who->caller.account = core.settings.account;
    who->caller.arn = fmt::format("arn:aws:iam::{}:root", core.settings.account);
    who->user_id = core.settings.account;
    who->access_key_id = core.settings.root.principal.access_key_id;
    root = std::move(who);
  }

  AuthenticatedPtr user_of(const EntityPtr& user, std::string_view access_key_id) const;
  AuthenticatedPtr session_of(std::string_view access_key_id, std::string_view token) const;

  Core core;
  AuthenticatedPtr root;
  aws::Service iam{aws::iam::service()};
  aws::Service sts{aws::sts::service()};
  mutable std::mutex mutex;
  // Sessions that were opened, by key id and token. Everything in it is derived from the token.
  mutable std::map<std::string, AuthenticatedPtr> sessions;
};

AuthenticatedPtr Iam::Impl::user_of(const EntityPtr& user, std::string_view access_key_id) const {
  auto who = std::make_shared<identity::Authenticated>();
  who->caller.kind = identity::Caller::Kind::kUser;
  who->caller.account = user->account;
  who->caller.arn = user->arn();
  who->user_id = user->id;
  who->principal_name = user->name;
  who->username = user->name;
  who->access_key_id = access_key_id;
  who->principal_tags = user->tags;
  return who;
}

AuthenticatedPtr Iam::Impl::session_of(std::string_view access_key_id, std::string_view token) const {
  constexpr std::size_t kMostSessions = 16'384;
  // The hash keeps what a client sends out of the table, and comparisons independent of it.
  const auto name = sha256(fmt::format("{}\n{}", access_key_id, token));
  {
    const std::lock_guard lock(mutex);
    if (const auto found = sessions.find(name); found != sessions.end()) return found->second;
  }
  auto opened = identity::open_session(core.key, access_key_id, token);
  if (!opened) return nullptr;
  auto who = std::make_shared<identity::Authenticated>();
  who->caller = opened->caller;
  who->user_id = opened->user_id;
  who->principal_name = opened->principal_name;
  who->access_key_id = access_key_id;
  who->principal_tags = opened->tags;
  if (opened->caller.kind == identity::Caller::Kind::kUser) who->username = opened->principal_name;
  if (!opened->policy.empty()) {
    auto policy = identity::Policy::parse(opened->policy, identity::PolicyKind::kIdentity, identity::Policy::kLongest);
    if (!policy) return nullptr;
    who->session_policies.push_back({.name = "session policy", .policy = std::move(*policy)});
  }
  who->session = std::make_shared<const identity::Session>(std::move(*opened));
  const std::lock_guard lock(mutex);
  if (sessions.size() >= kMostSessions) sessions.clear();
  sessions[name] = who;
  return who;
}

identity::Decision decide(const Core& core, const identity::Authenticated& who, identity::Question& question,
                          std::span<const identity::NamedPolicy> resource) {
  using Kind = identity::Caller::Kind;
  question.caller = who.caller;
  set_own_keys(who, question.context);
  identity::Policies policies;
  policies.resource = resource;
  if (who.caller.kind == Kind::kRoot && !who.session) return identity::decide(question, policies);
  // Whoever holds a session has at most what its user or role has now.
  const bool of_role = who.caller.kind == Kind::kRoleSession;
  EntityPtr entity;
  if (!who.principal_name.empty()) {
    entity = core.entity(of_role ? EntityKind::kRole : EntityKind::kUser, who.caller.account, who.principal_name);
  }
  const bool replaced = entity && who.session && who.session->incarnation != entity->id;
  const bool of_root = who.caller.kind == Kind::kRoot && who.session && !who.session->nothing;
  EffectivePtr effective;
  if (entity && !replaced) effective = core.effective(entity);
  identity::Decision nothing;
  nothing.role = identity::PolicyRole::kIdentity;
  if (effective && effective->broken) return nothing;
  // A session whose principal is gone, or is another one of that name, keeps nothing: no resource policy revives it.
  if (!effective && !of_root) return nothing;
  std::vector<identity::NamedPolicy> all_session;
  if (effective) {
    policies.identity = effective->identity;
    policies.boundary = effective->boundary;
    policies.has_boundary = effective->has_boundary;
  }
  if (who.session && who.session->has_policies) {
    all_session = who.session_policies;
    for (const auto& arn : who.session->policy_arns) {
      const auto managed = core.managed(arn);
      if (!managed) continue;
      auto policy =
          core.compiled(identity::PolicyKind::kIdentity, managed->versions.at(managed->default_version).document);
      if (!policy) return nothing;
      all_session.push_back({.name = arn, .policy = std::move(*policy)});
    }
    policies.session = all_session;
    policies.has_session = true;
  }
  return identity::decide(question, policies);
}

Iam::Iam(store::KeyValue& store, Clock& clock, identity::ServerKey key, IamSettings settings)
    : impl_(std::make_unique<Impl>(store, clock, std::move(key), std::move(settings))) {
  bind_users(impl_->iam, impl_->core);
  bind_roles(impl_->iam, impl_->core);
  bind_groups(impl_->iam, impl_->core);
  bind_policies(impl_->iam, impl_->core);
  bind_entity_policies(impl_->iam, impl_->core);
  bind_simulation(impl_->iam, impl_->core);
  bind_oidc_providers(impl_->iam, impl_->core);
  bind_sts(impl_->sts, impl_->core);
  bind_web_identity(impl_->sts, impl_->core);
}

Iam::~Iam() = default;

void Iam::verify_tokens_by(identity::IssuerKeys& issuers) { impl_->core.issuers = &issuers; }

Awaitable<Result<void>> Iam::load() {
  auto policies = co_await impl_->core.policies.load();
  if (policies) policies = co_await impl_->core.providers.load();
  if (!policies) co_return policies;
  co_return co_await impl_->core.entities.load();
}

aws::Service& Iam::iam_service() { return impl_->iam; }
aws::Service& Iam::sts_service() { return impl_->sts; }

std::optional<Iam::Found> Iam::find_credentials(std::string_view access_key_id, std::string_view token) const {
  const auto& core = impl_->core;
  Found found;
  if (constant_time_equal(access_key_id, core.settings.root.principal.access_key_id)) {
    found.secret = core.settings.root;
    found.who = impl_->root;
    return found;
  }
  if (!token.empty()) {
    found.who = impl_->session_of(access_key_id, token);
    if (!found.who) return std::nullopt;
    found.secret.session_token = token;
    found.expires = found.who->session->expires;
  } else {
    bool active = false;
    const auto user = core.owner_of_key(access_key_id, active);
    if (!user || !active) return std::nullopt;
    found.who = impl_->user_of(user, access_key_id);
  }
  found.secret.secret_access_key = core.key.secret_of(access_key_id);
  found.secret.principal.account = found.who->caller.account;
  found.secret.principal.arn = found.who->caller.arn;
  found.secret.principal.access_key_id = access_key_id;
  return found;
}

AuthenticatedPtr Iam::principal(std::string_view arn) const {
  const auto& core = impl_->core;
  if (const auto role = core.role_by_arn(arn)) {
    auto who = std::make_shared<identity::Authenticated>();
    who->caller.kind = identity::Caller::Kind::kRoleSession;
    who->caller.account = role->account;
    who->caller.arn = fmt::format("arn:aws:sts::{}:assumed-role/{}/explained", role->account, role->name);
    who->caller.role_arn = role->arn();
    who->user_id = role->id + ":explained";
    who->principal_name = role->name;
    who->principal_tags = role->tags;
    return who;
  }
  const auto user = core.entity(EntityKind::kUser, core.settings.account, last_part(arn));
  return user && user->arn() == arn ? impl_->user_of(user, "") : nullptr;
}

identity::Decision Iam::decide(const identity::Authenticated& who, identity::Question& question,
                               std::span<const identity::NamedPolicy> resource) const {
  return iam::decide(impl_->core, who, question, resource);
}

identity::NamedPolicy Iam::resource_policy(std::string name, const std::string& document) const {
  auto policy = impl_->core.compiled(identity::PolicyKind::kResource, document);
  return {.name = std::move(name), .policy = policy ? std::move(*policy) : deny_everything()};
}

std::string Iam::entity_arn(Named kind, std::string_view account, std::string_view name) const {
  const auto of = kind == Named::kUser   ? EntityKind::kUser
                  : kind == Named::kRole ? EntityKind::kRole
                                         : EntityKind::kGroup;
  if (const auto entity = impl_->core.entity(of, account, name)) return entity->arn();
  return fmt::format("arn:aws:iam::{}:{}/{}", account, kind_name(of), name);
}

bool Iam::role_exists(std::string_view role_arn) const { return impl_->core.role_by_arn(role_arn) != nullptr; }

bool Iam::role_trusts(std::string_view role_arn, std::string_view service) const {
  const auto role = impl_->core.role_by_arn(role_arn);
  if (!role) return false;
  auto trust = impl_->core.compiled(identity::PolicyKind::kTrust, role->trust);
  if (!trust) return false;
  identity::Question question;
  question.caller.kind = identity::Caller::Kind::kService;
  question.caller.service = service;
  question.action = "sts:AssumeRole";
  question.resource = role_arn;
  question.resource_account = role->account;
  question.context.set("aws:SourceAccount", role->account);
  const identity::NamedPolicy named{.name = "trust policy", .policy = std::move(*trust)};
  identity::Policies policies;
  policies.resource = {&named, 1};
  return identity::decide(question, policies).allowed;
}

identity::TemporaryCredentials Iam::role_credentials(const std::string& role_arn, const std::string& session_name,
                                                     std::chrono::seconds duration) const {
  const auto& core = impl_->core;
  const auto role = core.role_by_arn(role_arn);
  const bool usable = role && role_trusts(role_arn, "lambda.amazonaws.com");
  identity::Session session;
  session.caller.kind = identity::Caller::Kind::kRoleSession;
  session.caller.account = core.settings.account;
  session.caller.role_arn = role_arn;
  session.caller.arn =
      fmt::format("arn:aws:sts::{}:assumed-role/{}/{}", core.settings.account, last_part(role_arn), session_name);
  session.issued = core.clock.now();
  session.expires = session.issued + duration;
  session.nothing = !usable;
  if (usable) {
    session.principal_name = role->name;
    session.incarnation = role->id;
    session.user_id = role->id + ":" + session_name;
    session.tags = role->tags;
  } else {
    session.user_id = "AROANOSUCHROLE:" + session_name;
  }
  return identity::issue(core.key, std::move(session));
}

}  // namespace mayfly::iam
