// What a service sees of the wire: typed requests in, typed results or modelled errors out. Types and tables of a
// service are generated from its published model (tools/generate_service.py) as aws/gen/<service>.h in namespace
// mayfly::aws::<service>:
//   struct CreateFunctionRequest { std::optional<std::string> FunctionName; ... };   // member names as in the model
//   struct CreateFunction { using Request = CreateFunctionRequest; using Response = FunctionConfiguration;
//                           static const OperationModel& model(); };
//   namespace errors { extern const ErrorModel ResourceNotFoundException; ... }
// Scalars are std::optional<std::string|bool|std::int32_t|std::int64_t|double>, times std::optional<double> (epoch
// seconds), blobs std::optional<std::string> of raw bytes, structures std::optional<T>, lists
// std::optional<std::vector<T>>, maps std::optional<std::vector<std::pair<std::string, T>>> in wire order; recursive
// shapes are held by std::shared_ptr.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/async.h"
#include "base/json.h"
#include "http/server.h"

namespace mayfly::identity {
struct Authenticated;  // services/iam/iam.h
}

namespace mayfly::aws {

struct OperationModel;  // aws/model.h
struct ServiceModel;

struct ErrorModel {
  std::string_view code;  // "ResourceNotFoundException"
  int status;             // 404
  bool sender_fault;
  std::string_view message_member = "message";  // its name in the body
  bool type_member = false;                     // the body has "Type": "User" or "Service" (Lambda)
  // What the Query protocol calls it, and query-compatible JSON services in x-amzn-query-error: "" and 0 where it is
  // the same there.
  std::string_view query_code = {};
  int query_status = 0;
  std::string_view query_message = {};  // instead of its message there; "": the same
};

// The request or the response of an operation that has none.
struct Empty {};
inline void from_document(const json::object&, Empty&) {}
inline void to_document(const Empty&, json::object&) {}

// A modelled error as an operation returns it. `members` are further body members ("Type": "User", "Reason": "...").
struct ApiError {
  const ErrorModel* model = nullptr;
  std::string message;
  json::object members;
  std::vector<std::pair<std::string, std::string>> headers;  // e.g. Retry-After
  std::string request_id;                                    // set when it is written
};

template <typename T>
using ApiResult [[clang::warn_unused_result]] = std::expected<T, ApiError>;

struct Principal {
  std::string account;  // 12 digits
  std::string arn;      // "arn:aws:iam::000000000000:root"
  std::string access_key_id;
};

struct CallContext;
// An error refuses the operation.
using Authorize = std::function<std::optional<ApiError>(const CallContext&, const ServiceModel&, const OperationModel&,
                                                        const json::object& request)>;

// Hears of every call of an operation that it wants to hear of, with what came of it.
class Auditor {
 public:
  virtual ~Auditor() = default;
  // Before it runs: its request as it may be kept, or nullopt where only a refusal is of interest.
  [[nodiscard]] virtual std::optional<json::object> begin(const ServiceModel& service, const OperationModel& operation,
                                                          const json::object& request) const = 0;
  // When it has ended, before its answer is sent. Null for what there is not: a response or an error.
  virtual Awaitable<void> end(const CallContext& context, const ServiceModel& service, const OperationModel& operation,
                              json::object request, const json::object* response, const ApiError* error) = 0;
};

// Who calls, from where, and what for. Lives as long as the handler runs.
struct CallContext {
  std::string request_id;
  Principal principal;
  std::string region;  // of the credential scope
  std::string host;    // Host header as sent
  bool tls = false;
  // The caller's identity in full, for services that decide by it; null where the front has none.
  std::shared_ptr<const identity::Authenticated> who;
  // Asked before an operation runs, with its request as a document; null allows everything. Outlives the call.
  const Authorize* authorize = nullptr;
  Auditor* audit = nullptr;  // null records nothing
  std::string source_ip;
  std::string user_agent;
  std::string path;                          // of the request, as sent: some services name their resource in it
  http::ResponseWriter* response = nullptr;  // to hear that the peer has gone; null where there is none
};

// Errors that every service shares.
namespace common_errors {
extern const ErrorModel AccessDeniedException;                // 403
extern const ErrorModel ExpiredTokenException;                // 403
extern const ErrorModel IncompleteSignatureException;         // 400
extern const ErrorModel InternalFailure;                      // 500, ServiceException in Lambda
extern const ErrorModel InvalidSignatureException;            // 403
extern const ErrorModel MissingAuthenticationTokenException;  // 403
extern const ErrorModel NotImplemented;                       // 501
extern const ErrorModel SerializationException;               // 400
extern const ErrorModel ThrottlingException;                  // 429
extern const ErrorModel UnknownOperationException;            // 404
extern const ErrorModel UnrecognizedClientException;          // 403
extern const ErrorModel ValidationException;                  // 400
}  // namespace common_errors

class Protocol;  // aws/protocol.h

// An operation behind one interface, whatever its types: documents of aws/model.h in and out. A blob payload travels
// beside the document.
struct Call {
  json::object document;
  std::optional<std::string> payload;
};
struct Reply {
  json::object document;
  std::optional<std::string> payload;
  bool written = false;    // the handler has written the response itself
  std::string request_id;  // set when it is written
};
class Bound {
 public:
  virtual ~Bound() = default;
  virtual Awaitable<ApiResult<Reply>> run(const CallContext& context, Call call,
                                          http::ResponseWriter& response) const = 0;
};

// One service's implemented operations. Bound once at start; then read only.
class Service {
 public:
  explicit Service(const ServiceModel& model);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Typed: the request has been parsed and validated against the model. A blob payload is moved in and out, not copied.
  template <typename Op>
  void bind(
      std::function<Awaitable<ApiResult<typename Op::Response>>(const CallContext&, typename Op::Request)> handler);
  // Streaming result: as bind, but the handler writes the response itself once it has decided to; an ApiError returned
  // before that is written in the protocol's form.
  template <typename Op>
  void bind_streaming(
      std::function<Awaitable<ApiResult<void>>(const CallContext&, typename Op::Request, http::ResponseWriter&)>
          handler);

