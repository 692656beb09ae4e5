// Fuzz entry: forms, XML, CBOR and gzip as peers send them, read by the shapes of a real service. The first byte says
// which. Built with -fsanitize=fuzzer.
#include <cstddef>
#include <cstdint>
#include <string>

#include "aws/cbor.h"
#include "aws/compression.h"
#include "aws/gen/sns.h"
#include "aws/protocol.h"
#include "aws/validate.h"
#include "aws/xml_wire.h"

namespace {

using namespace mayfly;

const aws::ShapeModel& shape() {
  static const aws::ShapeModel& input = *aws::sns::PublishBatch::model().input;
  return input;
}

void read_form(std::string text) {
  static const auto protocol = aws::make_protocol(aws::sns::service());
  http::RequestHead head;
  head.method = "POST";
  head.target = "/";
  const auto route = protocol->route_with_body(head, text);
  if (!route || route->operation->input == nullptr) return;
  auto call = protocol->parse(*route, head, std::move(text));
  if (!call) return;
  if (const auto error = aws::validate(*route->operation->input, *call)) {
    [[maybe_unused]] const auto written = protocol->write_error(*error);
  }
}

void read_xml(const std::string& text) {
  const auto root = aws::parse_xml(text);
  if (!root) return;
  auto document = aws::structure_from_xml(shape(), *root);
  if (!document) return;
  aws::XmlWriter out;
  out.open("again");
  aws::write_xml_members(out, shape(), *document);
  out.close();
  // What was written can be read.
  MAYFLY_ASSERT(aws::parse_xml(out.finish()));
}

void read_cbor(const std::string& bytes) {
  auto value = aws::parse_cbor(bytes);
  if (!value) return;
  auto document = aws::from_wire_cbor(shape(), std::move(*value));
  if (document) MAYFLY_ASSERT(aws::parse_cbor(aws::to_wire_cbor(shape(), *document)));
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string text;
  for (std::size_t i = 1; i < size; ++i) text += static_cast<char>(data[i]);
  switch (data[0] % 4) {
    case 0:
      read_form(std::move(text));
      break;
    case 1:
      read_xml(text);
      break;
    case 2:
      read_cbor(text);
      break;
    default: {
      http::Headers headers;
      headers.set("Content-Encoding", "gzip");
      [[maybe_unused]] const auto undone = aws::undo_gzip(headers, text);
    }
  }
  return 0;
}
