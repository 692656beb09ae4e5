// The rpc-v2-cbor protocol: the operation in the path, everything in a CBOR body.
#include <algorithm>

#include "aws/cbor.h"
#include "aws/json_wire.h"
#include "aws/protocol.h"

namespace mayfly::aws {

namespace {

constexpr std::string_view kProtocol = "rpc-v2-cbor";

class RpcCbor final : public Protocol {
 public:
  explicit RpcCbor(const ServiceModel& model) : model_(model) {
    for (const auto& operation : model.operations) by_name_.push_back(&operation);
    std::ranges::sort(by_name_, {}, &OperationModel::name);
  }

  bool speaks(const http::RequestHead& head) const override { return head.headers.get("smithy-protocol") == kProtocol; }

  // ".../service/<service>/operation/<operation>"
  std::optional<Route> route(const http::RequestHead& head) const override {
    const auto path = head.path();
    const auto slash = path.rfind('/');
    constexpr std::string_view kOperation = "/operation";
    constexpr std::string_view kService = "/service/";
    if (slash == std::string_view::npos || !path.substr(0, slash).ends_with(kOperation)) return std::nullopt;
    const auto before = path.substr(0, slash - kOperation.size());
    const auto service = before.rfind(kService);
    if (service == std::string_view::npos || before.substr(service + kService.size()) != model_.target_prefix) {
      return std::nullopt;
    }
    const auto name = path.substr(slash + 1);
    const auto found = std::ranges::lower_bound(by_name_, name, {}, &OperationModel::name);
    if (found == by_name_.end() || (*found)->name != name) return std::nullopt;
    return Route{.operation = *found, .labels = {}, .form = {}};
  }

  ApiResult<Call> parse(const Route& route, const http::RequestHead&, std::string body) const override {
    Call call;
    if (route.operation->input == nullptr || body.empty()) return call;
    auto wire = parse_cbor(body);
    if (!wire) return std::unexpected(serialization_error(wire.error().message));
    auto document = from_wire_cbor(*route.operation->input, std::move(*wire));
    if (!document) return std::unexpected(std::move(document.error()));
    call.document = std::move(document->get_object());
    return call;
  }

  http::Response write(const OperationModel& operation, Reply reply) const override {
    http::Response response;
    response.head.headers.add("smithy-protocol", std::string(kProtocol));
    if (operation.output == nullptr) return response;
    response.head.headers.add("Content-Type", "application/cbor");
    response.body = to_wire_cbor(*operation.output, reply.document);
    return response;
  }

  http::Response write_error(const ApiError& error) const override {
    http::Response response;
    response.head.status = error.model->status;
    response.head.headers.add("smithy-protocol", std::string(kProtocol));
    response.head.headers.add("Content-Type", "application/cbor");
    if (!model_.query_compatible.empty()) {
      response.head.headers.add("x-amzn-query-error", query_error_header(*error.model));
    }
    for (const auto& [name, value] : error.headers) response.head.headers.add(name, value);
    json::object body;
    body.emplace("__type", json::string(qualified_error_code(model_, *error.model)));
    if (!error.message.empty()) body.emplace(error.model->message_member, json::string(error.message));
    for (const auto& entry : error.members) body.insert_or_assign(entry.key(), entry.value());
    response.body = to_plain_cbor(body);
    return response;
  }

 private:
  const ServiceModel& model_;
  std::vector<const OperationModel*> by_name_;
};

}  // namespace

std::unique_ptr<const Protocol> make_rpc_cbor_protocol(const ServiceModel& model) {
  return std::make_unique<RpcCbor>(model);
}

}  // namespace mayfly::aws
