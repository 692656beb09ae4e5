#include "dispatch/runtime_api.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "dispatch/code_cache.h"
#include "dispatch/error_objects.h"

namespace mayfly::dispatch {
namespace {

using http::Request;
using http::Response;
using http::ResponseWriter;
using Peer = std::shared_ptr<RuntimePeer>;

constexpr std::string_view kPrefix = "/2018-06-01/runtime/";
// With this header an answer's receipt is left out: what comes back is the next event. Mayfly's own clients ask so,
// which halves the messages of an invocation.
constexpr std::string_view kThenNext = "Mayfly-Then-Next";
constexpr std::string_view kFunctionErrorType = "Lambda-Runtime-Function-Error-Type";

Response json_response(int status, std::string body) {
  Response response;
  response.head.status = status;
  response.head.headers.set("Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

Response accepted() { return json_response(202, "{\"status\":\"OK\"}\n"); }

Response refusal(int status, std::string_view type, std::string_view message) {
  return json_response(status, error_object(type, message));
}

Awaitable<void> send(ResponseWriter& writer, Response response) {
  const auto sent = co_await writer.send(std::move(response));
  static_cast<void>(sent);  // A runtime that has gone is seen by its exit.
}

// A caller's JSON may be spread over lines; in a header field its line breaks are spaces, which JSON reads alike.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  }
  return text;
}

void add_if_any(http::Headers& headers, std::string name, std::string value) {
  if (!value.empty()) headers.add(std::move(name), one_line(std::move(value)));
}

Awaitable<void> handle_next(Peer peer, ResponseWriter& writer) {
  if (!peer->may_ask_next()) {
    co_await send(writer, refusal(403, error_type::kInvalidState, "The last invocation has not been answered"));
    co_return;
  }
  NextCall call{.writer = writer};
  auto delivery = co_await peer->next(call);
  if (!delivery) {
    co_await send(writer, refusal(403, error_type::kInvalidState, "The instance has ended"));
    co_return;
  }
  Invocation& invocation = delivery->ticket->invocation;
  const auto deadline_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(delivery->deadline.time_since_epoch()).count();
  Response response;
  auto& headers = response.head.headers;
  headers.add("Content-Type", "application/json");
  headers.add("Lambda-Runtime-Aws-Request-Id", invocation.request_id);
  headers.add("Lambda-Runtime-Deadline-Ms", std::to_string(deadline_ms));
  headers.add("Lambda-Runtime-Invoked-Function-Arn", invocation.invoked_function_arn);
  add_if_any(headers, "Lambda-Runtime-Trace-Id", std::move(invocation.trace_id));
  add_if_any(headers, "Lambda-Runtime-Client-Context", std::move(invocation.client_context));
  add_if_any(headers, "Lambda-Runtime-Cognito-Identity", std::move(invocation.cognito_identity));
  response.body = std::move(invocation.payload);
  co_await send(writer, std::move(response));
}

// What the runtime hears of its answer: the receipt, or the next event.
Awaitable<void> after_answer(Peer peer, Request& request, ResponseWriter& writer) {
  // The caller's answer leaves before that: the runtime's next turn is nobody's to wait for.
  co_await Reactor::current().yield();
  if (request.head.headers.find(kThenNext) != nullptr) {
    co_await handle_next(std::move(peer), writer);
  } else {
    co_await send(writer, accepted());
  }
}

// Feeds the caller's sink; ends it where the caller has gone.
class SinkFeed {
 public:
  explicit SinkFeed(TicketPtr ticket) : ticket_(std::move(ticket)) {}
  void start(std::string content_type) {
    if (open() && ticket_->invocation.sink->on_start) ticket_->invocation.sink->on_start(std::move(content_type));
  }
  Awaitable<void> data(std::string part) {
    if (!open() || part.empty()) co_return;
    ticket_->sink_active = true;
    const bool wanted = co_await ticket_->invocation.sink->on_data(std::move(part));
    ticket_->sink_left();
    if (!wanted) gone_ = true;
  }

 private:
  [[nodiscard]] bool open() const { return !gone_ && !ticket_->done.is_set(); }
  TicketPtr ticket_;
  bool gone_ = false;
};

// Why the body did not come whole, in the runtime's terms.
Response unreadable(const Error& error, std::size_t limit) {
  if (error.code == ErrorCode::kTooLarge) {
    return refusal(413, error_type::kEntityTooLarge,
                   fmt::format("Exceeded maximum allowed payload size ({} bytes).", limit));
  }
  return refusal(400, "InvalidRequest", error.message);
}

RuntimeAnswer too_large(const Request& request, std::size_t limit) {
  const auto announced = request.content_length();
  const std::string size = announced ? fmt::format(" ({} bytes)", *announced) : std::string();
  RuntimeAnswer answer;
  answer.status = OutcomeStatus::kFunctionError;
  answer.function_error = "Unhandled";
  answer.content_type = "application/json";
  answer.payload = error_object(
      error_type::kResponseTooLarge,
      fmt::format("Response payload size{} exceeded maximum allowed payload size ({} bytes).", size, limit));
  return answer;
}

Awaitable<void> handle_buffered(Peer peer, TicketPtr ticket, Request& request, ResponseWriter& writer) {
  const std::size_t limit = ticket->invocation.response_limit;
  auto body = co_await request.read_all(limit);
  if (!body) {
    if (body.error().code == ErrorCode::kTooLarge) peer->answer(ticket, too_large(request, limit));
    co_await send(writer, unreadable(body.error(), limit));
    co_return;
  }
  RuntimeAnswer answer;
  answer.content_type = request.head.headers.get("Content-Type");
  if (ticket->invocation.sink) {
    SinkFeed feed(ticket);
    feed.start(answer.content_type);
    co_await feed.data(std::move(*body));
  } else {
    answer.payload = std::move(*body);
  }
  peer->answer(ticket, std::move(answer));
  co_await after_answer(std::move(peer), request, writer);
}

// A streamed response has begun when its error is known, so that the error travels in trailers.
void take_trailers(const http::Headers& trailers, RuntimeAnswer& answer) {
  const auto type = trailers.get(kFunctionErrorType);
  if (type.empty()) return;
  answer.status = OutcomeStatus::kFunctionError;
  answer.function_error = "Unhandled";
  answer.stream_error_type = type;
  const auto body = base64_decode(trailers.get("Lambda-Runtime-Function-Error-Body"));
  answer.payload = body && !body->empty() ? *body : error_object(type, "");
}

Awaitable<void> handle_streaming(Peer peer, TicketPtr ticket, Request& request, ResponseWriter& writer) {
  const bool buffered = ticket->invocation.sink == nullptr;
  const std::size_t limit = buffered ? ticket->invocation.response_limit : kStreamLimit;
  RuntimeAnswer answer;
  answer.content_type = request.head.headers.get("Content-Type");
  SinkFeed feed(ticket);
  if (!buffered) feed.start(answer.content_type);
  std::size_t total = 0;
  for (;;) {
    auto part = co_await request.read();
    if (!part && part.error().code == ErrorCode::kClosed) co_return;  // The runtime's end is what the caller hears.
    if (part && part->empty()) break;
    if (part) total += part->size();
    if (!part || total > limit) {
      const Error error = part ? Error{.code = ErrorCode::kTooLarge, .message = "", .hint = ""} : part.error();
      RuntimeAnswer refused = too_large(request, limit);
      refused.stream_error_type = error_type::kResponseTooLarge;
      peer->answer(ticket, std::move(refused));
      co_await send(writer, unreadable(error, limit));
      co_return;
    }
    if (buffered) {
      answer.payload.append(*part);
    } else {
      co_await feed.data(std::move(*part));
    }
  }
  take_trailers(request.trailers(), answer);
  peer->answer(ticket, std::move(answer));
  co_await after_answer(std::move(peer), request, writer);
}

Awaitable<void> handle_response(Peer peer, TicketPtr ticket, Request& request, ResponseWriter& writer) {
  // Begun and then failed is told by the header as well, where the runtime knew before the first byte.
  if (iequals(request.head.headers.get("Lambda-Runtime-Function-Response-Mode"), "streaming")) {
    co_await handle_streaming(std::move(peer), std::move(ticket), request, writer);
  } else {
    co_await handle_buffered(std::move(peer), std::move(ticket), request, writer);
  }
}

// The runtime's own error object, or one made of the header where the body is empty.
Awaitable<Result<std::string>> read_error(Request& request) {
  auto body = co_await request.read_all(kErrorLimit);
  if (!body) co_return std::unexpected(body.error());
  if (body->empty()) {
    const auto type = request.head.headers.get(kFunctionErrorType);
    *body = error_object(type.empty() ? "Runtime.Unknown" : type, "");
  }
  co_return std::move(*body);
}

Awaitable<void> handle_error(Peer peer, TicketPtr ticket, Request& request, ResponseWriter& writer) {
  auto body = co_await read_error(request);
  if (!body) {
    if (body.error().code == ErrorCode::kTooLarge) peer->answer(ticket, too_large(request, kErrorLimit));
    co_await send(writer, unreadable(body.error(), kErrorLimit));
    co_return;
  }
  RuntimeAnswer answer;
  answer.status = OutcomeStatus::kFunctionError;
  answer.function_error = "Unhandled";
  answer.content_type = "application/json";
  answer.payload = std::move(*body);
  peer->answer(ticket, std::move(answer));
  co_await after_answer(std::move(peer), request, writer);
}

Awaitable<void> handle_restore_next(Peer peer, ResponseWriter& writer) {
  if (!peer->may_ask_restore()) {
    co_await send(writer, refusal(403, error_type::kInvalidState, "There is no snapshot to restore"));
    co_return;
  }
  NextCall call{.writer = writer};
  const bool restored = co_await peer->restore_next(call);
  if (!restored) {
    co_await send(writer, refusal(403, error_type::kInvalidState, "The instance has ended"));
    co_return;
  }
  co_await send(writer, json_response(200, "{}\n"));
}

// Only before the first event: what an invocation brings must have no part in what other instances run.
Awaitable<void> handle_code_cache(Peer peer, Request& request, ResponseWriter& writer) {
  if (!peer->initializing()) {
    co_await send(writer, refusal(403, error_type::kInvalidState, "The runtime has been initialized already"));
    co_return;
  }
  if (request.head.method == "GET") {
    const auto code = peer->compiled_code();
    Response response = code ? json_response(200, *code) : refusal(404, "NotFound", "There is no compiled code");
    if (code) response.head.headers.set("Content-Type", "application/octet-stream");
    co_await send(writer, std::move(response));
    co_return;
  }
  auto body = co_await request.read_all(CodeCache::kMostOfOne);
  if (!body) {
    co_await send(writer, unreadable(body.error(), CodeCache::kMostOfOne));
    co_return;
  }
  // Looked at again: the body may have been long in coming.
  const bool kept = peer->initializing() && peer->keep_compiled_code(std::move(*body));
  Response answer = kept ? accepted() : refusal(403, error_type::kInvalidState, "Compiled code is not wanted now");
  co_await send(writer, std::move(answer));
}

enum class StartPhase : std::uint8_t { kInit, kRestore };

Awaitable<void> handle_start_error(Peer peer, StartPhase phase, Request& request, ResponseWriter& writer) {
  const bool in_phase = phase == StartPhase::kInit ? peer->initializing() : peer->restoring();
  if (!in_phase) {
    const char* why =
        phase == StartPhase::kInit ? "The runtime has been initialized already" : "The runtime is not being restored";
    co_await send(writer, refusal(403, error_type::kInvalidState, why));
    co_return;
  }
  auto body = co_await read_error(request);
  if (!body) {
    co_await send(writer, unreadable(body.error(), kErrorLimit));
    co_return;
  }
  std::string type(request.head.headers.get(kFunctionErrorType));
  // Answered first: the instance ends with its error.
  co_await send(writer, accepted());
  if (phase == StartPhase::kInit) {
    peer->init_error(std::move(type), std::move(*body));
  } else {
    peer->restore_error(std::move(type), std::move(*body));
  }
}

Awaitable<void> handle_invocation(Peer peer, std::string rest, Request& request, ResponseWriter& writer) {
  const auto slash = rest.find('/');
  const std::string id = rest.substr(0, slash);
  const std::string verb = slash == std::string::npos ? std::string() : rest.substr(slash + 1);
  if (request.head.method != "POST" || (verb != "response" && verb != "error")) {
    co_await send(
        writer, refusal(404, "NotFound", "The Runtime API has no " + request.head.method + " " + request.head.target));
    co_return;
  }
  TicketPtr ticket = peer->current();
  if (!ticket || ticket->invocation.request_id != id) {
    const bool late = peer->was_last(id);
    Response refused = late ? refusal(403, error_type::kInvalidState, "The invocation has ended already")
                            : refusal(400, error_type::kInvalidRequestId, "Invalid request ID");
    co_await send(writer, std::move(refused));
    co_return;
  }
  if (verb == "response") {
    co_await handle_response(std::move(peer), std::move(ticket), request, writer);
  } else {
    co_await handle_error(std::move(peer), std::move(ticket), request, writer);
  }
}

Awaitable<void> handle_unknown(Request& request, ResponseWriter& writer) {
  const std::string path(request.head.path());
  std::string_view api;
  if (path.find("/extension") != std::string::npos) api = "Extensions";
  if (path.find("/telemetry") != std::string::npos || path.find("/logs") != std::string::npos) api = "Telemetry";
  Response refused = api.empty()
                         ? refusal(404, "NotFound", "The Runtime API has no " + request.head.method + " " + path)
                         : refusal(501, "NotImplemented", fmt::format("The Lambda {} API is not implemented", api));
  co_await send(writer, std::move(refused));
}

Awaitable<void> dispatch_call(Peer peer, Request& request, ResponseWriter& writer) {
  const std::string path(request.head.path());
  if (!path.starts_with(kPrefix)) {
    co_await handle_unknown(request, writer);
    co_return;
  }
  const std::string rest = path.substr(kPrefix.size());
  if (rest == "invocation/next" && request.head.method == "GET") {
    co_await handle_next(std::move(peer), writer);
  } else if (rest == "init/error" && request.head.method == "POST") {
    co_await handle_start_error(std::move(peer), StartPhase::kInit, request, writer);
  } else if (rest == "mayfly/code-cache" && (request.head.method == "GET" || request.head.method == "POST")) {
    co_await handle_code_cache(std::move(peer), request, writer);
  } else if (rest == "restore/next" && request.head.method == "GET") {
    co_await handle_restore_next(std::move(peer), writer);
  } else if (rest == "restore/error" && request.head.method == "POST") {
    co_await handle_start_error(std::move(peer), StartPhase::kRestore, request, writer);
  } else if (rest.starts_with("invocation/")) {
    std::string call = rest.substr(std::string_view("invocation/").size());
    co_await handle_invocation(std::move(peer), std::move(call), request, writer);
  } else {
    co_await handle_unknown(request, writer);
  }
}

}  // namespace

http::ServerLimits runtime_api_limits() {
  http::ServerLimits limits;
  limits.header_bytes = 1024UL * 1024;  // An error's X-Ray cause travels in a header.
  limits.body_bytes = kStreamLimit + 1;
  limits.connections = 64;
  // A function may compute for long between the parts of what it streams, and long before it asks again; its own
  // timeout bounds it.
  limits.body_timeout = std::chrono::minutes(16);
  limits.idle_timeout = std::chrono::hours(24 * 365);
  // A runtime connects before it loads the function, and asks when that is done.
  limits.header_timeout = std::chrono::minutes(16);
  return limits;
}

http::Handler runtime_api_handler(std::shared_ptr<RuntimePeer> peer, http::Handler platform) {
  // No coroutine itself: the coroutine holds the peer as its own argument and outlives this lambda.
  return [peer = std::move(peer), platform = std::move(platform)](Request& request, ResponseWriter& writer) {
    const bool runtime = request.head.path().starts_with(kPrefix);
    if (platform && !runtime && request.head.headers.get("Authorization").starts_with("AWS4-")) {
      return platform(request, writer);
    }
    return dispatch_call(peer, request, writer);
  };
}

}  // namespace mayfly::dispatch
