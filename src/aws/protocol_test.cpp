// Drives the protocols with the published protocol tests, seen from the server's side: a request that a client wrote
// must read as its parameters, and a result must be written as an equivalent of the response.
#include "aws/protocol.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "aws/cbor.h"
#include "aws/conformance_test.h"
#include "aws/json_wire.h"
#include "aws/runtime_model_test.h"
#include "aws/xml_wire.h"
#include "base/encoding.h"

namespace mayfly::aws {
namespace {

ServiceModel service_of(const json::value& metadata, RuntimeModel& model, std::span<const OperationModel> operations) {
  ServiceModel service;
  service.name = "test";
  service.target_prefix = model.keep(get_string(metadata, "targetPrefix"));
  if (get_string(metadata, "protocol") == "json") {
    service.protocol = get_string(metadata, "jsonVersion") == "1.0" ? WireProtocol::kJson10 : WireProtocol::kJson11;
  }
  if (get_string(metadata, "protocol") == "query") service.protocol = WireProtocol::kQuery;
  if (get_string(metadata, "protocol") == "rest-xml") service.protocol = WireProtocol::kRestXml;
  if (get_string(metadata, "protocol") == "smithy-rpc-v2-cbor") service.protocol = WireProtocol::kCbor;
  service.api_version = model.keep(get_string(metadata, "apiVersion"));
  service.operations = operations;
  return service;
}

// Bodies of CBOR are written in base64 in the tests.
std::string body_of(const ServiceModel& service, const json::value& message) {
  const auto* body = find(message, "body");
  const auto text = body != nullptr ? text_of(*body) : std::string();
  return service.protocol == WireProtocol::kCbor ? base64_decode(text).value() : text;
}

// Both sides in one form: numbers as doubles, nulls dropped.
bool same(const json::value& a, const json::value& b) {
  const auto number = [](const json::value& v) -> std::optional<double> {
    if (v.is_number()) return v.to_number<double>();
    if (!v.is_string()) return std::nullopt;
    if (v.get_string() == "NaN") return std::nan("");
    if (v.get_string() == "Infinity") return kUnbounded;
    if (v.get_string() == "-Infinity") return -kUnbounded;
    return std::nullopt;
  };
  if (const auto x = number(a), y = number(b); x && y) {
    return (std::isnan(*x) && std::isnan(*y)) || *x == *y || std::abs(*x - *y) < 1e-6 * std::abs(*x);
  }
  if (a.is_object() && b.is_object()) {
    const auto covers = [](const json::object& x, const json::object& y) {
      for (const auto& entry : x) {
        if (entry.value().is_null()) continue;
        const auto* other = y.if_contains(entry.key());
        if (other == nullptr || !same(entry.value(), *other)) return false;
      }
      return true;
    };
    return covers(a.get_object(), b.get_object()) && covers(b.get_object(), a.get_object());
  }
  if (a.is_array() && b.is_array()) {
    if (a.get_array().size() != b.get_array().size()) return false;
    for (std::size_t i = 0; i < a.get_array().size(); ++i) {
      if (!same(a.get_array()[i], b.get_array()[i])) return false;
    }
    return true;
  }
  return a == b;
}

// What the tests write as JSON, as a document: whole times become doubles.
json::value as_document(const ShapeModel& shape, json::value value) {
  if (shape.kind == Kind::kTimestamp && value.is_int64()) return static_cast<double>(value.get_int64());
  if (shape.kind == Kind::kDouble) {
    if (value.is_int64()) return static_cast<double>(value.get_int64());
    if (value.is_string()) return from_wire_text(shape, value.get_string(), TimeFormat::kDefault).value();
  }
  if (shape.kind == Kind::kStructure && value.is_object()) {
    for (const auto& member : shape.members) {
      if (auto* field = value.get_object().if_contains(member.name)) {
        *field = as_document(*member.shape, std::move(*field));
      }
    }
  }
  if (shape.kind == Kind::kList && value.is_array()) {
    for (auto& item : value.get_array()) item = as_document(*shape.members[0].shape, std::move(item));
  }
  if (shape.kind == Kind::kMap && value.is_object()) {
    for (auto& entry : value.get_object()) {
      entry.value() = as_document(*shape.members[1].shape, std::move(entry.value()));
    }
  }
  return value;
}

bool is_raw_payload(const ShapeModel* shape) {
  if (shape == nullptr || shape->payload < 0) return false;
  const auto kind = shape->members[static_cast<std::size_t>(shape->payload)].shape->kind;
  return kind == Kind::kBlob || kind == Kind::kString;
}

std::string_view payload_name(const ShapeModel& shape) {
  return shape.members[static_cast<std::size_t>(shape.payload)].name;
}

http::RequestHead head_of(const json::value& serialized) {
  http::RequestHead head;
  head.method = get_string(serialized, "method", "POST");
  head.target = get_string(serialized, "uri", "/");
  if (const auto* headers = find(serialized, "headers"); headers != nullptr && headers->is_object()) {
    for (const auto& header : headers->get_object())
      head.headers.add(std::string(header.key()), text_of(header.value()));
  }
  return head;
}

struct Counts {
  int passed = 0;
  int left_out = 0;
};

// A map of all query parameters sees those that have members of their own too; the client's view leaves them out.
void drop_query_maps(const ShapeModel* shape, json::object& params) {
  if (shape == nullptr) return;
  for (const auto& member : shape->members) {
    if (member.location == Location::kQuery && member.shape->kind == Kind::kMap) params.erase(member.name);
  }
}

// Tokens that the client makes up where it has none.
void drop_made_tokens(const ShapeModel* shape, const json::object& params, json::object& document) {
  if (shape == nullptr) return;
  for (const auto& member : shape->members) {
    if (member.idempotency_token && !params.contains(member.name)) document.erase(member.name);
  }
}

// An absent list or map and an empty one look alike in a query string and in headers.
void drop_empty_located(const ShapeModel* shape, json::object& params) {
  if (shape == nullptr) return;
  for (const auto& member : shape->members) {
    const auto* value = params.if_contains(member.name);
    if (value == nullptr || member.location == Location::kBody) continue;
    const bool empty =
        (value->is_array() && value->get_array().empty()) || (value->is_object() && value->get_object().empty());
    if (empty) params.erase(member.name);
  }
}

void run_input(const json::value& test, Counts& counts) {
  const auto id = text_of(test.at("id"));
  if (id.find("ContentEncoding") != std::string::npos || id.find("gzip") != std::string::npos ||
      id.find("ProvidedEncoding") != std::string::npos) {
    ++counts.left_out;  // These carry no body; compression is undone before a protocol sees it (compression_test.cpp).
    return;
  }
  if (id.ends_with("RestJsonHttpWithHeadersButNoPayload")) {
    ++counts.left_out;  // Clients write "{}" for a payload that is absent: a server cannot tell it from an empty one.
    return;
  }
  RuntimeModel model(test.at("shapes"));
  const OperationModel operations[] = {model.operation(test.at("given"))};
  const auto service = service_of(test.at("metadata"), model, operations);
  const auto protocol = make_protocol(service);
  auto head = head_of(test.at("serialized"));
  if (!service.target_prefix.empty() && head.headers.find("X-Amz-Target") == nullptr) {
    head.headers.add("X-Amz-Target", std::string(service.target_prefix) + "." + std::string(operations[0].name));
  }
  EXPECT_TRUE(protocol->speaks(head) || head.headers.size() == 0) << id;
  const auto body = body_of(service, test.at("serialized"));
  const auto route = protocol->route_with_body(head, body);
  ASSERT_TRUE(route) << id << " " << head.target;
  auto call = protocol->parse(*route, head, body);
  ASSERT_TRUE(call) << id << " " << call.error().message;
  if (is_raw_payload(operations[0].input) && call->payload) {
    call->document.emplace(payload_name(*operations[0].input), json::string(*call->payload));
  }
  auto params = test.at("params").get_object();
  for (auto* object : {&params, &call->document}) {
    drop_query_maps(operations[0].input, *object);
    drop_empty_located(operations[0].input, *object);
  }
  drop_made_tokens(operations[0].input, params, call->document);
  const bool good = same(params, call->document);
  EXPECT_TRUE(good) << id << "\n  wanted " << to_json(params) << "\n  got " << to_json(call->document);
  counts.passed += good ? 1 : 0;
}

// The text of a response's header, seen as the member's value: equal spelling is not asked for, equal meaning is.
void expect_header(const std::string& id, const http::Headers& headers, const std::string& name,
                   const std::string& wanted, bool& good) {
  const bool equal = headers.get(name) == wanted;
  EXPECT_TRUE(equal) << id << " " << name << ": wanted " << wanted << ", got " << headers.get(name);
  good = good && equal;
}

bool same_xml(const XmlElement& a, const XmlElement& b) {
  if (a.name != b.name || a.children.size() != b.children.size()) return false;
  if (a.children.empty() && trim(a.text) != trim(b.text)) return false;
  return std::ranges::equal(a.children, b.children, same_xml);
}

// An error of a protocol that writes XML, written as the response is.
void run_xml_error(const json::value& test, Counts& counts) {
  const auto id = text_of(test.at("id"));
  RuntimeModel model(test.at("shapes"));
  const OperationModel operations[] = {model.operation(test.at("given"))};
  const auto service = service_of(test.at("metadata"), model, operations);
  const auto& wanted = test.at("response");
  const auto code = text_of(test.at("errorCode"));
  const ErrorModel kind{
      .code = code, .status = static_cast<int>(get_int(wanted, "status_code", 400)), .sender_fault = true};
  ApiError error;
  error.model = &kind;
  error.message = get_string(test, "errorMessage");
  const auto wanted_xml = parse_xml(text_of(wanted.at("body"))).value();
  const auto* request_id = wanted_xml.child("RequestId");
  if (request_id != nullptr) error.request_id = request_id->text;
  const auto answer = make_protocol(service)->write_error(error);
  const bool good = answer.head.status == kind.status && same_xml(wanted_xml, parse_xml(answer.body).value());
  EXPECT_TRUE(good) << id << "\n" << answer.body;
  counts.passed += good ? 1 : 0;
}

// The result's element of an answer of the Query protocol, as a document.
json::value read_query_result(const OperationModel& operation, const std::string& text) {
  if (text.empty()) return json::object();
  const auto root = parse_xml(text).value();
  EXPECT_EQ(root.name, std::string(operation.name) + "Response");
  const auto* result = root.child(std::string(operation.name) + "Result");
  return result == nullptr ? json::object() : structure_from_xml(*operation.output, *result).value();
}

json::value read_xml_body(const ShapeModel& output, const std::string& text) {
  if (text.empty()) return json::object();
  const auto root = parse_xml(text).value();
  const auto& shape = output.payload < 0 ? output : *output.members[static_cast<std::size_t>(output.payload)].shape;
  return structure_from_xml(shape, root).value();
}

// An error in CBOR: its name and its message are what the response has, too.
void run_cbor_error(const json::value& test, Counts& counts) {
  const auto code = text_of(test.at("errorCode"));
  const ErrorModel kind{.code = code, .status = 400, .sender_fault = true, .message_member = "Message"};
  ApiError error;
  error.model = &kind;
  error.message = get_string(test, "errorMessage");
  error.members = test.at("error").get_object();
  ServiceModel service;
  service.protocol = WireProtocol::kCbor;
  auto wanted = parse_cbor(body_of(service, test.at("response"))).value();
  auto& name = wanted.get_object()["__type"];
  const std::string full(name.get_string());
  name = json::string(full.substr(full.find('#') + 1));
  const auto got = parse_cbor(make_protocol(service)->write_error(error).body).value();
  EXPECT_TRUE(same(wanted, got)) << text_of(test.at("id")) << "\n" << to_json(got);
  counts.passed += same(wanted, got) ? 1 : 0;
}

void run_output(const json::value& test, Counts& counts) {
  const auto id = text_of(test.at("id"));
  const auto* result = find(test, "result");
  if (result == nullptr || result->is_null()) {
    const auto name = get_string(test.at("metadata"), "protocol");
    if (name == "query" || name == "rest-xml") return run_xml_error(test, counts);
    if (name == "smithy-rpc-v2-cbor") return run_cbor_error(test, counts);
    ++counts.left_out;  // How a client finds an error's name; what is written is tested with the service.
    return;
  }
  RuntimeModel model(test.at("shapes"));
  const OperationModel operations[] = {model.operation(test.at("given"))};
  const auto service = service_of(test.at("metadata"), model, operations);
  const auto protocol = make_protocol(service);
  const auto* output = operations[0].output;
  Reply reply;
  if (output != nullptr) reply.document = as_document(*output, *result).get_object();
  if (is_raw_payload(output)) {
    if (const auto* payload = reply.document.if_contains(payload_name(*output))) reply.payload = text_of(*payload);
  }
  const auto answer = protocol->write(operations[0], std::move(reply));
  const auto& wanted = test.at("response");
  bool good = answer.head.status == get_int(wanted, "status_code", 200);
  EXPECT_TRUE(good) << id << " status " << answer.head.status;
  if (const auto* headers = find(wanted, "headers"); headers != nullptr && headers->is_object()) {
    for (const auto& header : headers->get_object()) {
      if (iequals(header.key(), "Content-Type") || iequals(header.key(), "X-Amz-Target")) continue;
      if (iequals(header.key(), "Content-Length")) continue;  // the server's to write
      expect_header(id, answer.head.headers, std::string(header.key()), text_of(header.value()), good);
    }
  }
  const auto wanted_body = body_of(service, wanted);
  if (is_raw_payload(output)) {
    EXPECT_EQ(answer.body, wanted_body) << id;
    good = good && answer.body == wanted_body;
  } else if (output != nullptr) {
    // Read both back by the shape: members that the model does not have, nulls and spellings of times fall away.
    const auto read = [&](const std::string& text) -> json::value {
      if (service.protocol == WireProtocol::kQuery) return read_query_result(operations[0], text);
      if (service.protocol == WireProtocol::kRestXml) return read_xml_body(*output, text);
      if (service.protocol == WireProtocol::kCbor) {
        return text.empty() ? json::value(json::object()) : from_wire_cbor(*output, parse_cbor(text).value()).value();
      }
      auto wire = parse_body_json(text).value();
      const auto& shape =
          output->payload < 0 ? *output : *output->members[static_cast<std::size_t>(output->payload)].shape;
      return from_wire_json(shape, std::move(wire), nullptr, Members::kBodyOnly).value();
    };
    const auto a = read(wanted_body);
    const auto b = read(answer.body);
    EXPECT_TRUE(same(a, b)) << id << "\n  wanted " << to_json(a) << "\n  got " << to_json(b);
    good = good && same(a, b);
  }
  counts.passed += good ? 1 : 0;
}

void run_file(const std::string& name, void (*run)(const json::value&, Counts&)) {
  const auto file = conformance_file("aws-protocols/" + name);
  if (!file) GTEST_SKIP() << "conformance data is missing: set MAYFLY_CONFORMANCE_DIR";
  Counts counts;
  for (const auto& test : file->at("cases").get_array()) {
    try {
      run(test, counts);
    } catch (const std::exception& error) {
      ADD_FAILURE() << text_of(test.at("id")) << " " << error.what();
    }
  }
  std::printf("%s: %d of %zu, %d left out\n", name.c_str(), counts.passed, file->at("cases").get_array().size(),
              counts.left_out);
}

TEST(ProtocolConformance, RestJsonInput) { run_file("input_rest-json.json", run_input); }
TEST(ProtocolConformance, RestJsonOutput) { run_file("output_rest-json.json", run_output); }
TEST(ProtocolConformance, Json11Input) { run_file("input_json.json", run_input); }
TEST(ProtocolConformance, Json11Output) { run_file("output_json.json", run_output); }
TEST(ProtocolConformance, Json10Input) { run_file("input_json_1_0.json", run_input); }
TEST(ProtocolConformance, Json10Output) { run_file("output_json_1_0.json", run_output); }
TEST(ProtocolConformance, QueryInput) { run_file("input_query.json", run_input); }
TEST(ProtocolConformance, QueryOutput) { run_file("output_query.json", run_output); }
TEST(ProtocolConformance, RestXmlInput) { run_file("input_rest-xml.json", run_input); }
TEST(ProtocolConformance, RestXmlOutput) { run_file("output_rest-xml.json", run_output); }
TEST(ProtocolConformance, CborInput) { run_file("input_rpc-v2-cbor.json", run_input); }
TEST(ProtocolConformance, CborOutput) { run_file("output_rpc-v2-cbor.json", run_output); }

// Own cases, for where the published suites are not at hand.
class OwnModel {
 public:
  OwnModel(WireProtocol protocol, std::string_view uri) : model_(shapes_) {
    operations_[0] =
        model_.operation(parse_json(R"({"name":"Put","http":{"method":"PUT","requestUri":")" + std::string(uri) +
                                    R"("},"input":{"shape":"In"},"output":{"shape":"In"}})")
                             .value());
    service_.target_prefix = "Own_20200101";
    service_.protocol = protocol;
    service_.operations = operations_;
    protocol_ = make_protocol(service_);
  }
  [[nodiscard]] const Protocol& protocol() const { return *protocol_; }
  [[nodiscard]] const OperationModel& operation() const { return operations_[0]; }

 private:
  json::value shapes_ = parse_json(R"({
    "In":{"type":"structure","members":{
      "Key":{"shape":"String","location":"uri","locationName":"key"},
      "Names":{"shape":"Names","location":"header","locationName":"X-Names"},
      "Meta":{"shape":"Map","location":"headers","locationName":"x-meta-"},
      "When":{"shape":"Time"},"Data":{"shape":"Blob","locationName":"data"},"Count":{"shape":"Integer"}}},
    "String":{"type":"string"},"Names":{"type":"list","member":{"shape":"String"}},"Time":{"type":"timestamp"},
    "Map":{"type":"map","key":{"shape":"String"},"value":{"shape":"String"}},
    "Blob":{"type":"blob"},"Integer":{"type":"integer"}})")
                            .value();
  RuntimeModel model_;
  OperationModel operations_[1];
  ServiceModel service_;
  std::unique_ptr<const Protocol> protocol_;
};

