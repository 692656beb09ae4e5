#include "services/lambda/lambda.h"

#include <fmt/core.h>

#include <filesystem>

#include "base/encoding.h"
#include "services/lambda/async_invoke.h"
#include "services/lambda/core.h"
#include "services/lambda/function_url.h"
#include "services/lambda/invoke.h"
#include "services/lambda/policy.h"

namespace mayfly::lambda {
namespace {

constexpr std::string_view kCodePath = "/_mayfly/code/";
constexpr std::string_view kForbidden =
    R"({"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: )"
    R"(https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"})";
constexpr std::string_view kMetadataEnd("\0\0\0\0\0\0\0\0", 8);
constexpr std::size_t kMetadataBytes = 64UL * 1024;

std::string_view without_port(std::string_view host) { return host.substr(0, host.find(':')); }

std::string_view first_label(std::string_view host) { return host.substr(0, host.find('.')); }

http::Response server_error(const Error& error) {
  if (error.code == ErrorCode::kThrottled) {
    return url_refusal(429, "TooManyRequestsException",
                       fmt::format(R"({{"Reason":"{}","Type":"User","message":"Rate Exceeded."}})", error.message));
  }
  return url_refusal(502, "", "Internal Server Error");
}

// Reads a streamed response up to the end of its metadata. nullopt where the stream ended before.
struct StreamStart {
  std::string metadata;
  std::string body;  // what came behind it
};
Awaitable<std::optional<StreamStart>> read_metadata(StreamPipe& pipe, std::string first) {
  StreamStart out;
  std::string buffer = std::move(first);
  for (;;) {
    const auto end = buffer.find(kMetadataEnd);
    if (end != std::string::npos) {
      out.metadata = buffer.substr(0, end);
      out.body = buffer.substr(end + kMetadataEnd.size());
      co_return out;
    }
    if (buffer.size() > kMetadataBytes) co_return std::nullopt;
    auto part = co_await pipe.next();
    if (!part) co_return std::nullopt;
    buffer += *part;
  }
}

}  // namespace

struct Lambda::Impl {
  Impl(store::KeyValue& store, store::Blob& blobs, BlockingPool& pool, Clock& clock, Invoker& invoker,
       LambdaSettings settings)
      : core(store, blobs, pool, clock, invoker, std::move(settings)), service(wire::service()) {
    core.mappings.table.use(store);
    bind_functions(service, core);
    bind_versions(service, core);
    bind_aliases(service, core);
    bind_urls(service, core);
    bind_concurrency(service, core);
    bind_provisioned(service, core);
    bind_tags(service, core);
    bind_policies(service, core);
    bind_layers(service, core);
    bind_event_sources(service, core);
    bind_invoke(service, core);
    bind_event_invoke(service, core);
  }

  Awaitable<void> answer_buffered(TargetPtr target, dispatch::Invocation invocation, wire::Cors cors,
                                  http::RequestHead head, http::ResponseWriter& response);
  Awaitable<void> answer_streamed(TargetPtr target, dispatch::Invocation invocation, wire::Cors cors,
                                  http::RequestHead head, http::ResponseWriter& response);

  Core core;
  aws::Service service;
};

Lambda::Lambda(store::KeyValue& store, store::Blob& blobs, BlockingPool& pool, Clock& clock, Invoker& invoker,
               LambdaSettings settings)
    : impl_(std::make_unique<Impl>(store, blobs, pool, clock, invoker, std::move(settings))) {}
Lambda::~Lambda() = default;

aws::Service& Lambda::service() { return impl_->service; }

void Lambda::deliver_through(delivery::Targets& targets, delivery::Delivery& delivery) {
  auto& core = impl_->core;
  core.targets = &targets;
  core.delivery = &delivery;
  core.tables.on_change([&core](const FunctionRecord& function) { wake_events(core, function); });
  add_targets(core, targets);
}

Awaitable<Result<void>> Lambda::load() {
  auto& core = impl_->core;
  std::error_code error;
  std::filesystem::create_directories(core.settings.code_directory, error);
  if (error) co_return fail(ErrorCode::kIo, "creating the folder for code: " + error.message());
  // A server that was killed while it unpacked or removed left these behind; nobody else writes here.
  for (const auto& entry : std::filesystem::directory_iterator(core.settings.code_directory, error)) {
    std::error_code ignored;
    if (entry.path().filename().string().starts_with('.')) std::filesystem::remove_all(entry.path(), ignored);
  }
  auto loaded = co_await core.tables.load();
  if (!loaded) co_return std::unexpected(std::move(loaded.error()));
  loaded = co_await core.mappings.table.load();
  if (!loaded) co_return std::unexpected(std::move(loaded.error()));
  for (auto& sha : core.tables.code_in_use()) {
    auto restored = co_await restore_code(core, std::move(sha));
    if (!restored) co_return std::unexpected(std::move(restored.error()));
  }
  co_return co_await core.janitor.sweep(core, Janitor::Patience::kNone);
}

