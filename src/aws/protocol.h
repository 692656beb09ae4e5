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

struct Route {
  const OperationModel* operation = nullptr;
  Labels labels;  // REST protocols only
};

class Protocol {
 public:
  Protocol() = default;
  Protocol(const Protocol&) = delete;
  Protocol& operator=(const Protocol&) = delete;
  virtual ~Protocol() = default;
  // The operation that a request is for; nullopt where the model has none such.
  [[nodiscard]] virtual std::optional<Route> route(const http::RequestHead& head) const = 0;
  // The document of a request. Kinds have been checked against the model, constraints have not (aws/validate.h).
  [[nodiscard]] virtual ApiResult<Call> parse(const Route& route, const http::RequestHead& head,
                                              std::string body) const = 0;
  [[nodiscard]] virtual http::Response write(const OperationModel& operation, Reply reply) const = 0;
  [[nodiscard]] virtual http::Response write_error(const ApiError& error) const = 0;
};

// The protocol that a service's model names; null for those that are not built in.
std::unique_ptr<const Protocol> make_protocol(const ServiceModel& model);

std::unique_ptr<const Protocol> make_rest_json_protocol(const ServiceModel& model);
std::unique_ptr<const Protocol> make_json_rpc_protocol(const ServiceModel& model);

}  // namespace mayfly::aws
