// Invoke and InvokeWithResponseStream.
#include "services/lambda/invoke.h"

#include <fmt/core.h>

#include <boost/json/basic_parser_impl.hpp>
#include <cstring>

#include "aws/event_stream.h"
#include "base/encoding.h"
#include "base/ids.h"
#include "services/lambda/async_invoke.h"

namespace mayfly::lambda {
namespace {

constexpr std::size_t kStreamBytes = 200UL * 1024 * 1024;

// A parser that keeps nothing: the payload is passed on as it came, so only its form matters here.
struct NoHandler {
  using code = boost::json::error_code;
  using text = boost::json::string_view;
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  bool on_document_begin(code&) { return true; }
  bool on_document_end(code&) { return true; }
  bool on_object_begin(code&) { return true; }
  bool on_object_end(std::size_t, code&) { return true; }
  bool on_array_begin(code&) { return true; }
  bool on_array_end(std::size_t, code&) { return true; }
  bool on_key_part(text, std::size_t, code&) { return true; }
  bool on_key(text, std::size_t, code&) { return true; }
  bool on_string_part(text, std::size_t, code&) { return true; }
  bool on_string(text, std::size_t, code&) { return true; }
  bool on_number_part(text, code&) { return true; }
  bool on_int64(std::int64_t, text, code&) { return true; }
  bool on_uint64(std::uint64_t, text, code&) { return true; }
  bool on_double(double, text, code&) { return true; }
  bool on_bool(bool, code&) { return true; }
  bool on_null(code&) { return true; }
  bool on_comment_part(text, code&) { return true; }
  bool on_comment(text, code&) { return true; }
};

struct Prepared {
  Resolved resolved;
  dispatch::Invocation invocation;
};

template <typename Request>
aws::ApiResult<Prepared> prepare(Core& core, const aws::CallContext& context, Request& request) {
  const auto place = core.place(context);
  auto name = parse_function_name(request.FunctionName.value_or(""), request.Qualifier, place);
  if (!name) return std::unexpected(std::move(name.error()));
  if (request.TenantId) return refuse_unsupported("TenantId", "instances are not kept apart by tenant");
  auto resolved = resolve(core, place, name->name, name->qualifier, random_share());
  if (!resolved) return std::unexpected(std::move(resolved.error()));
  Prepared out;
  out.resolved = std::move(*resolved);
  auto& invocation = out.invocation;
  invocation.request_id = context.request_id;
  invocation.invoked_function_arn = out.resolved.invoked_arn;
  if (request.Payload) invocation.payload = std::move(*request.Payload);
  if (invocation.payload.empty()) invocation.payload = "{}";
  if (invocation.payload.size() > kPayloadBytes && request.InvocationType != "Event") {
    return refuse(kRequestEntityTooLarge,
                  fmt::format("{} byte payload is too large for the RequestResponse invocation type (limit {} bytes)",
                              invocation.payload.size(), kPayloadBytes));
  }
  if (!is_json(invocation.payload)) {
    return refuse(wire::errors::InvalidRequestContentException,
                  "Could not parse request body into json: the payload is not valid JSON");
  }
  if (request.ClientContext && !request.ClientContext->empty()) {
    auto decoded = base64_decode(*request.ClientContext);
    if (!decoded || !is_json(*decoded)) {
      return refuse(wire::errors::InvalidRequestContentException,
                    "Client context must be a valid Base64-encoded JSON object.");
    }
    invocation.client_context = std::move(*decoded);
  }
  return out;
}

// A client's context belongs to synchronous invocations only.
AsyncEvent async_event(const Core& core, const aws::CallContext& context, const wire::InvocationRequest& request,
                       dispatch::Invocation invocation) {
  AsyncEvent out;
  out.place = core.place(context);
  const auto name = parse_function_name(request.FunctionName.value_or(""), request.Qualifier, out.place);
  if (name) {
    out.name = name->name;
    out.qualifier = name->qualifier;
  }
  out.request_id = std::move(invocation.request_id);
  out.payload = std::move(invocation.payload);
  out.trace_id = std::move(invocation.trace_id);
  return out;
}

Awaitable<aws::ApiResult<wire::InvocationResponse>> invoke(Core& core, const aws::CallContext& context,
                                                           wire::InvocationRequest request) {
  const auto type = request.InvocationType.value_or("RequestResponse");
  if (request.DurableExecutionName) {
    co_return refuse_unsupported("DurableExecutionName", "durable executions are not implemented");
  }
  auto prepared = prepare(core, context, request);
  if (!prepared) co_return std::unexpected(std::move(prepared.error()));
  wire::InvocationResponse out;
  if (type == "DryRun") {
    out.StatusCode = 204;
    co_return out;
  }
  if (type == "Event") {
    auto event = async_event(core, context, request, std::move(prepared->invocation));
    auto submitted = co_await submit_event(core, std::move(event));
    if (!submitted) co_return std::unexpected(std::move(submitted.error()));
    out.StatusCode = 202;
    out.Payload = "";
    co_return out;
  }
  auto outcome = co_await core.invoker.invoke(std::move(prepared->resolved.target), std::move(prepared->invocation));
  if (!outcome) co_return std::unexpected(invocation_error(outcome.error()));
  if (context.response != nullptr && outcome->served_on != nullptr) context.response->prefer(*outcome->served_on);
  out.StatusCode = 200;
  out.ExecutedVersion = std::move(outcome->executed_version);
  if (!outcome->function_error.empty()) out.FunctionError = std::move(outcome->function_error);
  if (request.LogType.value_or("None") == "Tail") out.LogResult = base64_encode(outcome->log_tail);
  out.Payload = std::move(outcome->payload);
  if (out.Payload->size() > kPayloadBytes) {
    json::object error;
    error["errorMessage"] =
        fmt::format("Response payload size ({} bytes) exceeded maximum allowed payload size ({} bytes).",
                    out.Payload->size(), kPayloadBytes);
    error["errorType"] = "Function.ResponseSizeTooLarge";
    out.Payload = to_json(error);
    out.FunctionError = "Unhandled";
  }
  co_return out;
}

std::string complete_event(const dispatch::Outcome& outcome, bool with_log) {
  json::object complete;
  if (!outcome.function_error.empty()) {
    complete["ErrorCode"] = outcome.function_error;
    complete["ErrorDetails"] = outcome.payload;
  } else if (!outcome.stream_error_type.empty()) {
    complete["ErrorCode"] = outcome.stream_error_type;
    complete["ErrorDetails"] = outcome.payload;
  }
  if (with_log) complete["LogResult"] = base64_encode(outcome.log_tail);
  return aws::encode_event("InvokeComplete", "application/json", to_json(complete));
}

Awaitable<aws::ApiResult<void>> invoke_with_stream(Core& core, const aws::CallContext& context,
                                                   wire::InvokeWithResponseStreamRequest request,
                                                   http::ResponseWriter& response) {
  const bool with_log = request.LogType.value_or("None") == "Tail";
  const bool dry_run = request.InvocationType.value_or("RequestResponse") == "DryRun";
  auto prepared = prepare(core, context, request);
  if (!prepared) co_return std::unexpected(std::move(prepared.error()));
  http::ResponseHead head;
  head.headers.set("x-amzn-RequestId", context.request_id);
  if (dry_run) {
    http::Response empty;
    empty.head = std::move(head);
    empty.head.status = 204;
    static_cast<void>(co_await response.send(std::move(empty)));
    co_return aws::ApiResult<void>();
  }
  const auto version = prepared->resolved.target->version;
  prepared->invocation.response_limit = kStreamBytes;
  auto pipe = start_streaming(core, std::move(prepared->resolved.target), std::move(prepared->invocation));
  if (!pipe) co_return refuse(wire::errors::ServiceException, "The server is stopping.");
  auto part = co_await pipe->next();
  if (!part && !pipe->outcome()) co_return std::unexpected(invocation_error(pipe->outcome().error()));
  auto content_type = pipe->content_type();
  if (content_type.empty()) content_type = "application/octet-stream";
  head.headers.set("Content-Type", std::string(aws::kEventStreamContentType));
  head.headers.set("X-Amz-Executed-Version", version);
  head.headers.set("X-Amzn-Remapped-Content-Type", content_type);
  auto sent = co_await response.begin(std::move(head));
  bool any = false;
  while (part && sent) {
    any = true;
    auto event = aws::encode_event("PayloadChunk", "application/octet-stream", *part);
    sent = co_await response.write(std::move(event));
    if (sent) part = co_await pipe->next();
  }
  if (!sent) {
    pipe->close();  // the function still finishes; what it writes is dropped
    co_return aws::ApiResult<void>();
  }
  const auto& outcome = pipe->outcome();
  if (!outcome) co_return aws::ApiResult<void>();  // without finish() the client sees an incomplete stream
  if (!any && outcome->function_error.empty() && !outcome->payload.empty()) {
    auto event = aws::encode_event("PayloadChunk", "application/octet-stream", outcome->payload);
    sent = co_await response.write(std::move(event));
  }
  auto last = complete_event(*outcome, with_log);
  if (sent) sent = co_await response.write(std::move(last));
  if (sent) sent = co_await response.finish();
  co_return aws::ApiResult<void>();
}

}  // namespace

aws::ApiResult<Resolved> resolve(const Core& core, const Place& place, const std::string& name,
                                 const std::string& qualifier, double random) {
  std::string version = qualifier.empty() ? std::string(kLatest) : qualifier;
  if (version != kLatest && !is_version_number(version)) {
    const auto function = core.tables.function(place, name);
    const auto alias = function ? function->aliases.find(version) : decltype(function->aliases.end())();
    if (!function || alias == function->aliases.end()) {
      return std::unexpected(function_missing(place, name, qualifier));
    }
    version = alias->second.FunctionVersion.value_or("");
    const auto& routing = alias->second.RoutingConfig;
    if (routing && routing->AdditionalVersionWeights) {
      double passed = 0;
      for (const auto& [other, weight] : *routing->AdditionalVersionWeights) {
        passed += weight;
        if (random < passed) {
          version = other;
          break;
        }
      }
    }
  }
  Resolved out;
  out.target = core.tables.target(place, name, version);
  if (!out.target) {
    return std::unexpected(function_missing(place, name, qualifier.empty() ? kLatest : std::string_view(qualifier)));
  }
  if (!out.target->unusable.empty()) {
    return refuse(wire::errors::KMSAccessDeniedException, out.target->unusable);
  }
  out.invoked_arn = function_arn(place, name, qualifier);
  return out;
}

double random_share() {
  // One request to the kernel serves many invocations.
  thread_local std::string buffer;
  thread_local std::size_t used = 0;
  std::uint32_t number = 0;
  if (used + sizeof(number) > buffer.size()) {
    buffer = random_bytes(1024);
    used = 0;
  }
  std::memcpy(&number, buffer.data() + used, sizeof(number));
  used += sizeof(number);
  return static_cast<double>(number) / 4294967296.0;
}

bool is_json(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = 1000;
  boost::json::basic_parser<NoHandler> parser(options);
  boost::json::error_code error;
  const auto used = parser.write_some(false, text.data(), text.size(), error);
  if (error) return false;
  const auto rest = text.substr(used);
  return parser.done() && rest.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

aws::ApiError invocation_error(const Error& error) {
  switch (error.code) {
    case ErrorCode::kThrottled: {
      auto out = refuse(wire::errors::TooManyRequestsException, "Rate Exceeded.").error();
      out.members["Reason"] = error.message;
      return out;
    }
    case ErrorCode::kUnsupported:
      return refuse(wire::errors::InvalidRuntimeException, error.message).error();
    case ErrorCode::kCancelled:
      return refuse(wire::errors::ServiceException, "The server is stopping.").error();
    default:
      return refuse_internal(error).error();
  }
}

std::shared_ptr<StreamPipe> start_streaming(Core& core, TargetPtr target, dispatch::Invocation invocation) {
  auto pipe = std::make_shared<StreamPipe>();
  invocation.sink = StreamPipe::sink(pipe);
  auto shared = std::make_shared<dispatch::Invocation>(std::move(invocation));
  Invoker& invoker = core.invoker;
  std::function<Awaitable<void>()> task = [&invoker, pipe, target, shared]() -> Awaitable<void> {
    auto outcome = co_await invoker.invoke(target, std::move(*shared));
    pipe->finish(std::move(outcome));
  };
  if (!core.streams.spawn(Reactor::current(), "streamed invocation", std::move(task))) return nullptr;
  return pipe;
}

void bind_invoke(aws::Service& service, Core& core) {
  bind<wire::Invoke>(service, core, invoke);
  service.bind_streaming<wire::InvokeWithResponseStream>([&core](const aws::CallContext& context,
                                                                 wire::InvokeWithResponseStreamRequest request,
                                                                 http::ResponseWriter& response) {
    return invoke_with_stream(core, context, std::move(request), response);
  });
}

}  // namespace mayfly::lambda
