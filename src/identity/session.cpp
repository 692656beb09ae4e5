#include "identity/session.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/time_format.h"

namespace mayfly::identity {
namespace {

constexpr std::string_view kPurpose = "session tokens";

json::array list_of(const std::vector<std::string>& texts) {
  json::array out;
  for (const auto& text : texts) out.emplace_back(text);
  return out;
}

std::vector<std::string> texts_of(const json::value& document, std::string_view key) {
  std::vector<std::string> out;
  const auto* list = find(document, key);
  if (list == nullptr || !list->is_array()) return out;
  for (const auto& one : list->get_array()) {
    if (one.is_string()) out.emplace_back(one.get_string());
  }
  return out;
}

}  // namespace

TemporaryCredentials issue(const ServerKey& key, Session session) {
  session.access_key_id = "ASIA" + to_upper(random_alphanumeric(16));
  json::object out;
  out["id"] = session.access_key_id;
  out["kind"] = static_cast<std::int64_t>(session.caller.kind);
  out["account"] = session.caller.account;
  out["arn"] = session.caller.arn;
  out["role"] = session.caller.role_arn;
  out["user_id"] = session.user_id;
  out["name"] = session.principal_name;
  out["incarnation"] = session.incarnation;
  out["source"] = session.source_identity;
  out["issued"] = session.issued.time_since_epoch().count();
  out["expires"] = session.expires.time_since_epoch().count();
  out["cut"] = session.has_policies;
  out["policy"] = session.policy;
  out["policies"] = list_of(session.policy_arns);
  json::array tags;
  for (const auto& [name, value] : session.tags) tags.push_back(json::array{name, value});
  out["tags"] = std::move(tags);
  out["transitive"] = list_of(session.transitive_tags);
  out["nothing"] = session.nothing;
  TemporaryCredentials credentials;
  credentials.access_key_id = session.access_key_id;
  credentials.secret_access_key = key.secret_of(session.access_key_id);
  credentials.session_token = key.seal(kPurpose, to_json(out));
  credentials.expires = session.expires;
  return credentials;
}

std::optional<Session> open_session(const ServerKey& key, std::string_view access_key_id, std::string_view token) {
  const auto text = key.open(kPurpose, token);
  if (!text) return std::nullopt;
  const auto document = parse_json(*text);
  if (!document) return std::nullopt;
  Session session;
  session.access_key_id = get_string(*document, "id");
  if (!constant_time_equal(session.access_key_id, access_key_id)) return std::nullopt;
  session.caller.kind = static_cast<Caller::Kind>(get_int(*document, "kind"));
  session.caller.account = get_string(*document, "account");
  session.caller.arn = get_string(*document, "arn");
  session.caller.role_arn = get_string(*document, "role");
  session.user_id = get_string(*document, "user_id");
  session.principal_name = get_string(*document, "name");
  session.incarnation = get_string(*document, "incarnation");
  session.source_identity = get_string(*document, "source");
  session.issued = SystemTime(std::chrono::microseconds(get_int(*document, "issued")));
  session.expires = SystemTime(std::chrono::microseconds(get_int(*document, "expires")));
  session.has_policies = get_bool(*document, "cut", true);
  session.policy = get_string(*document, "policy");
  session.policy_arns = texts_of(*document, "policies");
  if (const auto* tags = find(*document, "tags"); tags != nullptr && tags->is_array()) {
    for (const auto& tag : tags->get_array()) {
      session.tags.emplace_back(std::string(tag.at(0).as_string()), std::string(tag.at(1).as_string()));
    }
  }
  session.transitive_tags = texts_of(*document, "transitive");
  session.nothing = get_bool(*document, "nothing", false);
  return session;
}

}  // namespace mayfly::identity
