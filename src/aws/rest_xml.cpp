// The rest-xml protocol: what travels in labels, query strings and headers is as in rest-json, bodies are XML.
#include <algorithm>

#include "aws/protocol.h"
#include "aws/xml_wire.h"

namespace mayfly::aws {

namespace {

bool is_raw(const MemberModel& member) {
  return member.shape->kind == Kind::kBlob || member.shape->kind == Kind::kString;
}

const MemberModel* payload_of(const ShapeModel& shape) {
  return shape.payload < 0 ? nullptr : &shape.members[static_cast<std::size_t>(shape.payload)];
}

bool has_body_members(const ShapeModel& shape) {
  return std::ranges::any_of(shape.members, [](const auto& member) { return member.location == Location::kBody; });
}

std::string_view root_name(const ShapeModel& shape) { return shape.xml_name.empty() ? shape.name : shape.xml_name; }

class RestXml final : public Protocol {
 public:
  explicit RestXml(const ServiceModel& model) : model_(model), parts_(make_rest_json_protocol(model)) {}

  std::optional<Route> route(const http::RequestHead& head) const override { return parts_->route(head); }

  ApiResult<Call> parse(const Route& route, const http::RequestHead& head, std::string body) const override {
    auto call = parts_->parse(route, head, "");
    const auto* input = route.operation->input;
    if (!call || input == nullptr || body.empty()) return call;
    const auto* payload = payload_of(*input);
    if (payload != nullptr && is_raw(*payload)) {
      call->payload = std::move(body);
      return call;
    }
    if (payload == nullptr && !has_body_members(*input)) return call;
    const auto root = parse_xml(body);
    if (!root) return std::unexpected(serialization_error(root.error().message));
    auto document = structure_from_xml(payload != nullptr ? *payload->shape : *input, *root);
    if (!document) return std::unexpected(std::move(document.error()));
    if (payload != nullptr) {
      call->document.insert_or_assign(payload->name, std::move(*document));
    } else {
      for (auto& entry : *document) call->document.insert_or_assign(entry.key(), std::move(entry.value()));
    }
    return call;
  }

  http::Response write(const OperationModel& operation, Reply reply) const override {
    const auto* output = operation.output;
    if (output == nullptr) return parts_->write(operation, std::move(reply));
    // What is in headers is written by the parts that both protocols share; the body is not theirs.
    Reply located;
    located.payload = std::move(reply.payload);
    for (const auto& member : output->members) {
      const auto* value = reply.document.if_contains(member.name);
      if (value != nullptr && member.location != Location::kBody) located.document.emplace(member.name, *value);
    }
    auto response = parts_->write(operation, std::move(located));
    const auto* payload = payload_of(*output);
    if (payload != nullptr && is_raw(*payload)) return response;
    response.body = payload != nullptr ? payload_body(*payload, reply.document) : body_of(*output, reply.document);
    if (response.head.status == 204 || response.head.status == 304) response.body.clear();
    response.head.headers.erase("Content-Type");
    if (!response.body.empty()) response.head.headers.add("Content-Type", "application/xml");
    return response;
  }

  http::Response write_error(const ApiError& error) const override {
    const auto& model = *error.model;
    XmlWriter xml;
    if (!model_.bare_errors) {
      xml.open("ErrorResponse");
      write_xml_namespace(xml, model_.xml_namespace, "");
    }
    xml.open("Error");
    if (!model_.bare_errors) xml.leaf("Type", model.sender_fault ? "Sender" : "Receiver");
    xml.leaf("Code", model.query_code.empty() ? model.code : model.query_code);
    xml.leaf("Message", error.message);
    for (const auto& entry : error.members) {
      if (entry.value().is_string()) xml.leaf(entry.key(), std::string_view(entry.value().get_string()));
    }
    if (model_.bare_errors) xml.leaf("RequestId", error.request_id);
    xml.close();
    if (!model_.bare_errors) {
      xml.leaf("RequestId", error.request_id);
      xml.close();
    }
    http::Response response;
    response.head.status = model.status;
    response.head.headers.add("Content-Type", "application/xml");
    for (const auto& [name, value] : error.headers) response.head.headers.add(name, value);
    response.body = xml.finish();
    return response;
  }

 private:
  [[nodiscard]] std::string body_of(const ShapeModel& output, const json::object& document) const {
    if (!has_body_members(output)) return {};
    XmlWriter xml;
    xml.open(root_name(output));
    write_xml_namespace(xml, output.xml_namespace.empty() ? model_.xml_namespace : output.xml_namespace,
                        output.xml_prefix);
    write_xml_members(xml, output, document);
    xml.close();
    return xml.finish();
  }

  [[nodiscard]] std::string payload_body(const MemberModel& payload, const json::object& document) const {
    const auto* value = document.if_contains(payload.name);
    if (value == nullptr || !value->is_object()) return {};
    const auto& shape = *payload.shape;
    XmlWriter xml;
    xml.open(payload.wire_name != payload.name ? payload.wire_name : root_name(shape));
    const bool own = !payload.xml_namespace.empty();
    const auto uri = own ? payload.xml_namespace : shape.xml_namespace;
    write_xml_namespace(xml, uri.empty() ? model_.xml_namespace : uri, own ? payload.xml_prefix : shape.xml_prefix);
    write_xml_members(xml, shape, value->get_object());
    xml.close();
    return xml.finish();
  }

  const ServiceModel& model_;
  std::unique_ptr<const Protocol> parts_;
};

}  // namespace

std::unique_ptr<const Protocol> make_rest_xml_protocol(const ServiceModel& model) {
  return std::make_unique<RestXml>(model);
}

}  // namespace mayfly::aws
