// Fuzz entry: whatever a peer sends as head and body must end in an answer. Built with -fsanitize=fuzzer.
#include <cstddef>
#include <cstdint>
#include <string>

#include "aws/gen/lambda.h"
#include "aws/protocol.h"
#include "aws/sigv4.h"
#include "aws/validate.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mayfly;
  static const auto protocol = aws::make_protocol(aws::lambda::service());
  // "METHOD target\nName: value\n...\n\nbody"
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(data[i]);
  http::RequestHead head;
  const auto take = [&](char end) {
    const auto at = text.find(end);
    auto part = text.substr(0, at);
    text.erase(0, at == std::string::npos ? text.size() : at + 1);
    return part;
  };
  head.method = take(' ');
  head.target = take('\n');
  while (!text.empty() && text.front() != '\n') {
    auto line = take('\n');
    const auto colon = std::min(line.find(':'), line.size());
    head.headers.add(line.substr(0, colon), colon < line.size() ? line.substr(colon + 1) : "");
  }
  if (!text.empty()) text.erase(0, 1);

  aws::Secret secret;
  secret.secret_access_key = "secret";
  const aws::CredentialLookup any = [&](std::string_view) { return std::optional(secret); };
  [[maybe_unused]] const auto verified = aws::verify(head, "", SystemTime(), any, {});
  [[maybe_unused]] const auto decoded = aws::decode_chunked_payload(head, text, secret);
  const auto route = protocol->route(head);
  if (!route || route->operation->input == nullptr) return 0;
  auto call = protocol->parse(*route, head, text);
  const auto error = call ? aws::validate(*route->operation->input, *call) : std::optional(call.error());
  if (error) [[maybe_unused]]
    const auto written = protocol->write_error(*error);
  return 0;
}
