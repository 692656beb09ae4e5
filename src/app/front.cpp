#include "app/front.h"

#include <fmt/core.h>

#include "app/own_api.h"
#include "aws/model.h"
#include "aws/protocol.h"
#include "base/crypto.h"
#include "base/encoding.h"
#include "base/ids.h"
#include "gateway/gateway.h"
#include "http/query.h"
#include "services/lambda/lambda.h"

namespace mayfly::app {
namespace {

// A request whose body has been read already, as it must be to check its signature.
class ReadRequest final : public http::Request {
 public:
  ReadRequest(http::Request& original, std::string body) : original_(original), body_(std::move(body)) {
    head = original.head;
    length_ = body_.size();
  }
  Awaitable<Result<std::string>> read() override { co_return std::exchange(body_, {}); }
  Awaitable<Result<std::string>> read_all(std::size_t limit) override {
    if (body_.size() > limit) co_return fail(ErrorCode::kTooLarge, "the body is too large");
    co_return std::exchange(body_, {});
  }
  [[nodiscard]] const http::Headers& trailers() const override { return original_.trailers(); }
  [[nodiscard]] std::optional<std::uint64_t> content_length() const override { return length_; }
  [[nodiscard]] std::string_view peer_address() const override { return original_.peer_address(); }
  [[nodiscard]] bool is_tls() const override { return original_.is_tls(); }

