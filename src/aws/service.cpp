// A service at work: route, parse, validate, run, write. The one place where an exception of an operation ends.
#include <fmt/format.h>

#include <exception>

#include "aws/api.h"
#include "aws/compression.h"
#include "aws/model.h"
#include "aws/protocol.h"
#include "aws/validate.h"
#include "base/log.h"

namespace mayfly::aws {

namespace {

// Recorded: what names no operation in either way is answered in neither's form.
http::Response neither_protocol() {
  http::Response response;
  response.head.status = 404;
  response.head.headers.add("Content-Type", "text/xml");
  response.body = "<UnknownOperationException/>\n";
  return response;
}

ApiError plain_error(const ErrorModel& model, std::string message) {
  ApiError error;
  error.model = &model;
  error.message = std::move(message);
  return error;
}

void report_defect(std::string_view service, std::string_view operation, std::string_view what) {
  log(Level::kError, "an operation threw", {{"service", service}, {"operation", operation}, {"what", what}});
}

const ErrorModel& failure_of(const ServiceModel& model) {
  for (const auto* error : model.errors) {
    if (error->code == "ServiceException") return *error;
  }
  return common_errors::InternalFailure;
}

}  // namespace

Service::Service(const ServiceModel& model) : model_(model), bound_(model.operations.size()) {
  protocols_.push_back(make_protocol(model));
  for (const auto protocol : model.also) protocols_.push_back(make_protocol(model, protocol));
  for (const auto& protocol : protocols_) MAYFLY_ASSERT(protocol != nullptr);
}

Service::~Service() = default;

void Service::bind_erased(const OperationModel& operation, std::unique_ptr<const Bound> bound) {
  const auto index = static_cast<std::size_t>(&operation - model_.operations.data());
  MAYFLY_ASSERT(index < bound_.size());
  MAYFLY_ASSERT(bound_[index] == nullptr);
  bound_[index] = std::move(bound);
}

const Protocol& Service::protocol_of(const http::RequestHead& head) const {
  for (const auto& protocol : protocols_) {
    if (protocol->speaks(head)) return *protocol;
  }
  return *protocols_.front();
}

http::Response Service::error_response(const CallContext& context, const http::RequestHead& head,
                                       ApiError error) const {
  error.request_id = context.request_id;
  auto response = protocol_of(head).write_error(error);
  response.head.headers.set("x-amzn-RequestId", context.request_id);
  return response;
}

Awaitable<void> Service::serve(const CallContext& context, http::Request& request, std::string body,
                               http::ResponseWriter& response) const {
  std::optional<ApiError> error;
  Call call;
  const Bound* bound = nullptr;
  std::optional<json::object> audited;
  const auto& protocol = protocol_of(request.head);
  if (model_.gzip_requests) {
    if (auto plain = undo_gzip(request.head.headers, body); !plain) error = std::move(plain.error());
  }
  const auto route = protocol.route_with_body(request.head, body);
  const bool named = &protocol != protocols_.front().get() || request.head.headers.find("X-Amz-Target") != nullptr;
  if (!route && !named && !model_.query_compatible.empty()) {
    auto answer = neither_protocol();
    answer.head.headers.set("x-amzn-RequestId", context.request_id);
    [[maybe_unused]] const auto sent = co_await response.send(std::move(answer));
    co_return;
  }
  if (error) {
    // Answered below.
  } else if (!route) {
    error = plain_error(common_errors::UnknownOperationException, protocol.unknown_text(request.head, body));
  } else {
    const auto& operation = *route->operation;
    bound = bound_[static_cast<std::size_t>(&operation - model_.operations.data())].get();
    if (bound == nullptr) {
      error = plain_error(common_errors::NotImplemented,
                          fmt::format("The operation {} of {} is not implemented", operation.name, model_.name));
    } else if (auto parsed = protocol.parse(*route, request.head, std::move(body)); !parsed) {
      error = std::move(parsed.error());
    } else {
      call = std::move(*parsed);
      if (context.audit != nullptr) audited = context.audit->begin(model_, operation, call.document);
      // Whether the caller may is decided first: who may not learns nothing from what is checked later.
      if (context.authorize != nullptr) error = (*context.authorize)(context, model_, operation, call.document);
      if (!error && operation.input != nullptr) error = validate(*operation.input, call);
    }
  }
  if (error) {
    // Whoever may not is recorded, whatever it was that they tried.
    const bool recorded = route && context.audit != nullptr && (audited || error->model->status == 403);
    if (recorded) {
      auto shown = std::move(audited).value_or(json::object());
      co_await context.audit->end(context, model_, *route->operation, std::move(shown), nullptr, &*error);
    }
    auto answer = error_response(context, request.head, std::move(*error));
    [[maybe_unused]] const auto sent = co_await response.send(std::move(answer));
    co_return;
  }
  co_await serve_bound(protocol, *route->operation, *bound, context, std::move(call), std::move(audited), response);
}

Awaitable<void> Service::serve_bound(const Protocol& protocol, const OperationModel& operation, const Bound& bound,
                                     const CallContext& context, Call call, std::optional<json::object> audited,
                                     http::ResponseWriter& response) const {
  const auto write_error = [&](ApiError error) {
    error.request_id = context.request_id;
    auto written = protocol.write_error(error);
    written.head.headers.set("x-amzn-RequestId", context.request_id);
    return written;
  };
  http::Response answer;
  std::optional<ApiError> thrown;
  try {
    auto reply = co_await bound.run(context, std::move(call), response);
    if (audited) {
      const json::object* done = reply ? &reply->document : nullptr;
      const ApiError* failed = reply ? nullptr : &reply.error();
      co_await context.audit->end(context, model_, operation, std::move(*audited), done, failed);
      audited.reset();
    }
    if (!reply) {
      answer = write_error(std::move(reply.error()));
    } else if (reply->written) {
      co_return;
    } else {
      reply->request_id = context.request_id;
      answer = protocol.write(operation, std::move(*reply));
      answer.head.headers.set("x-amzn-RequestId", context.request_id);
    }
  } catch (const std::exception& defect) {
    report_defect(model_.name, operation.name, defect.what());
    thrown = plain_error(failure_of(model_), "The service failed to handle the request.");
    answer = write_error(*thrown);
  }
  if (thrown && audited) {
    co_await context.audit->end(context, model_, operation, std::move(*audited), nullptr, &*thrown);
  }
  // Where a streamed answer has begun it cannot be taken back; the connection is cut for want of finish().
  if (response.started()) co_return;
  [[maybe_unused]] const auto sent = co_await response.send(std::move(answer));
}

}  // namespace mayfly::aws