void Lambda::read_from(std::string service, std::unique_ptr<EventSources> sources, Reactors& reactors) {
  impl_->core.mappings.add_sources(std::move(service), std::move(sources), reactors);
}

void Lambda::start_mappings() { impl_->core.mappings.start_all(impl_->core); }

void Lambda::start_janitor(Reactor& reactor) {
  auto& core = impl_->core;
  const std::function<Awaitable<void>()> task = [&core] { return core.janitor.run(core); };
  core.polls.spawn(reactor, "unused packages", task);
}

Awaitable<void> Lambda::join() {
  impl_->core.janitor.stop();
  impl_->core.polls.stop();
  co_await impl_->core.polls.join();
}

Awaitable<void> Lambda::stop() {
  impl_->core.mappings.stop_all();
  impl_->core.streams.stop();
  co_await impl_->core.streams.join();
}

bool Lambda::is_function_url_host(std::string_view host) const {
  const auto name = without_port(host);
  const auto& domain = impl_->core.settings.url_domain;
  const auto rest = name.substr(std::min(name.find('.'), name.size()));
  return rest.starts_with(".lambda-url.") && rest.size() > domain.size() &&
         iequals(rest.substr(rest.size() - domain.size()), domain);
}

bool Lambda::function_url_needs_caller(std::string_view host) const {
  const auto url = impl_->core.tables.url(to_lower(first_label(host)));
  return url && url->url.config.AuthType != "NONE";
}

std::optional<std::string> Lambda::function_of_url(std::string_view host) const {
  const auto url = impl_->core.tables.url(to_lower(first_label(host)));
  if (!url) return std::nullopt;
  return url->function->arn(url->url.qualifier);
}

namespace {

std::optional<Named> named_by(std::string_view arn) {
  const auto parsed = delivery::parse_arn(arn);
  return parsed ? named(*parsed) : std::nullopt;
}

}  // namespace

bool Lambda::has(std::string_view arn) const {
  const auto parts = named_by(arn);
  const auto function = parts ? impl_->core.tables.function(parts->place, parts->name) : nullptr;
  return function && find_version(*function, parts->qualifier) != nullptr;
}

std::optional<std::string> Lambda::resource_policy(std::string_view arn) const {
  const auto parts = named_by(arn);
  if (!parts) return std::nullopt;
  const auto function = impl_->core.tables.function(parts->place, parts->name);
  if (!function) return std::nullopt;
  const auto policy = function->policies.find(parts->qualifier);
  if (policy == function->policies.end() || policy->second.empty()) return std::nullopt;
  return policy->second.text();
}

Awaitable<Result<dispatch::Outcome>> Lambda::invoke(std::string arn, std::string payload, std::string request_id,
                                                    std::string trace_id) {
  auto& core = impl_->core;
  const auto parts = named_by(arn);
  if (!parts) co_return fail(ErrorCode::kNotFound, arn + " names no function");
  auto resolved = resolve(core, parts->place, parts->name, parts->qualifier, random_share());
  if (!resolved) co_return fail(ErrorCode::kNotFound, resolved.error().message);
  dispatch::Invocation invocation;
  invocation.request_id = std::move(request_id);
  invocation.invoked_function_arn = resolved->invoked_arn;
  invocation.trace_id = std::move(trace_id);
  invocation.payload = std::move(payload);
  co_return co_await core.invoker.invoke(std::move(resolved->target), std::move(invocation));
}

