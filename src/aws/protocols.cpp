// Which protocol: of a service by its model, and of a request by what it looks like.
#include <algorithm>

#include "aws/protocol.h"

namespace mayfly::aws {

namespace {

// The fourth part of "AKID/20260101/us-east-1/sqs/aws4_request", from `scope` up to where it ends.
std::string_view service_of_scope(std::string_view scope, std::string_view slash) {
  for (int part = 0; part < 3; ++part) {
    const auto at = scope.find(slash);
    if (at == std::string_view::npos) return {};
    scope.remove_prefix(at + slash.size());
  }
  const auto end = scope.find(slash);
  return end == std::string_view::npos ? std::string_view() : scope.substr(0, end);
}

std::string_view after(std::string_view text, std::string_view token) {
  const auto at = text.find(token);
  return at == std::string_view::npos ? std::string_view() : text.substr(at + token.size());
}

}  // namespace

std::unique_ptr<const Protocol> make_protocol(const ServiceModel& model, WireProtocol protocol) {
  switch (protocol) {
    case WireProtocol::kRestJson:
      return make_rest_json_protocol(model);
    case WireProtocol::kJson10:
    case WireProtocol::kJson11:
      return make_json_rpc_protocol(model, protocol);
    case WireProtocol::kQuery:
      return make_query_protocol(model);
    case WireProtocol::kRestXml:
      return make_rest_xml_protocol(model);
    case WireProtocol::kCbor:
      return make_rpc_cbor_protocol(model);
  }
  return nullptr;
}

std::string_view claimed_service(const http::RequestHead& head) {
  const auto header = after(head.headers.get("Authorization"), "Credential=");
  if (const auto service = service_of_scope(header.substr(0, header.find_first_of(", ")), "/"); !service.empty()) {
    return service;
  }
  const auto parameter = after(head.query(), "X-Amz-Credential=");
  const auto scope = parameter.substr(0, parameter.find('&'));
  const auto escaped = service_of_scope(scope, "%2F");
  return escaped.empty() ? service_of_scope(scope, "/") : escaped;
}

http::Response error_without_service(const http::RequestHead& head, ApiError error, std::string request_id) {
  static const ServiceModel kNone{};
  static const auto query = make_query_protocol(kNone);
  static const auto json = make_rest_json_protocol(kNone);
  error.request_id = request_id;
  auto response = query->speaks(head) ? query->write_error(error) : json->write_error(error);
  response.head.headers.set("x-amzn-RequestId", std::move(request_id));
  return response;
}

std::string qualified_error_code(const ServiceModel& model, const ErrorModel& error) {
  if (model.query_compatible.empty()) return std::string(error.code);
  const bool own = std::ranges::find(model.errors, &error) != model.errors.end();
  return std::string(own ? model.query_compatible : "com.amazon.coral.service#").append(error.code);
}

}  // namespace mayfly::aws
