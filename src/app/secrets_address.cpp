// The address at which functions read secrets and parameters without an SDK, as the parameters-and-secrets extension of
// Lambda serves it: GET /secretsmanager/get and GET /systemsmanager/parameters/get on port 2773 of the instance's own
// loopback. The answer is that of GetSecretValue or GetParameter, with the rights of the function's role.
//
// Values are read from memory each time: nothing is cached, so that a rotated secret is seen at once.
#include <fmt/core.h>

#include "app/front.h"
#include "app/own_api.h"
#include "base/crypto.h"
#include "base/ids.h"

namespace mayfly::app {
namespace {

struct Translated {
  std::string service;
  std::string target;  // X-Amz-Target
  json::object body;
};

// What the request asks for; the Error's message is for the function.
Result<Translated> translate(const http::RequestHead& head) {
  const auto value = [&](std::string_view name) { return query_value(head.query(), name); };
  Translated out;
  if (head.method == "GET" && head.path() == "/secretsmanager/get") {
    if (value("secretId").empty()) return fail(ErrorCode::kInvalid, "the parameter secretId is missing");
    out.service = "secretsmanager";
    out.target = "secretsmanager.GetSecretValue";
    out.body["SecretId"] = value("secretId");
    if (const auto id = value("versionId"); !id.empty()) out.body["VersionId"] = id;
    if (const auto stage = value("versionStage"); !stage.empty()) out.body["VersionStage"] = stage;
    return out;
  }
  if (head.method == "GET" && head.path() == "/systemsmanager/parameters/get") {
    auto name = value("name");
    if (name.empty()) return fail(ErrorCode::kInvalid, "the parameter name is missing");
    if (auto version = value("version"); !version.empty()) {
      name += ":" + version;
    } else if (auto label = value("label"); !label.empty()) {
      name += ":" + label;
    }
    out.service = "ssm";
    out.target = "AmazonSSM.GetParameter";
    out.body["Name"] = name;
    out.body["WithDecryption"] = value("withDecryption") == "true";
    return out;
  }
  return fail(ErrorCode::kNotFound, fmt::format("there is no {} {}", head.method, head.path()));
}

class TranslatedRequest final : public http::Request {
 public:
  TranslatedRequest(http::Request& original, const std::string& target) : original_(original) {
    head.method = "POST";
    head.target = "/";
    head.headers.add("Content-Type", "application/x-amz-json-1.1");
    head.headers.add("X-Amz-Target", target);
  }
  Awaitable<Result<std::string>> read() override { co_return std::string(); }
  Awaitable<Result<std::string>> read_all(std::size_t) override { co_return std::string(); }
  [[nodiscard]] const http::Headers& trailers() const override { return original_.trailers(); }
  [[nodiscard]] std::optional<std::uint64_t> content_length() const override { return 0; }
  [[nodiscard]] std::string_view peer_address() const override { return original_.peer_address(); }
  [[nodiscard]] bool is_tls() const override { return false; }

 private:
  http::Request& original_;
};

Awaitable<void> send_status(http::ResponseWriter& response, int status, std::string message) {
  json::object body;
  body["message"] = message;
  http::Response answer;
  answer.head.status = status;
  answer.head.headers.add("Content-Type", "application/json");
  answer.body = to_json(body);
  std::ignore = co_await response.send(std::move(answer));
}

}  // namespace

Awaitable<void> Front::handle_secrets_address(http::Request& request, http::ResponseWriter& response,
                                              dispatch::FunctionCaller caller) {
  // The token shows that whoever asks is the function, and not a page or a library that reaches loopback addresses.
  const auto token = request.head.headers.get("X-Aws-Parameters-Secrets-Token");
  const auto found = iam_.find_credentials(caller.access_key_id, caller.session_token);
  const bool expired = found && found->expires && *found->expires <= clock_.now();
  if (caller.session_token.empty() || !constant_time_equal(token, caller.session_token) || !found || expired) {
    co_await send_status(response, 401, "X-Aws-Parameters-Secrets-Token is not AWS_SESSION_TOKEN");
    co_return;
  }
  auto translated = translate(request.head);
  if (!translated) {
    const int status = translated.error().code == ErrorCode::kNotFound ? 404 : 400;
    co_await send_status(response, status, std::move(translated.error().message));
    co_return;
  }
  RequestFacts facts;
  facts.source_ip = "127.0.0.1";
  facts.user_agent = request.head.headers.get("User-Agent");
  aws::CallContext context;
  context.request_id = uuid4();
  context.principal = found->secret.principal;
  context.region = caller.region;
  context.who = found->who;
  context.audit = audit_;
  context.source_ip = facts.source_ip;
  context.user_agent = facts.user_agent;
  const aws::Authorize authorize = [&](const aws::CallContext& call, const aws::ServiceModel& model,
                                       const aws::OperationModel& operation, const json::object& document) {
    return authorizer_.check(call, facts, model, operation, document);
  };
  context.authorize = &authorize;
  context.response = &response;
  const auto service = services_.find(translated->service);
  MAYFLY_ASSERT(service != services_.end());
  TranslatedRequest inner(request, translated->target);
  auto body = to_json(translated->body);
  co_await service->second->serve(context, inner, std::move(body), response);
}

}  // namespace mayfly::app