Awaitable<void> Lambda::serve_function_url(const aws::CallContext& context, std::optional<aws::Principal> caller,
                                           bool permitted, http::Request& request, http::ResponseWriter& response) {
  auto& core = impl_->core;
  const auto host = std::string(without_port(context.host));
  const auto found = core.tables.url(to_lower(first_label(host)));
  if (!found) {
    auto refusal = url_refusal(403, "AccessDeniedException", R"({"Message":null})");
    static_cast<void>(co_await response.send(std::move(refusal)));
    co_return;
  }
  const auto cors = found->url.config.Cors.value_or(wire::Cors());
  if (is_preflight(request.head) && found->url.config.Cors) {
    http::Response preflight;
    add_cors(cors, request.head, preflight.head.headers);
    static_cast<void>(co_await response.send(std::move(preflight)));
    co_return;
  }
  auto resolved = resolve(core, found->function->place, found->function->name, found->url.qualifier, random_share());
  const bool allowed = permitted && (found->url.config.AuthType == "NONE" || caller.has_value());
  if (!allowed || !resolved) {
    auto refusal = url_refusal(403, "AccessDeniedException", std::string(kForbidden));
    static_cast<void>(co_await response.send(std::move(refusal)));
    co_return;
  }
  auto body = co_await request.read_all(kPayloadBytes);
  if (!body) {
    auto refusal = url_refusal(body.error().code == ErrorCode::kTooLarge ? 413 : 400, "",
                               R"({"Message":"The request's body cannot be read."})");
    static_cast<void>(co_await response.send(std::move(refusal)));
    co_return;
  }
  UrlCall call;
  call.head = request.head;
  call.body = std::move(*body);
  call.source_ip = http::address_of(request.peer_address());
  call.request_id = context.request_id;
  call.url_id = found->url.id;
  call.domain = host;
  call.account = found->function->place.account;
  if (caller) call.caller_arn = caller->arn;
  call.tls = request.is_tls();
  call.now = core.clock.now();
  dispatch::Invocation invocation;
  invocation.request_id = context.request_id;
  invocation.invoked_function_arn = resolved->invoked_arn;
  invocation.trace_id = std::string(request.head.headers.get("X-Amzn-Trace-Id"));
  invocation.payload = url_event(call);
  if (found->url.config.InvokeMode == "RESPONSE_STREAM") {
    co_await impl_->answer_streamed(resolved->target, std::move(invocation), cors, request.head, response);
  } else {
    co_await impl_->answer_buffered(resolved->target, std::move(invocation), cors, request.head, response);
  }
}

Awaitable<void> Lambda::Impl::answer_buffered(TargetPtr target, dispatch::Invocation invocation, wire::Cors cors,
                                              http::RequestHead head, http::ResponseWriter& response) {
  auto outcome = co_await core.invoker.invoke(std::move(target), std::move(invocation));
  http::Response out;
  if (outcome && outcome->served_on != nullptr) response.prefer(*outcome->served_on);
  if (!outcome) {
    out = server_error(outcome.error());
  } else if (!outcome->function_error.empty()) {
    out = url_refusal(502, "", "Internal Server Error");
  } else {
    out = url_response(outcome->payload);
  }
  add_cors(cors, head, out.head.headers);
  static_cast<void>(co_await response.send(std::move(out)));
}

Awaitable<void> Lambda::Impl::answer_streamed(TargetPtr target, dispatch::Invocation invocation, wire::Cors cors,
                                              http::RequestHead head, http::ResponseWriter& response) {
  invocation.response_limit = 200UL * 1024 * 1024;
  const auto pipe = start_streaming(core, std::move(target), std::move(invocation));
  std::optional<std::string> part;
  if (pipe) part = co_await pipe->next();
  if (!part) {
    http::Response out;
    if (!pipe || !pipe->outcome()) {
      const Error stopping{.code = ErrorCode::kCancelled, .message = "stopping", .hint = ""};
      out = server_error(pipe ? pipe->outcome().error() : stopping);
    } else if (!pipe->outcome()->function_error.empty()) {
      out = url_refusal(502, "", "Internal Server Error");
    } else {
      out = url_response(pipe->outcome()->payload);  // the function did not stream
    }
    add_cors(cors, head, out.head.headers);
    static_cast<void>(co_await response.send(std::move(out)));
    co_return;
  }
  http::ResponseHead out;
  if (pipe->content_type() == kMetadataContentType) {
    auto start = co_await read_metadata(*pipe, std::move(*part));
    auto parsed = start ? url_stream_head(start->metadata) : std::nullopt;
    if (!parsed) {
      pipe->close();
      auto refusal = url_refusal(502, "", "Internal Server Error");
      static_cast<void>(co_await response.send(std::move(refusal)));
      co_return;
    }
    out = std::move(*parsed);
    part = std::move(start->body);
  } else {
    const auto type = pipe->content_type();
    out.headers.set("Content-Type", type.empty() ? std::string("application/octet-stream") : type);
  }
  add_cors(cors, head, out.headers);
  auto sent = co_await response.begin(std::move(out));
  while (part && sent) {
    if (!part->empty()) sent = co_await response.write(std::move(*part));
    if (sent) part = co_await pipe->next();
  }
  if (!sent) {
    pipe->close();
    co_return;
  }
  // A stream that failed midway is not finished, so that the client can tell.
  if (pipe->outcome() && pipe->outcome()->function_error.empty() && pipe->outcome()->stream_error_type.empty()) {
    sent = co_await response.finish();
  }
}

bool Lambda::is_code_path(std::string_view path) { return path.starts_with(kCodePath); }

Awaitable<void> Lambda::serve_code(http::Request& request, http::ResponseWriter& response) {
  auto& core = impl_->core;
  const std::string sha(request.head.path().substr(kCodePath.size()));
  if (!check_code_link(core, sha, request.head.query())) {
    auto refusal = url_refusal(403, "AccessDenied", R"({"Message":"The link is not valid or has expired."})");
    static_cast<void>(co_await response.send(std::move(refusal)));
    co_return;
  }
  store::BlobId id(sha);
  auto bytes = co_await core.blobs.get(std::move(id), core.limits.zipped_bytes);
  http::Response out;
  if (bytes) {
    out.head.headers.set("Content-Type", "application/zip");
    out.body = std::move(*bytes);
  } else {
    out = url_refusal(404, "", R"({"Message":"The package is not there."})");
  }
  static_cast<void>(co_await response.send(std::move(out)));
}

}  // namespace mayfly::lambda
