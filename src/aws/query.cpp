// The Query protocol: fields of a form in (in the body, or behind the '?' of a GET), XML out.
#include <fmt/format.h>

#include <algorithm>

#include "aws/form.h"
#include "aws/json_wire.h"
#include "aws/protocol.h"
#include "aws/xml_wire.h"
#include "base/encoding.h"

namespace mayfly::aws {

namespace {

bool has_form_body(const http::RequestHead& head) {
  const auto type = head.headers.get("Content-Type");
  return iequals(trim(type.substr(0, type.find(';'))), "application/x-www-form-urlencoded");
}

bool names_action(std::string_view query) { return query.starts_with("Action=") || query.contains("&Action="); }

std::string_view query_code(const ErrorModel& error) {
  return error.query_code.empty() ? error.code : error.query_code;
}

class QueryProtocol final : public Protocol {
 public:
  explicit QueryProtocol(const ServiceModel& model) : model_(model) {
    for (const auto& operation : model.operations) by_name_.push_back(&operation);
    std::ranges::sort(by_name_, {}, &OperationModel::name);
  }

  bool speaks(const http::RequestHead& head) const override {
    return head.headers.find("X-Amz-Target") == nullptr && (has_form_body(head) || names_action(head.query()));
  }

  std::optional<Route> route(const http::RequestHead& head) const override { return route_with_body(head, ""); }

  std::optional<Route> route_with_body(const http::RequestHead& head, std::string_view body) const override {
    // The body's fields come first: they are the ones that clients of POST mean.
    auto form = parse_form(body);
    auto behind = parse_form(head.query());
    form.insert(form.end(), std::make_move_iterator(behind.begin()), std::make_move_iterator(behind.end()));
    const auto* action = find_field(form, "Action");
    if (action == nullptr) return std::nullopt;
    const auto found = std::ranges::lower_bound(by_name_, *action, {}, &OperationModel::name);
    if (found == by_name_.end() || (*found)->name != *action) return std::nullopt;
    return Route{.operation = *found, .labels = {}, .form = std::move(form)};
  }

  // Recorded of services that once spoke Query alone; the others keep their general text.
  std::string unknown_text(const http::RequestHead& head, std::string_view body) const override {
    if (model_.query_compatible.empty()) return {};
    for (const auto& form : {parse_form(body), parse_form(head.query())}) {
      if (const auto* action = find_field(form, "Action")) {
        return fmt::format("The action {} is not valid for this endpoint.", action->substr(0, 256));
      }
    }
    return {};
  }

  ApiResult<Call> parse(const Route& route, const http::RequestHead&, std::string) const override {
    Call call;
    if (route.operation->input == nullptr) return call;
    auto document = from_form(*route.operation->input, route.form);
    if (!document) return std::unexpected(std::move(document.error()));
    call.document = std::move(*document);
    return call;
  }

  http::Response write(const OperationModel& operation, Reply reply) const override {
    XmlWriter xml;
    xml.open(fmt::format("{}Response", operation.name));
    write_xml_namespace(xml, model_.xml_namespace, "");
    if (operation.output != nullptr) {
      xml.open(fmt::format("{}Result", operation.name));
      write_xml_members(xml, *operation.output, reply.document);
      xml.close();
    }
    xml.open("ResponseMetadata");
    xml.leaf("RequestId", reply.request_id);
    xml.close();
    xml.close();
    http::Response response;
    response.head.headers.add("Content-Type", "text/xml");
    response.body = xml.finish();
    return response;
  }

  http::Response write_error(const ApiError& error) const override {
    const auto& model = *error.model;
    XmlWriter xml;
    xml.open("ErrorResponse");
    write_xml_namespace(xml, model_.xml_namespace, "");
    xml.open("Error");
    xml.leaf("Type", model.sender_fault ? "Sender" : "Receiver");
    xml.leaf("Code", query_code(model));
    xml.leaf("Message", &model == &common_errors::UnknownOperationException && error.message.empty()
                            ? "The action or operation requested is invalid. Verify that the action is typed correctly."
                        : model.query_message.empty() ? error.message
                                                      : model.query_message);
    if (model_.error_detail) xml.leaf("Detail", "");
    xml.close();
    xml.leaf("RequestId", error.request_id);
    xml.close();
    http::Response response;
    response.head.status = model.query_status != 0 ? model.query_status : model.status;
    response.head.headers.add("Content-Type", "text/xml");
    for (const auto& [name, value] : error.headers) response.head.headers.add(name, value);
    response.body = xml.finish();
    return response;
  }

 private:
  const ServiceModel& model_;
  std::vector<const OperationModel*> by_name_;
};

}  // namespace

std::unique_ptr<const Protocol> make_query_protocol(const ServiceModel& model) {
  return std::make_unique<QueryProtocol>(model);
}

std::string query_error_header(const ErrorModel& error) {
  return fmt::format("{};{}", query_code(error), error.sender_fault ? "Sender" : "Receiver");
}

}  // namespace mayfly::aws
