#include "cli/connection.h"

#include <fmt/core.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "aws/sigv4.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "http/client.h"
#include "identity/root_credentials.h"

namespace mayfly::cli {
namespace {
constexpr std::size_t kResponseLimit = 300UL * 1024 * 1024;

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread.
  return value != nullptr ? value : "";
}

std::string host_of(const std::string& endpoint) {
  const auto scheme = endpoint.find("://");
  const std::string rest = scheme == std::string::npos ? endpoint : endpoint.substr(scheme + 3);
  return rest.substr(0, rest.find('/'));
}

http::ClientRequest signed_request(const Connection& connection, const Call& call) {
  http::ClientRequest request;
  request.url_base = connection.endpoint;
  request.head.method = call.method;
  request.head.target = call.target;
  request.head.headers.set("Host", host_of(connection.endpoint));
  for (const auto& [name, value] : call.headers) request.head.headers.set(name, value);
  request.body = call.body;
  request.timeout = std::chrono::seconds(960);  // Longer than the longest function.
  const RealClock clock;
  aws::sign(request.head, request.body,
            {.access_key_id = connection.access_key_id,
             .secret_access_key = connection.secret_access_key,
             .session_token = connection.session_token,
             .region = connection.region,
             .service = call.service},
            clock.now());
  return request;
}

Error unreachable(const Connection& connection, const Error& error) {
  return {.code = error.code,
          .message = fmt::format("{}: {}", connection.endpoint, error.message),
          .hint = "Is the server running? Start it with `mayfly serve`, or name it with --endpoint."};
}
}  // namespace

std::string default_data_folder() {
  if (const auto home = variable("MAYFLY_HOME"); !home.empty()) return home;
  if (const auto data = variable("MAYFLY_DATA"); !data.empty()) return data;
  const auto home = variable("HOME");
  return (home.empty() ? std::string("/var/lib") : home) + "/.mayfly";
}

Result<Connection> connect(const ConnectionOptions& options) {
  Connection c;
  c.data = options.data.empty() ? default_data_folder() : options.data;
  json::value server;
  if (std::ifstream file(c.data + "/" + kServerFile); file) {
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (auto parsed = parse_json(text)) server = std::move(*parsed);
  }
  for (const auto& candidate : {options.endpoint, options.data.empty() ? variable("MAYFLY_ENDPOINT") : std::string(),
                                options.data.empty() ? variable("AWS_ENDPOINT_URL") : std::string(),
                                std::string(get_string(server, "endpoint")), std::string("http://127.0.0.1:4566")}) {
    if (c.endpoint.empty()) c.endpoint = candidate;
  }
  while (c.endpoint.ends_with('/')) c.endpoint.pop_back();
  for (const auto& candidate : {std::string(get_string(server, "region")), variable("AWS_REGION"),
                                variable("AWS_DEFAULT_REGION"), std::string("us-east-1")}) {
    if (c.region.empty()) c.region = candidate;
  }
  c.access_key_id = variable("MAYFLY_ROOT_ACCESS_KEY_ID");
  c.secret_access_key = variable("MAYFLY_ROOT_SECRET_ACCESS_KEY");
  if (!c.access_key_id.empty() && !c.secret_access_key.empty()) return c;
  if (const auto root = identity::read_root_credentials(c.data)) {
    c.access_key_id = root->access_key_id;
    c.secret_access_key = root->secret_access_key;
    return c;
  }
  c.access_key_id = variable("AWS_ACCESS_KEY_ID");
  c.secret_access_key = variable("AWS_SECRET_ACCESS_KEY");
  c.session_token = variable("AWS_SESSION_TOKEN");
  if (!c.access_key_id.empty() && !c.secret_access_key.empty()) return c;
  return fail(ErrorCode::kUnauthorized, fmt::format("no credentials: neither in {} nor in AWS_ACCESS_KEY_ID", c.data),
              "Start the server once with `mayfly serve`; it makes them. Name its folder with --data.");
}

std::string function_path(std::string_view name, std::string_view rest) {
  return fmt::format("/2015-03-31/functions/{}{}", percent_encode(name, Slash::kEncode), rest);
}

Result<http::Response> send(const Connection& connection, const Call& call) {
  auto response = http::fetch(signed_request(connection, call), kResponseLimit);
  if (!response) return std::unexpected(unreachable(connection, response.error()));
  return response;
}

Error error_of(const http::Response& response) {
  std::string code(response.head.headers.get("x-amzn-ErrorType"));
  std::string message;
  if (const auto body = parse_json(response.body)) {
    message = get_string(*body, "Message", get_string(*body, "message"));
    if (code.empty()) code = get_string(*body, "__type");
  }
  if (message.empty()) message = fmt::format("status {}", response.head.status);
  ErrorCode kind = ErrorCode::kInternal;
  switch (response.head.status) {
    case 400:
      kind = ErrorCode::kInvalid;
      break;
    case 403:
      kind = ErrorCode::kForbidden;
      break;
    case 404:
      kind = ErrorCode::kNotFound;
      break;
    case 409:
      kind = ErrorCode::kConflict;
      break;
    case 413:
      kind = ErrorCode::kTooLarge;
      break;
    case 429:
      kind = ErrorCode::kThrottled;
      break;
    case 501:
      kind = ErrorCode::kUnsupported;
      break;
    default:
      break;
  }
  return {.code = kind, .message = code.empty() ? message : fmt::format("{}: {}", code, message), .hint = {}};
}

Result<json::value> send_json(const Connection& connection, const Call& call) {
  const auto response = send(connection, call);
  if (!response) return std::unexpected(response.error());
  if (response->head.status >= 300) return std::unexpected(error_of(*response));
  if (response->body.empty()) return json::value(json::object());
  return parse_json(response->body);
}

Result<void> stream(const Connection& connection, const Call& call,
                    const std::function<bool(std::string_view)>& on_data) {
  int status = 0;
  http::Response refused;
  const auto head = http::fetch_streaming(
      signed_request(connection, call),
      [&](const http::ResponseHead& h) {
        status = h.status;
        refused.head = h;
      },
      [&](std::string_view data) {
        if (status < 300) return on_data(data);
        refused.body += data;
        return refused.body.size() < 65'536;
      });
  if (status >= 300) return std::unexpected(error_of(refused));
  if (!head) return std::unexpected(unreachable(connection, head.error()));
  return {};
}

}  // namespace mayfly::cli