 private:
  http::Request& original_;
  std::string body_;
  std::uint64_t length_ = 0;
};

aws::ApiError too_large(std::size_t limit) {
  static const aws::ErrorModel kModel{.code = "RequestEntityTooLargeException", .status = 413, .sender_fault = true};
  aws::ApiError error;
  error.model = &kModel;
  error.message = fmt::format("Request must be smaller than {} bytes", limit);
  return error;
}

aws::ApiError unknown_service(const std::string& service) {
  aws::ApiError error;
  error.model = &aws::common_errors::NotImplemented;
  error.message = fmt::format("The service {} is not implemented.", service);
  return error;
}

aws::ApiError body_error(const Error& cause, std::size_t limit) {
  if (cause.code == ErrorCode::kTooLarge) return too_large(limit);
  aws::ApiError error;
  error.model = &aws::common_errors::SerializationException;
  error.message = cause.message;
  return error;
}

// One parameter Action and no other of that name, so that nobody reads another operation out of it.
bool names_action_once(std::string_view form, std::string_view action) {
  std::size_t count = 0;
  for (auto at = form.find("Action="); at != std::string_view::npos; at = form.find("Action=", at + 1)) {
    if (at == 0 || form[at - 1] == '&') ++count;
  }
  return count == 1 && http::query_value(form, "Action") == action;
}

// The session token that a request claims, read where verify() reads it, which compares it once more.
std::string claimed_token(const http::RequestHead& head) {
  if (trim(head.headers.get("Authorization")).empty()) return query_value(head.query(), "X-Amz-Security-Token");
  return std::string(head.headers.get("X-Amz-Security-Token"));
}

aws::ApiError missing_signature() {
  aws::ApiError error;
  error.model = &aws::common_errors::MissingAuthenticationTokenException;
  error.message = "Missing Authentication Token";
  return error;
}

aws::ApiError throttled(std::chrono::nanoseconds wait) {
  aws::ApiError error;
  error.model = &aws::common_errors::ThrottlingException;
  error.message = "Rate exceeded";
  error.headers.emplace_back("Retry-After", std::to_string(std::chrono::ceil<std::chrono::seconds>(wait).count()));
  return error;
}

aws::ApiError expired() {
  aws::ApiError error;
  error.model = &aws::common_errors::ExpiredTokenException;
  error.message = "The security token included in the request is expired";
  return error;
}

RequestFacts facts_of(const http::Request& request) {
  RequestFacts facts;
  facts.source_ip = http::address_of(request.peer_address());
  facts.user_agent = request.head.headers.get("User-Agent");
  facts.tls = request.is_tls();
  return facts;
}

}  // namespace

Awaitable<void> send_error(http::ResponseWriter& response, const aws::ApiError& error, const std::string& request_id) {
  http::Response answer;
  answer.head.status = error.model->status;
  answer.head.headers.add("Content-Type", "application/json");
  answer.head.headers.add("x-amzn-RequestId", request_id);
  answer.head.headers.add("x-amzn-ErrorType", std::string(error.model->code));
  for (const auto& [name, value] : error.headers) answer.head.headers.add(name, value);
  json::object body = error.members;
  body["message"] = error.message;
  body["__type"] = error.model->code;
  answer.body = to_json(body);
  // A peer that has gone is no concern of ours here.
  std::ignore = co_await response.send(std::move(answer));
}

Awaitable<void> send_json(http::ResponseWriter& response, json::value body) {
  http::Response answer;
  answer.head.headers.add("Content-Type", "application/json");
  answer.body = to_json(body);
  std::ignore = co_await response.send(std::move(answer));
}

Front::Front(const Clock& clock, FrontSettings settings, OwnApi& own, lambda::Lambda& lambda, const iam::Iam& iam)
    : clock_(clock),
      body_limit_(settings.body_limit),
      admission_(clock, std::move(settings.admission)),
      own_(own),
      lambda_(lambda),
      iam_(iam),
      authorizer_(iam, clock) {}

void Front::add_service(const std::string& signing_name, const aws::Service& service) {
  services_[signing_name] = &service;
}

void Front::add_service_below(const std::string& signing_name, std::string path, const aws::Service& service) {
  services_below_[signing_name] = Below{.path = std::move(path), .service = &service};
}

const aws::Service* Front::service_of(std::string_view signing_name, std::string_view path) const {
  const auto below = services_below_.find(signing_name);
  if (below != services_below_.end() && path.starts_with(below->second.path)) return below->second.service;
  const auto found = services_.find(signing_name);
  return found == services_.end() ? nullptr : found->second;
}

void Front::add_open_door(OpenDoor door) { open_doors_.push_back(std::move(door)); }

Awaitable<void> Front::handle(http::Request& request, http::ResponseWriter& response) {
  const std::string_view path = request.head.path();
  if (!admission_.admits(http::address_of(request.peer_address()))) {
    http::Response answer;
    answer.head.status = 403;
    answer.head.headers.add("Content-Type", "application/json");
    answer.body = R"({"message":"Forbidden"})";
    std::ignore = co_await response.send(std::move(answer));
  } else if (lambda_.is_function_url_host(request.head.headers.get("Host"))) {
    co_await handle_function_url(request, response);
  } else if (is_for_gateway(request.head)) {
    co_await gateway_->serve(request, response);
  } else if (lambda::Lambda::is_code_path(path)) {
    co_await lambda_.serve_code(request, response);
  } else if (path == "/_mayfly/health") {
    json::value healthy = json::object{{"status", "ok"}, {"version", MAYFLY_VERSION}};
    co_await send_json(response, std::move(healthy));
  } else if (path == "/metrics" && request.peer_address().starts_with("127.0.0.1:")) {
    // A scraper on this machine needs no credentials; one from elsewhere signs for /_mayfly/metrics.
    co_await own_.refresh_delivery_gauges();
    co_await own_.metrics(response);
  } else if (const auto* door = open_door(request.head)) {
    co_await door->serve(request, response);
  } else {
    co_await handle_api(request, response);
  }
}

bool Front::is_for_gateway(const http::RequestHead& head) const {
  if (gateway_ == nullptr) return false;
  return gateway_->is_for(head.headers.get("Host")) || gateway::Gateway::is_for_path(head.path());
}

Awaitable<void> Front::handle_from_instance(http::Request& request, http::ResponseWriter& response) {
  if (gateway_ != nullptr && gateway::Gateway::is_for_path(request.head.path()))
    return gateway_->serve(request, response);
  return handle_api(request, response);
}

const Front::OpenDoor* Front::open_door(const http::RequestHead& head) const {
  for (const auto& door : open_doors_) {
    if (door.is_for(head)) return &door;
  }
  return nullptr;
}

Awaitable<void> Front::refuse(const http::RequestHead& head, http::ResponseWriter& response, const aws::ApiError& error,
                              std::string request_id) {
  const auto* service = service_of(aws::claimed_service(head), head.path());
  http::Response answer;
  if (service == nullptr) {
    answer = aws::error_without_service(head, error, request_id);
  } else {
    aws::CallContext context;
    context.request_id = std::move(request_id);
    answer = service->error_response(context, head, error);
  }
  // A peer that has gone is no concern of ours here.
  std::ignore = co_await response.send(std::move(answer));
}

aws::ApiResult<Front::Authenticated> Front::verify(const http::RequestHead& head, std::string body) const {
  std::optional<iam::Iam::Found> found;
  const auto token = claimed_token(head);
  const auto lookup = [&](std::string_view id) -> std::optional<aws::Secret> {
    found = iam_.find_credentials(id, token);
    if (!found) return std::nullopt;
    return found->secret;
  };
  const std::string hash = hex_encode(sha256(body));
  auto verified = aws::verify(head, hash, clock_.now(), lookup, aws::VerifySettings{});
  if (!verified) return std::unexpected(std::move(verified.error()));
  if (found->expires && *found->expires <= clock_.now()) return std::unexpected(expired());
  if (verified->payload_hash.starts_with("STREAMING-")) {
    auto decoded = aws::decode_chunked_payload(head, std::move(body), found->secret);
    if (!decoded) return std::unexpected(std::move(decoded.error()));
    body = std::move(*decoded);
  }
  return Authenticated{.body = std::move(body), .caller = std::move(*verified), .who = std::move(found->who)};
}

Awaitable<std::optional<Front::Authenticated>> Front::authenticate(http::Request& request,
                                                                   http::ResponseWriter& response,
                                                                   std::string request_id) {
  auto body = co_await request.read_all(body_limit_);
  if (!body) {
    if (body.error().code == ErrorCode::kClosed) co_return std::nullopt;
    const aws::ApiError error = body_error(body.error(), body_limit_);
    co_await refuse(request.head, response, error, request_id);
    co_return std::nullopt;
  }
  auto verified = verify(request.head, std::move(*body));
  if (!verified) {
    co_await refuse(request.head, response, verified.error(), request_id);
    co_return std::nullopt;
  }
  co_return std::move(*verified);
}

gateway::SignedAnswer Front::check_signed(const gateway::SignedRequest& request) const {
  gateway::SignedAnswer answer;
  auto verified = verify(request.head, request.body);
  if (!verified) {
    answer.reason = std::string(verified.error().model->code) + ": " + verified.error().message;
    return answer;
  }
  if (verified->caller.service != "execute-api") {
    answer.reason = "the signature is for another service";
    return answer;
  }
  answer.authenticated = true;
  aws::CallContext context;
  context.principal = verified->caller.principal;
  context.region = verified->caller.region;
  context.who = verified->who;
  RequestFacts facts;
  facts.source_ip = request.source_ip;
  facts.user_agent = request.head.headers.get("User-Agent");
  facts.tls = request.tls;
  const identity::Context nothing_more;
  if (auto refused = authorizer_.check_action(context, facts, request.action, request.resource, nothing_more)) {
    answer.reason = std::move(refused->message);
    return answer;
  }
  answer.allowed = true;
  answer.identity["accessKey"] = context.principal.access_key_id;
  answer.identity["accountId"] = context.principal.account;
  answer.identity["callerId"] = context.who->user_id;
  answer.identity["cognitoIdentity"] = nullptr;
  answer.identity["principalOrgId"] = nullptr;
  answer.identity["userArn"] = context.principal.arn;
  answer.identity["userId"] = context.who->user_id;
  answer.who = context.who;
  return answer;
}

Awaitable<void> Front::handle_function_url(http::Request& request, http::ResponseWriter& response) {
  constexpr std::string_view kAction = "lambda:InvokeFunctionUrl";
  aws::CallContext context;
  context.request_id = uuid4();
  context.host = request.head.headers.get("Host");
  context.tls = request.is_tls();
  const auto facts = facts_of(request);
  const auto function = lambda_.function_of_url(context.host).value_or("");
  identity::Context more;
  if (!lambda_.function_url_needs_caller(context.host)) {
    more.set("lambda:FunctionUrlAuthType", "NONE");
    const bool permitted = authorizer_.allows_anonymous(facts, std::string(kAction), function, more);
    co_await lambda_.serve_function_url(context, std::nullopt, permitted, request, response);
    co_return;
  }
  auto authenticated = co_await authenticate(request, response, context.request_id);
  if (!authenticated) co_return;
  context.principal = authenticated->caller.principal;
  context.region = authenticated->caller.region;
  context.who = std::move(authenticated->who);
  more.set("lambda:FunctionUrlAuthType", "AWS_IAM");
  const auto refused = authorizer_.check_action(context, facts, std::string(kAction), function, more);
  if (refused && audit_ != nullptr) {
    static const aws::ServiceModel kUrls{.name = "lambda", .signing_name = "lambda"};
    static const aws::OperationModel kInvokeUrl{.name = "InvokeFunctionUrl"};
    context.source_ip = facts.source_ip;
    context.user_agent = facts.user_agent;
    json::object asked;
    asked["functionArn"] = function;
    co_await audit_->end(context, kUrls, kInvokeUrl, std::move(asked), nullptr, &*refused);
  }
  ReadRequest read_request(request, std::move(authenticated->body));
  std::optional<aws::Principal> caller = context.principal;
  co_await lambda_.serve_function_url(context, std::move(caller), !refused.has_value(), read_request, response);
}

Awaitable<void> Front::explain(const http::RequestHead& head, http::ResponseWriter& response, std::string request_id) {
  const auto parameter = [&](std::string_view wanted) { return query_value(head.query(), wanted); };
  const auto found = authorizer_.explain(parameter("principal"), parameter("action"), parameter("resource"));
  if (!found) {
    aws::ApiError error;
    error.model = &aws::common_errors::ValidationException;
    error.message = fmt::format("There is no user or role {}.", parameter("principal"));
    co_await send_error(response, error, request_id);
    co_return;
  }
  json::value answer = json::object{{"Allowed", found->allowed}, {"Explanation", found->text}};
  co_await send_json(response, std::move(answer));
}

Awaitable<bool> Front::handle_web_identity(http::Request& request, http::ResponseWriter& response,
                                           std::string request_id) {
  constexpr std::string_view kAction = "AssumeRoleWithWebIdentity";
  constexpr std::size_t kMostForm = 64UL * 1024;
  const auto& head = request.head;
  const auto service = services_.find("sts");
  const bool is_form = head.headers.get("Content-Type").starts_with("application/x-www-form-urlencoded");
  const bool in_query = names_action_once(head.query(), kAction);
  if (head.headers.find("Authorization") != nullptr || service == services_.end()) co_return false;
  if (!in_query && (head.method != "POST" || !is_form || !head.query().empty())) co_return false;
  auto body = co_await request.read_all(kMostForm);
  aws::CallContext context;
  context.request_id = request_id;
  context.region = "us-east-1";
  if (!body) {
    const aws::ApiError error = body_error(body.error(), kMostForm);
    co_await refuse(head, response, error, request_id);
    co_return true;
  }
  if (in_query ? !body->empty() : !names_action_once(*body, kAction)) {
    auto verified = verify(head, std::move(*body));
    aws::ApiError error = missing_signature();
    if (!verified) error = std::move(verified.error());
    co_await refuse(head, response, error, request_id);
    co_return true;
  }
  const auto facts = facts_of(request);
  const aws::Authorize authorize = [&](const aws::CallContext& call, const aws::ServiceModel& model,
                                       const aws::OperationModel& operation,
                                       const json::object& document) -> std::optional<aws::ApiError> {
    // However its form is read: without a signature nothing else is run.
    if (operation.name != kAction) return missing_signature();
    return authorizer_.check(call, facts, model, operation, document);
  };
  context.authorize = &authorize;
  context.host = head.headers.get("Host");
  context.tls = request.is_tls();
  context.path = head.path();
  context.audit = audit_;
  context.source_ip = facts.source_ip;
  context.user_agent = facts.user_agent;
  context.response = &response;
  co_await service->second->serve(context, request, std::move(*body), response);
  co_return true;
}

Awaitable<void> Front::record_own(const aws::CallContext& context, const http::RequestHead& head,
                                  const aws::ApiError* refused) {
  if (audit_ == nullptr || (refused == nullptr && (head.method == "GET" || head.method == "HEAD"))) co_return;
  static const aws::ServiceModel kOwn{.name = "mayfly", .signing_name = "mayfly"};
  const std::string name = fmt::format("{} {}", head.method, head.path());
  const aws::OperationModel operation{.name = name};
  json::object request;
  if (!head.query().empty()) request["query"] = head.query();
  co_await audit_->end(context, kOwn, operation, std::move(request), nullptr, refused);
}

Awaitable<void> Front::handle_api(http::Request& request, http::ResponseWriter& response) {
  const std::string request_id = uuid4();
  const bool handled = co_await handle_web_identity(request, response, request_id);
  if (handled) co_return;
  auto authenticated = co_await authenticate(request, response, request_id);
  if (!authenticated) co_return;
  if (const auto wait = admission_.take(*authenticated->who); wait != std::chrono::nanoseconds(0)) {
    const aws::ApiError error = throttled(wait);
    co_await refuse(request.head, response, error, request_id);
    co_return;
  }
  const aws::Verified& caller = authenticated->caller;
  const auto facts = facts_of(request);
  aws::CallContext context;
  context.request_id = request_id;
  context.principal = caller.principal;
  context.region = caller.region;
  context.host = request.head.headers.get("Host");
  context.tls = request.is_tls();
  context.who = std::move(authenticated->who);
  context.audit = audit_;
  context.source_ip = facts.source_ip;
  context.user_agent = facts.user_agent;
  if (caller.service == "mayfly") {
    const identity::Context nothing_more;
    const auto refused = authorizer_.check_action(context, facts, "mayfly:Manage", "*", nothing_more);
    const aws::ApiError* error = refused ? &*refused : nullptr;
    co_await record_own(context, request.head, error);
    const std::string_view path = request.head.path();
    if (refused) {
      co_await send_error(response, *refused, request_id);
    } else if (path == "/_mayfly/explain") {
      co_await explain(request.head, response, request_id);
    } else if (path == "/_mayfly/deliveries") {
      co_await own_.deliveries(request, response);
    } else {
      if (path == "/_mayfly/metrics") co_await own_.refresh_delivery_gauges();
      // Its body has been read, for the signature covers it.
      ReadRequest read_request(request, std::move(authenticated->body));
      co_await own_.handle(read_request, response);
    }
    co_return;
  }
  const auto* service = service_of(caller.service, request.head.path());
  if (service == nullptr) {
    const aws::ApiError error = unknown_service(caller.service);
    co_await refuse(request.head, response, error, request_id);
    co_return;
  }
  const aws::Authorize authorize = [&](const aws::CallContext& call, const aws::ServiceModel& model,
                                       const aws::OperationModel& operation, const json::object& document) {
    return authorizer_.check(call, facts, model, operation, document);
  };
  context.authorize = &authorize;
  context.path = request.head.path();
  context.response = &response;
  co_await service->serve(context, request, std::move(authenticated->body), response);
}

}  // namespace mayfly::app
