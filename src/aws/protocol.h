// The wire protocols behind one interface: which operation a request names, its document, and answers in its form.
// A protocol is pure (no sockets, no coroutines) and is made once for each service.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/api.h"
#include "aws/model.h"
#include "http/message.h"

namespace mayfly::aws {

using Labels = std::vector<std::pair<std::string_view, std::string>>;  // name in the template, decoded value
using Form = std::vector<std::pair<std::string, std::string>>;         // decoded fields, in order

struct Route {
  const OperationModel* operation = nullptr;
  Labels labels;  // REST protocols only
  Form form;      // Query protocol only
};

class Protocol {
 public:
  Protocol() = default;
  Protocol(const Protocol&) = delete;
  Protocol& operator=(const Protocol&) = delete;
  virtual ~Protocol() = default;
  // Whether a request looks like this protocol's, for services that speak several.
  [[nodiscard]] virtual bool speaks(const http::RequestHead&) const { return true; }
  // The operation that a request is for; nullopt where the model has none such.
  [[nodiscard]] virtual std::optional<Route> route(const http::RequestHead& head) const = 0;
  // The same for protocols that name it in the body.
  [[nodiscard]] virtual std::optional<Route> route_with_body(const http::RequestHead& head, std::string_view) const {
    return route(head);
  }
  // What the error of a request without an operation says; "" where nothing.
  [[nodiscard]] virtual std::string unknown_text(const http::RequestHead&, std::string_view) const { return {}; }
  // The document of a request. Kinds have been checked against the model, constraints have not (aws/validate.h).
  [[nodiscard]] virtual ApiResult<Call> parse(const Route& route, const http::RequestHead& head,
                                              std::string body) const = 0;
  [[nodiscard]] virtual http::Response write(const OperationModel& operation, Reply reply) const = 0;
  [[nodiscard]] virtual http::Response write_error(const ApiError& error) const = 0;
};

// The protocol that a service's model names, for one that is built in; else null.
std::unique_ptr<const Protocol> make_protocol(const ServiceModel& model, WireProtocol protocol);
inline std::unique_ptr<const Protocol> make_protocol(const ServiceModel& model) {
  return make_protocol(model, model.protocol);
}

std::unique_ptr<const Protocol> make_rest_json_protocol(const ServiceModel& model);
std::unique_ptr<const Protocol> make_json_rpc_protocol(const ServiceModel& model, WireProtocol version);
std::unique_ptr<const Protocol> make_query_protocol(const ServiceModel& model);
std::unique_ptr<const Protocol> make_rest_xml_protocol(const ServiceModel& model);
std::unique_ptr<const Protocol> make_rpc_cbor_protocol(const ServiceModel& model);

// The service that a request is signed for, as far as it says so ("sqs"), verified or not; "" where it does not.
std::string_view claimed_service(const http::RequestHead& head);
// An error for a request whose service is not known, in the form that the request looks like.
http::Response error_without_service(const http::RequestHead& head, ApiError error, std::string request_id);

// x-amzn-query-error of services that once spoke Query alone, and the name of an error in them.
std::string query_error_header(const ErrorModel& error);
std::string qualified_error_code(const ServiceModel& model, const ErrorModel& error);

}  // namespace mayfly::aws