  // Finds the operation of a request, reads and checks the body, runs the handler, writes the answer. An operation that
  // the model knows and nobody bound answers 501 and names it; one the model does not know 404
  // UnknownOperationException.
  Awaitable<void> serve(const CallContext& context, http::Request& request, std::string body,
                        http::ResponseWriter& response) const;

  // An error in this service's wire form, for what is refused before serve(): signatures, permissions, sizes.
  // A service of several protocols answers in the one that the request speaks.
  [[nodiscard]] http::Response error_response(const CallContext& context, const http::RequestHead& head,
                                              ApiError error) const;

  [[nodiscard]] const ServiceModel& model() const { return model_; }

 private:
  void bind_erased(const OperationModel& operation, std::unique_ptr<const Bound> bound);
  Awaitable<void> serve_bound(const Protocol& protocol, const OperationModel& operation, const Bound& bound,
                              const CallContext& context, Call call, std::optional<json::object> audited,
                              http::ResponseWriter& response) const;
  [[nodiscard]] const Protocol& protocol_of(const http::RequestHead& head) const;

  const ServiceModel& model_;
  std::vector<std::unique_ptr<const Protocol>> protocols_;  // the model's own first
  std::vector<std::unique_ptr<const Bound>> bound_;         // by the operation's index in the model
};

namespace detail {

template <typename Op>
typename Op::Request take_request(Call& call) {
  typename Op::Request request;
  from_document(call.document, request);
  if constexpr (requires { blob_payload(request); }) {
    if (call.payload) blob_payload(request) = std::move(call.payload);
  }
  return request;
}

template <typename Op>
class BoundTyped final : public Bound {
 public:
  using Handler = std::function<Awaitable<ApiResult<typename Op::Response>>(const CallContext&, typename Op::Request)>;
  explicit BoundTyped(Handler handler) : handler_(std::move(handler)) {}
  Awaitable<ApiResult<Reply>> run(const CallContext& context, Call call, http::ResponseWriter&) const override {
    auto request = take_request<Op>(call);
    auto result = co_await handler_(context, std::move(request));
    if (!result) co_return std::unexpected(std::move(result.error()));
    Reply reply;
    to_document(*result, reply.document);
    if constexpr (requires { blob_payload(*result); }) reply.payload = std::move(blob_payload(*result));
    co_return reply;
  }

 private:
  Handler handler_;
};

template <typename Op>
class BoundStreaming final : public Bound {
 public:
  using Handler =
      std::function<Awaitable<ApiResult<void>>(const CallContext&, typename Op::Request, http::ResponseWriter&)>;
  explicit BoundStreaming(Handler handler) : handler_(std::move(handler)) {}
  Awaitable<ApiResult<Reply>> run(const CallContext& context, Call call,
                                  http::ResponseWriter& response) const override {
    auto request = take_request<Op>(call);
    auto result = co_await handler_(context, std::move(request), response);
    if (!result) co_return std::unexpected(std::move(result.error()));
    Reply reply;
    reply.written = true;
    co_return reply;
  }

 private:
  Handler handler_;
};

}  // namespace detail

template <typename Op>
void Service::bind(
    std::function<Awaitable<ApiResult<typename Op::Response>>(const CallContext&, typename Op::Request)> handler) {
  bind_erased(Op::model(), std::make_unique<detail::BoundTyped<Op>>(std::move(handler)));
}

template <typename Op>
void Service::bind_streaming(
    std::function<Awaitable<ApiResult<void>>(const CallContext&, typename Op::Request, http::ResponseWriter&)>
        handler) {
  bind_erased(Op::model(), std::make_unique<detail::BoundStreaming<Op>>(std::move(handler)));
}

}  // namespace mayfly::aws
