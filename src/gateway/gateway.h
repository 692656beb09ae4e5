// The gateway's data plane: from an HTTP request, or a WebSocket's message, to an integration and back.
//
// Operation.   The host names an API (or a custom domain, whose first path segments do), the path's first segment a
//              stage, method and path a route. Preflight, throttle, authorizer, mapping, integration, mapping,
//              cross-origin headers, access log: in this order. APIs are published as immutable plans and swapped
//              whole. A WebSocket is a handshake of this kind and then messages, each an exchange of its own by the
//              plan of its moment; see web_socket.cpp.
// Concurrency. serve() on any reactor. A request keeps the plan that it began with.
// Limits.      Bodies of 10 MB either way, 6 MB to functions; integrations 30 s; kFetchThreads outbound HTTP requests
// at
//              a time and kFetchQueue waiting; kMostCached authorizer answers.
// Failures.    What is not decided is refused: no route 404, no identity 401, no right 403, too many 429, an
// integration
//              that fails 500, one that is late 503. Reasons go to the log and not to the client.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/async.h"
#include "base/clock.h"
#include "delivery/breaker.h"
#include "gateway/exchange.h"
#include "gateway/plan.h"
#include "gateway/response_cache.h"
#include "gateway/usage.h"
#include "gateway/web_socket_connections.h"
#include "http/client.h"
#include "http/server.h"
#include "identity/issuer_keys.h"

namespace mayfly::gateway {

struct FunctionCall {
  std::string function_arn;
  std::string source_arn;       // what the function's policy sees as aws:SourceArn
  std::string account;          // whose API it is
  std::string credentials_arn;  // the role that calls; "": the gateway itself, as apigateway.amazonaws.com
  bool as_caller = false;       // with the rights of whoever signed the request
  std::shared_ptr<const identity::Authenticated> caller;
  std::string payload;
  std::string request_id;
  std::string trace_id;
};
struct FunctionResult {
  std::string payload;
  std::string function_error;    // "", "Handled", "Unhandled"
  Reactor* served_on = nullptr;  // the instance's; null where none ran it
};

struct SignedRequest {
  const http::RequestHead& head;
  const std::string& body;
  std::string resource;  // the ARN that execute-api:Invoke is about
  std::string source_ip;
  bool tls = false;
  std::string action = "execute-api:Invoke";
};
struct SignedAnswer {
  bool allowed = false;
  bool authenticated = false;  // the signature is right, whatever policies say
  std::string reason;          // for the log
  json::object identity;       // requestContext.authorizer.iam
  std::shared_ptr<const identity::Authenticated> who;
};

struct Ports {
  // kForbidden where policies do not allow the call, kNotFound, kThrottled, kTimeout.
  std::function<Awaitable<Result<FunctionResult>>(FunctionCall)> invoke;
  std::function<SignedAnswer(const SignedRequest&)> check_signature;
  // Blocking; called on the gateway's own threads. Refuses addresses that nobody may reach from here.
  std::function<Result<http::Response>(const http::ClientRequest&, std::size_t limit)> fetch;
  std::function<void(std::string group, std::string stream, std::string line)> write_log;
};

class Gateway {
 public:
  static constexpr std::size_t kFetchThreads = 32;
  static constexpr std::size_t kFetchQueue = 512;
  static constexpr std::size_t kKeyThreads = 2;
  static constexpr std::size_t kMostBody = 10UL * 1024 * 1024;
  static constexpr std::size_t kMostPayload = 6UL * 1024 * 1024;
  static constexpr std::size_t kMostCached = 100'000;
  static constexpr std::size_t kMostBreakers = 10'000;
  // Messages of one WebSocket that are worked on at a time; the next ones wait unread.
  static constexpr std::size_t kMostInFlight = 16;
  // An HTTP server that fails or is late this often in a row is not asked for a while.
  static constexpr delivery::Breaker::Limits kBreaker{
      .failures = 5, .first = std::chrono::seconds(1), .longest = std::chrono::seconds(30)};

  Gateway(Clock& clock, Ports ports);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // From now on. Any thread.
  void publish(ApiPtr api);
  void withdraw(const std::string& api_id);
  void publish_domain(DomainPtr domain);
  void withdraw_domain(const std::string& name);
  // The bucket of this name, the present one where its limits are the same; null where there are none.
  std::shared_ptr<TokenBucket> bucket(const std::string& name, const std::optional<RateLimits>& limits);
  void forget_authorizations(const std::string& api_id);

  // "<api id>.execute-api.<anything>[:port]" or a custom domain name.
  [[nodiscard]] bool is_for(std::string_view host) const;
  // "/_aws/execute-api/<api id>/<path>": the same by any host, for clients that cannot resolve names of APIs.
  [[nodiscard]] static bool is_for_path(std::string_view path);
  Awaitable<void> serve(http::Request& request, http::ResponseWriter& response);

  // The server's drain has closed all WebSockets: until the last message and $disconnect is through. From a thread that
  // is no reactor. False when time ran out.
  bool drain_blocking(std::chrono::nanoseconds at_most);
  // Ends the waiting of requests for functions; after the server's drain.
  Awaitable<void> stop();

  [[nodiscard]] identity::IssuerKeys& issuers() { return issuers_; }
  [[nodiscard]] Usage& usage() { return usage_; }
  // Answers of a stage that are kept are not used any more.
  void flush_cache(std::string_view api_id, std::string_view stage) { responses_.flush(cache_prefix(api_id, stage)); }

