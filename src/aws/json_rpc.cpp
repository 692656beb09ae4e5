// The json protocols 1.0 and 1.1: one URI, the operation in X-Amz-Target, everything in the body.
#include <fmt/format.h>

#include <algorithm>

#include "aws/json_wire.h"
#include "aws/protocol.h"
#include "base/encoding.h"

namespace mayfly::aws {

namespace {

class JsonRpc final : public Protocol {
 public:
  JsonRpc(const ServiceModel& model, WireProtocol version)
      : model_(model),
        content_type_(version == WireProtocol::kJson10 ? "application/x-amz-json-1.0" : "application/x-amz-json-1.1") {
    for (const auto& operation : model.operations) by_name_.push_back(&operation);
    std::ranges::sort(by_name_, {}, &OperationModel::name);
  }

  bool speaks(const http::RequestHead& head) const override { return head.headers.find("X-Amz-Target") != nullptr; }

  std::optional<Route> route(const http::RequestHead& head) const override {
    auto target = head.headers.get("X-Amz-Target");
    const auto dot = target.rfind('.');
    if (dot == std::string_view::npos || target.substr(0, dot) != model_.target_prefix) return std::nullopt;
    const auto name = target.substr(dot + 1);
    const auto found = std::ranges::lower_bound(by_name_, name, {}, &OperationModel::name);
    if (found == by_name_.end() || (*found)->name != name) return std::nullopt;
    return Route{.operation = *found, .labels = {}, .form = {}};
  }

  ApiResult<Call> parse(const Route& route, const http::RequestHead&, std::string body) const override {
    Call call;
    if (route.operation->input == nullptr) return call;
    auto wire = parse_body_json(body);
    if (!wire) return std::unexpected(std::move(wire.error()));
    auto document = from_wire_json(*route.operation->input, std::move(*wire));
    if (!document) return std::unexpected(std::move(document.error()));
    call.document = std::move(document->get_object());
    return call;
  }

  http::Response write(const OperationModel& operation, Reply reply) const override {
    http::Response response;
    response.head.headers.add("Content-Type", content_type_);
    response.body =
        operation.output == nullptr ? "{}" : to_json(to_wire_json(*operation.output, std::move(reply.document)));
    return response;
  }

  http::Response write_error(const ApiError& error) const override {
    http::Response response;
    response.head.status = error.model->status;
    // An operation that is unknown is a plain client error in these protocols.
    if (error.model == &common_errors::UnknownOperationException) response.head.status = 400;
    response.head.headers.add("Content-Type", content_type_);
    for (const auto& [name, value] : error.headers) response.head.headers.add(name, value);
    json::object body;
    body.emplace("__type", json::string(qualified_error_code(model_, *error.model)));
    if (!model_.query_compatible.empty()) {
      response.head.headers.add("x-amzn-query-error", query_error_header(*error.model));
    }
    if (!error.message.empty()) body.emplace(error.model->message_member, json::string(error.message));
    for (const auto& entry : error.members) body.insert_or_assign(entry.key(), entry.value());
    response.body = to_json(body);
    return response;
  }

 private:
  const ServiceModel& model_;
  std::string content_type_;
  std::vector<const OperationModel*> by_name_;
};

}  // namespace

std::unique_ptr<const Protocol> make_json_rpc_protocol(const ServiceModel& model, WireProtocol version) {
  return std::make_unique<JsonRpc>(model, version);
}

}  // namespace mayfly::aws
