#include "services/audit/record.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/ids.h"
#include "base/time_format.h"
#include "services/iam/iam.h"

namespace mayfly::audit {
namespace {

constexpr std::string_view kHidden = "HIDDEN_DUE_TO_SECURITY_REASONS";
constexpr std::size_t kLongestText = 1'024;
constexpr std::size_t kMostItems = 50;
constexpr std::size_t kLongestPart = 32'768;  // of a request or a response as text
constexpr int kDeepest = 12;

// Members that are secrets although their models do not say so, or not in every service.
constexpr std::array<std::string_view, 16> kSecretMembers{
    "AuthParameters", "ClientSecret", "Code",         "Environment",     "MasterUserPassword", "NewPassword",
    "OldPassword",    "Password",     "Payload",      "PrivateKey",      "RandomPassword",     "SecretAccessKey",
    "SecretBinary",   "SecretString", "SessionToken", "WebIdentityToken"};

constexpr std::array<std::string_view, 10> kReadOnlyStarts{"Get",      "List",     "Describe", "Lookup", "BatchGet",
                                                           "Simulate", "Validate", "Test",     "Decode", "AssumeRole"};

std::string lower_first(std::string_view name) {
  std::string out(name);
  // "ARN" stays, "SecretId" becomes "secretId": as CloudTrail spells them.
  const bool abbreviation = out.size() > 1 && out[1] >= 'A' && out[1] <= 'Z';
  if (!out.empty() && !abbreviation && out[0] >= 'A' && out[0] <= 'Z') out[0] = static_cast<char>(out[0] + 32);
  return out;
}

// The values of API Gateway's keys, which its model does not call sensitive.
bool is_api_key(std::string_view shape, std::string_view member) {
  return member == "value" && (shape == "ApiKey" || shape == "CreateApiKeyRequest" || shape == "UsagePlanKey");
}

json::value shown_value(const aws::ShapeModel& shape, const json::value& value, int depth) {
  if (shape.sensitive) return json::value(kHidden);
  if (shape.kind == aws::Kind::kBlob) return json::value("(bytes)");
  if (depth > kDeepest) return json::value("...");
  if (value.is_string()) {
    const std::string_view text(value.get_string());
    return text.size() <= kLongestText ? value : json::value(std::string(text.substr(0, kLongestText)) + "...");
  }
  if (value.is_array() && shape.kind == aws::Kind::kList && !shape.members.empty()) {
    json::array out;
    for (const auto& item : value.get_array()) {
      if (out.size() == kMostItems) {
        out.emplace_back("...");
        break;
      }
      out.push_back(shown_value(*shape.members[0].shape, item, depth + 1));
    }
    return out;
  }
  if (!value.is_object()) return value;
  json::object out;
  for (const auto& member : value.get_object()) {
    const std::string_view key(member.key());
    if (shape.kind == aws::Kind::kMap && shape.members.size() == 2) {
      if (out.size() == kMostItems) break;
      const bool hidden = shape.members[0].shape->sensitive;
      out[hidden ? kHidden : key] = shown_value(*shape.members[1].shape, member.value(), depth + 1);
      continue;
    }
    const auto model = std::ranges::find(shape.members, key, &aws::MemberModel::name);
    if (model == shape.members.end()) continue;
    const bool secret = std::ranges::find(kSecretMembers, key) != kSecretMembers.end() || is_api_key(shape.name, key);
    out[lower_first(key)] = secret ? json::value(kHidden) : shown_value(*model->shape, member.value(), depth + 1);
  }
  return out;
}

json::object issuer_of(const identity::Authenticated& who) {
  json::object issuer;
  issuer["type"] = "Role";
  issuer["principalId"] = who.user_id.substr(0, who.user_id.find(':'));
  issuer["arn"] = who.caller.role_arn;
  issuer["accountId"] = who.caller.account;
  issuer["userName"] = who.principal_name;
  return issuer;
}

json::object identity_of(const aws::CallContext& context) {
  using Kind = identity::Caller::Kind;
  json::object out;
  const auto* who = context.who.get();
  const bool of_role = who != nullptr && who->caller.kind == Kind::kRoleSession;
  out["type"] = who == nullptr                         ? "Unknown"
                : who->caller.kind == Kind::kRoot      ? "Root"
                : who->caller.kind == Kind::kUser      ? "IAMUser"
                : of_role                              ? "AssumedRole"
                : who->caller.kind == Kind::kFederated ? "FederatedUser"
                                                       : "WebIdentityUser";
  out["principalId"] = who == nullptr ? "" : who->user_id;
  out["arn"] = context.principal.arn;
  out["accountId"] = context.principal.account;
  out["accessKeyId"] = context.principal.access_key_id;
  if (who == nullptr) return out;
  if (!who->username.empty()) out["userName"] = who->username;
  if (who->session) {
    json::object attributes;
    attributes["creationDate"] = iso8601_millis(who->session->issued);
    attributes["mfaAuthenticated"] = "false";
    json::object session;
    if (of_role) session["sessionIssuer"] = issuer_of(*who);
    session["attributes"] = std::move(attributes);
    out["sessionContext"] = std::move(session);
  }
  return out;
}

// A part that is too long to keep says so and nothing else.
json::value bounded(json::object part) {
  if (part.empty()) return nullptr;
  if (to_json(part).size() <= kLongestPart) return part;
  json::object out;
  out["omitted"] = "too long to be recorded";
  return out;
}

// "2026-01-31T23:59:59Z"
std::string seconds_text(SystemTime now) {
  auto text = iso8601_millis(now);
  text.resize(std::min<std::size_t>(text.size(), 19));
  return text + "Z";
}

}  // namespace

json::object shown_document(const aws::ShapeModel* shape, const json::object& document) {
  if (shape == nullptr) return {};
  auto out = shown_value(*shape, json::value(document), 0);
  return out.is_object() ? std::move(out.get_object()) : json::object();
}

bool is_data_call(std::string_view service, std::string_view operation) {
  if (service == "lambda") return operation.starts_with("Invoke");
  if (service == "events") return operation == "PutEvents";
  if (service == "sns") return operation.starts_with("Publish");
  if (service != "sqs") return false;
  return operation.starts_with("SendMessage") || operation.starts_with("DeleteMessage") ||
         operation.starts_with("ChangeMessageVisibility") || operation == "ReceiveMessage";
}

bool is_read_only(std::string_view operation) {
  return std::ranges::any_of(kReadOnlyStarts,
                             [operation](std::string_view start) { return operation.starts_with(start); });
}

Made make_record(const aws::CallContext& context, const aws::ServiceModel& service,
                 const aws::OperationModel& operation, json::object request, const json::object* response,
                 const aws::ApiError* error, SystemTime now) {
  const bool read_only = is_read_only(operation.name);
  Made made;
  made.id = uuid4();
  json::object out;
  out["eventVersion"] = "1.11";
  out["userIdentity"] = identity_of(context);
  out["eventTime"] = seconds_text(now);
  out["eventSource"] = fmt::format("{}.amazonaws.com", service.signing_name);
  out["eventName"] = operation.name;
  out["awsRegion"] = context.region;
  out["sourceIPAddress"] = context.source_ip;
  out["userAgent"] = context.user_agent.substr(0, kLongestText);
  if (error != nullptr) {
    out["errorCode"] = error->model->code;
    out["errorMessage"] = error->message.substr(0, kLongestText);
  }
  out["requestParameters"] = bounded(std::move(request));
  out["responseElements"] =
      read_only || response == nullptr ? json::value() : bounded(shown_document(operation.output, *response));
  out["requestID"] = context.request_id;
  out["eventID"] = made.id;
  out["readOnly"] = read_only;
  out["eventType"] = "AwsApiCall";
  out["managementEvent"] = !is_data_call(service.signing_name, operation.name);
  out["recipientAccountId"] = context.principal.account;
  out["eventCategory"] = is_data_call(service.signing_name, operation.name) ? "Data" : "Management";
  made.text = to_json(out);
  return made;
}

}  // namespace mayfly::audit
