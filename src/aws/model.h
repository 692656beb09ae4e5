// What a published service model says, as constant tables. tools/generate_service.py writes one set of them for each
// service (aws/gen/<service>.h); tests build them at run time. The protocol engine and the validator are driven by
// them and know no service.
//
// A Document is a value in the model's own terms, whatever the wire says: a json::value whose structures are objects
// keyed by the model's member names, whose blob strings hold the raw bytes and whose times are doubles of epoch
// seconds. A payload member of blob kind is not in the Document but beside it, so that it is moved and never copied.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "aws/api.h"

namespace mayfly::aws {

enum class Kind : std::uint8_t {
  kStructure,
  kList,  // members[0] is the element
  kMap,   // members[0] is the key, members[1] the value
  kString,
  kBlob,
  kBoolean,
  kInteger,  // 32 bits
  kLong,     // 64 bits
  kDouble,
  kTimestamp,
  kDocument,  // any JSON
};

enum class Location : std::uint8_t {
  kBody,
  kUri,
  kQuery,
  kHeader,
  kHeaders,  // all headers with the prefix wire_name
  kStatusCode,
};

enum class TimeFormat : std::uint8_t {
  kDefault,  // of the protocol and the location
  kEpochSeconds,
  kIso8601,
  kHttpDate,
};

struct ShapeModel;

struct MemberModel {
  std::string_view name = {};
  std::string_view wire_name = {};  // in the body, the URI template, the query string or the header
  const ShapeModel* shape = nullptr;
  Location location = Location::kBody;
  bool required = false;
  bool json_value = false;         // a string holding JSON, base64 encoded in a header
  bool idempotency_token = false;  // clients fill it in
  TimeFormat time_format = TimeFormat::kDefault;
  // In forms and XML, where the name there is another than in JSON: services that speak both. Empty: wire_name.
  std::string_view xml_name = {};
  std::string_view xml_namespace = {};
  std::string_view xml_prefix = {};  // of the namespace
  bool xml_attribute = false;
  bool flattened = false;  // a list or map without an element of its own around its items

  [[nodiscard]] std::string_view name_in_xml() const { return xml_name.empty() ? wire_name : xml_name; }
};

inline constexpr double kUnbounded = std::numeric_limits<double>::infinity();

struct ShapeModel {
  std::string_view name = {};
  Kind kind = Kind::kStructure;
  std::span<const MemberModel> members = {};
  double min = -kUnbounded;  // length of strings, blobs, lists and maps; value of numbers
  double max = kUnbounded;
  std::string_view pattern = {};  // a string matches it as a whole; "" where there is none
  std::span<const std::string_view> enum_values = {};
  int payload = -1;  // index of the member that is the whole body
  TimeFormat time_format = TimeFormat::kDefault;
  bool sensitive = false;     // values are not quoted in errors or logs
  bool streaming = false;     // blob whose length is not known ahead
  bool event_stream = false;  // structure that is sent as a stream of events
  bool is_union = false;
  bool flattened = false;  // wherever it is a member
  std::string_view xml_name = {};
  std::string_view xml_namespace = {};
  std::string_view xml_prefix = {};
};

inline bool is_flattened(const MemberModel& member) { return member.flattened || member.shape->flattened; }

struct OperationModel {
  std::string_view name = {};
  std::string_view method = {};
  std::string_view uri = {};
  int status = 200;
  const ShapeModel* input = nullptr;   // null where it has none, or is not generated
  const ShapeModel* output = nullptr;  // same
  // The root element of a REST-XML request.
  std::string_view xml_name = {};
  std::string_view xml_namespace = {};
};

enum class WireProtocol : std::uint8_t { kRestJson, kJson10, kJson11, kQuery, kRestXml, kCbor };

struct ServiceModel {
  std::string_view name = {};           // "lambda": the endpoint prefix
  std::string_view signing_name = {};   // "lambda"
  std::string_view target_prefix = {};  // X-Amz-Target's part before the dot; "" for REST protocols
  WireProtocol protocol = WireProtocol::kRestJson;
  std::string_view blob_content_type = "application/octet-stream";  // of a blob that is a response's whole body
  std::span<const OperationModel> operations = {};                  // all of the model, generated or not
  std::span<const ErrorModel* const> errors = {};
  std::span<const WireProtocol> also = {};  // further protocols that it speaks, by what a request looks like
  std::string_view api_version = {};        // "2012-11-05"
  std::string_view xml_namespace = {};      // of Query and REST-XML answers
  // A service that once spoke Query alone: its JSON and CBOR errors carry the old code, and their own with this in
  // front
  // ("com.amazonaws.sqs#"). Empty where it is none.
  std::string_view query_compatible = {};
  bool error_detail = false;   // Query errors have an empty <Detail/>
  bool bare_errors = false;    // REST-XML errors have no <ErrorResponse> around them
  bool gzip_requests = false;  // clients may send bodies with Content-Encoding: gzip
};

}  // namespace mayfly::aws
