// `mayfly invoke`: one invocation, with its result, its numbers and the end of its log.
#include <fmt/core.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "base/clock.h"
#include "base/encoding.h"
#include "cli/commands.h"

namespace mayfly::cli {
namespace {

Result<std::string> payload_of(const std::string& given) {
  if (given.empty()) return std::string("{}");
  if (given == "-") return std::string{std::istreambuf_iterator<char>(std::cin), {}};
  if (!given.starts_with('@')) return given;
  std::ifstream file(given.substr(1), std::ios::binary);
  if (!file) return fail_errno(given.substr(1));
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

// "Duration: 1.23 ms" out of a REPORT line; "" where it is not there.
std::string field(std::string_view report, std::string_view name) {
  const std::string label = fmt::format("\t{}: ", name);
  const auto at = report.find(label);
  if (at == std::string_view::npos) return {};
  const auto from = at + label.size();
  return std::string(report.substr(from, report.find_first_of("\t\n", from) - from));
}

}  // namespace

int invoke(const Output& out, const ConnectionOptions& options, const InvokeOptions& what) {
  const auto connection = connect(options);
  if (!connection) return out.failure(connection.error());
  auto payload = payload_of(what.payload);
  if (!payload) return out.failure(payload.error());
  std::string rest = "/invocations";
  if (!what.qualifier.empty()) rest += "?Qualifier=" + percent_encode(what.qualifier, Slash::kEncode);
  Call call{.method = "POST", .target = function_path(what.name, rest), .body = std::move(*payload), .headers = {}};
  call.headers.emplace_back("X-Amz-Log-Type", "Tail");
  const RealClock clock;
  const auto before = clock.steady_now();
  const auto response = send(*connection, call);
  const auto took = std::chrono::duration<double, std::milli>(clock.steady_now() - before);
  if (!response) return out.failure(response.error());
  if (response->head.status >= 300) return out.failure(error_of(*response));

  const auto& headers = response->head.headers;
  const std::string error(headers.get("X-Amz-Function-Error"));
  const std::string log = base64_decode(headers.get("X-Amz-Log-Result")).value_or("");
  const auto report_at = log.rfind("REPORT RequestId:");
  const std::string report = report_at == std::string::npos ? std::string() : log.substr(report_at);
  const std::string init = field(report, "Init Duration");
  const auto result = parse_json(response->body);

  if (out.json) {
    json::object value;
    if (auto sent = parse_json(call.body)) value["Payload"] = std::move(*sent);
    value["Result"] = result ? *result : json::value(response->body);
    if (!error.empty()) value["FunctionError"] = error;
    value["ExecutedVersion"] = headers.get("X-Amz-Executed-Version");
    value["RequestId"] = headers.get("x-amzn-RequestId");
    value["Duration"] = field(report, "Duration");
    value["MaxMemoryUsed"] = field(report, "Max Memory Used");
    value["ColdStart"] = !init.empty();
    if (!init.empty()) value["InitDuration"] = init;
    value["RoundTripMs"] = took.count();
    value["Log"] = log;
    out.value(value);
    return error.empty() ? 0 : 1;
  }
  out.line(result ? pretty(*result) : response->body);
  if (!error.empty()) out.note(out.red(fmt::format("function error: {}", error)));
  const std::string start = init.empty() ? "warm" : "cold, init " + init;
  out.note(
      out.dim(fmt::format("{} ({}), {} of memory, {:.1f} ms round trip, version {}", field(report, "Duration"), start,
                          field(report, "Max Memory Used"), took.count(), headers.get("X-Amz-Executed-Version"))));
  if (what.show_logs && !log.empty()) {
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);) out.note(out.dim("| " + line));
  }
  return error.empty() ? 0 : 1;
}

}  // namespace mayfly::cli