TEST(Protocol, RestJsonReadsAllPartsAndWritesThemBack) {
  const OwnModel own(WireProtocol::kRestJson, "/things/{key+}");
  http::RequestHead head;
  head.method = "PUT";
  head.target = "/things/a%20b/c";
  head.headers.add("x-names", "one, \"two,\\\"2\\\"\"");
  head.headers.add("X-Meta-Color", "blue");
  const auto route = own.protocol().route(head);
  ASSERT_TRUE(route);
  auto call = own.protocol().parse(*route, head, R"({"When":1.5,"data":"aGk=","Count":3.0,"Other":[]})");
  ASSERT_TRUE(call) << call.error().message;
  EXPECT_EQ(to_json(call->document),
            R"({"When":1.5,"Data":"hi","Count":3,"Key":"a b/c","Names":["one","two,\"2\""],"Meta":{"Color":"blue"}})");
  Reply reply;
  reply.document = call->document;
  const auto answer = own.protocol().write(own.operation(), std::move(reply));
  EXPECT_EQ(answer.body, R"({"When":1.5,"data":"aGk=","Count":3})");
  EXPECT_EQ(answer.head.headers.get("X-Names"), R"(one, "two,\"2\"")");
  EXPECT_EQ(answer.head.headers.get("x-meta-Color"), "blue");
}

TEST(Protocol, JsonRpcNamesTheOperationInAHeader) {
  const OwnModel own(WireProtocol::kJson11, "/");
  http::RequestHead head;
  head.method = "POST";
  head.target = "/";
  head.headers.add("X-Amz-Target", "Own_20200101.Put");
  const auto route = own.protocol().route(head);
  ASSERT_TRUE(route);
  EXPECT_EQ(own.protocol().parse(*route, head, R"({"Count":4294967296})").error().model,
            &common_errors::SerializationException);
  EXPECT_TRUE(own.protocol().parse(*route, head, ""));
  head.headers.set("X-Amz-Target", "Own_20200101.Other");
  EXPECT_FALSE(own.protocol().route(head));
  ApiError error;
  error.model = &common_errors::ValidationException;
  error.message = "no";
  const auto answer = own.protocol().write_error(error);
  EXPECT_EQ(answer.head.headers.get("Content-Type"), "application/x-amz-json-1.1");
  EXPECT_EQ(answer.body, R"({"__type":"ValidationException","message":"no"})");
}

}  // namespace
}  // namespace mayfly::aws