 private:
  struct Place {
    ApiPtr api;
    StagePtr stage;
    std::string path;  // within the stage
  };
  struct Refusal {
    int status = 500;
    std::string message;
    std::string reason;  // for the log
    std::vector<std::pair<std::string, std::string>> headers;
    // Of REST APIs: the answer's type, else it follows from the status, and what it says instead of the type's words.
    std::string type{};
    std::string text{};
  };
  // nullopt: the request may pass.
  using Verdict = std::optional<Refusal>;

  [[nodiscard]] std::optional<Place> place_of(std::string_view host, std::string_view path) const;
  [[nodiscard]] std::optional<Place> place_of_path(EventInput& event) const;
  [[nodiscard]] static std::optional<Place> stage_of(const ApiPtr& api, std::string_view path);
  Verdict begin(Exchange& exchange, const Place& place) const;
  Verdict throttle(const Exchange& exchange) const;
  Awaitable<void> answer(Exchange& exchange, const Place& place, http::Request& request);
  void write_access(const Exchange& exchange) const;
  static void refuse(Exchange& exchange, const Refusal& refusal);
  [[nodiscard]] Refusal no_place(std::string_view host, Exchange& exchange) const;
  static Refusal rest_refusal(std::string_view type, std::string reason);

  // authorization.cpp
  Awaitable<Verdict> authorize(Exchange& exchange);
  Awaitable<Verdict> authorize_token(Exchange& exchange);
  Awaitable<Verdict> authorize_by_function(Exchange& exchange);
  // What the API's own policy says before anybody is asked who they are.
  static Verdict check_policy(const Exchange& exchange);
  Verdict authorize_signature(Exchange& exchange) const;
  Awaitable<Result<std::string>> fetch_document(std::string url);

  // response_cache.cpp
  Awaitable<Verdict> answer_by_cache(Exchange& exchange);
  [[nodiscard]] bool may_invalidate(const Exchange& exchange) const;

  // usage.cpp: the API key of a route that needs one.
  Verdict check_key(Exchange& exchange);

  // web_socket.cpp
  Awaitable<void> serve_web_socket(Exchange& exchange, const Place& place, http::Request& request,
                                   http::ResponseWriter& response);
  static Verdict check_handshake(const http::RequestHead& head, std::string_view path_in_stage);
  Awaitable<Verdict> ask_connect(Exchange& exchange);
  static ConnectionPtr begin_connection(Exchange& exchange);
  Awaitable<void> serve_socket(Exchange& exchange, ConnectionPtr connection, http::ResponseWriter& response);
  Awaitable<void> read_messages(ConnectionPtr connection);
  Awaitable<void> answer_message(ConnectionPtr connection, std::string text);
  Awaitable<void> say_goodbye(ConnectionPtr connection);
  Verdict choose_route(Exchange& exchange) const;
  // Where a connection's messages go now; nullopt where its API or stage has gone.
  [[nodiscard]] std::optional<Place> place_of(const Connection& connection) const;
  [[nodiscard]] Exchange event_of(const Connection& connection, const Place& place, SocketEvent::Kind kind) const;
  static void refuse_web_socket(Exchange& exchange, const Refusal& refusal);

  // connections_api.cpp
  Awaitable<void> serve_connection(Exchange& exchange, std::string id, http::Request& request,
                                   http::ResponseWriter& response);
  // nullopt where the caller may do this to this connection.
  [[nodiscard]] std::optional<http::Response> check_manager(const Exchange& exchange, const std::string& body,
                                                            const std::string& id) const;

  // integration.cpp
  Awaitable<Verdict> integrate(Exchange& exchange);
  Awaitable<Verdict> call_function(Exchange& exchange);
  Awaitable<Verdict> call_http(Exchange& exchange);
  static Verdict answer_mock(Exchange& exchange);
  // Whether the server at `base` may be asked now; a half-open breaker lets one through.
  bool may_ask(const std::string& base);
  void asked(const std::string& base, bool answered);
  Awaitable<Result<FunctionResult>> invoke(FunctionCall call, std::chrono::milliseconds timeout);

  struct Authorization {
    bool allowed = false;
    bool by_policy = false;
    std::string policy;
    std::string usage_key;
    json::object context;
    SteadyTime until{};
  };
  Verdict apply(Exchange& exchange, const Authorization& authorization) const;

  Clock& clock_;
  const Ports ports_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, ApiPtr> apis_;
  std::map<std::string, DomainPtr, std::less<>> domains_;
  std::map<std::string, std::weak_ptr<TokenBucket>> buckets_;
  std::mutex breakers_mutex_;
  std::map<std::string, delivery::Breaker> breakers_;  // of HTTP servers that have failed
  std::mutex cache_mutex_;
  std::map<std::string, Authorization> cache_;
  Usage usage_;
  ResponseCache responses_;
  BlockingPool fetches_{kFetchThreads, kFetchQueue};
  BlockingPool key_fetches_{kKeyThreads, kFetchQueue};
  identity::IssuerKeys issuers_;
  WebSocketConnections connections_;
  Scope scope_{"gateway"};
  Scope sockets_scope_{"gateway's messages"};
};

}  // namespace mayfly::gateway
