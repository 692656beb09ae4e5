// `mayfly invoke --replay FILE`: runs recorded invocations again, against any version, and compares the answers.
//
// Form. One JSON document a line: what `mayfly invoke --json` prints (Payload, Result, FunctionError), or the record
// that
//       a destination of asynchronous invocations gets (requestPayload, responsePayload, responseContext). Any other
//       document is a payload whose answer nobody knows.
#include <fmt/core.h>

#include <fstream>

#include "base/encoding.h"
#include "cli/commands.h"

namespace mayfly::cli {
namespace {

struct Recorded {
  std::string payload;
  std::optional<json::value> answer;
  bool failed = false;
};

Recorded recorded_from(const json::value& document) {
  Recorded out;
  const auto* object = document.if_object();
  const auto take = [&](const char* payload, const char* answer) {
    out.payload = to_json(object->at(payload));
    if (const auto* value = object->if_contains(answer)) out.answer = *value;
  };
  if (object != nullptr && object->contains("requestPayload") && object->contains("requestContext")) {
    take("requestPayload", "responsePayload");
    if (const auto* context = object->if_contains("responseContext")) {
      out.failed = !get_string(*context, "functionError").empty();
    }
  } else if (object != nullptr && object->contains("Payload") && object->contains("RequestId")) {
    take("Payload", "Result");
    out.failed = object->contains("FunctionError");
  } else {
    out.payload = to_json(document);
  }
  return out;
}

// Traces and request ids differ from run to run.
bool same_answer(const Recorded& recorded, const json::value& now, bool failed) {
  if (recorded.failed != failed) return false;
  if (!failed) return *recorded.answer == now;
  return get_string(*recorded.answer, "errorMessage") == get_string(now, "errorMessage") &&
         get_string(*recorded.answer, "errorType") == get_string(now, "errorType");
}

}  // namespace

int replay(const Output& out, const ConnectionOptions& options, const InvokeOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  std::ifstream file(what.replay);
  if (!file) return out.failure(fail_errno(what.replay).error());
  std::string rest = "/invocations";
  if (!what.qualifier.empty()) rest += "?Qualifier=" + percent_encode(what.qualifier, Slash::kEncode);
  std::size_t number = 0;
  std::size_t differ = 0;
  std::size_t failures = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    ++number;
    const auto document = parse_json(line);
    if (!document)
      return out.failure({.code = ErrorCode::kInvalid,
                          .message = fmt::format("{}, document {}: {}", what.replay, number, document.error().message),
                          .hint = ""});
    const auto recorded = recorded_from(*document);
    const Call call{
        .method = "POST", .target = function_path(what.name, rest), .body = recorded.payload, .headers = {}};
    const auto response = send(*connection, call);
    if (!response) return out.failure(response.error());
    if (response->head.status >= 300) return out.failure(error_of(*response));
    const bool failed = !response->head.headers.get("X-Amz-Function-Error").empty();
    auto answer = parse_json(response->body);
    const json::value now = answer ? std::move(*answer) : json::value(response->body);
    const bool same = !recorded.answer || same_answer(recorded, now, failed);
    differ += same ? 0U : 1U;
    failures += failed ? 1U : 0U;
    const std::string verdict = !recorded.answer ? (failed ? "failed" : "ran") : (same ? "same" : "differs");
    if (out.json) {
      json::object value{{"Number", number}, {"Verdict", verdict}, {"Result", now}};
      if (recorded.answer) value["Recorded"] = *recorded.answer;
      if (failed) value["FunctionError"] = response->head.headers.get("X-Amz-Function-Error");
      out.value(value);
    } else {
      out.line(fmt::format("{:>6}  {}", number, same ? verdict : out.red(verdict)));
      if (!same)
        out.line(fmt::format("        recorded {}\n        now      {}", to_json(*recorded.answer), to_json(now)));
    }
  }
  out.note(fmt::format("{} replayed, {} differ, {} ended in a function error", number, differ, failures));
  return differ == 0 ? 0 : 1;
}

}  // namespace mayfly::cli
