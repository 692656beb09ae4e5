// A signed connection to the server: endpoint and credentials from flags, the AWS_* variables, or the data folder.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "http/message.h"

namespace mayfly::cli {

struct ConnectionOptions {
  std::string endpoint;  // "" : MAYFLY_ENDPOINT, AWS_ENDPOINT_URL, what the server wrote, http://127.0.0.1:4566
  std::string data;      // "" : MAYFLY_HOME, ~/.mayfly
};

struct Connection {
  std::string endpoint;
  std::string region;
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  std::string data;
};

// What `mayfly serve` writes into its data folder when it is ready.
inline constexpr const char* kServerFile = "server.json";

std::string default_data_folder();
Result<Connection> connect(const ConnectionOptions& options);

struct Call {
  std::string method = "GET";
  std::string target;  // path and query, escaped
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string service = "lambda";
};

// Any HTTP answer is a success here; only what keeps an answer from coming is an Error.
Result<http::Response> send(const Connection& connection, const Call& call);
// As send(), with an error status turned into an Error with the service's code and message.
Result<json::value> send_json(const Connection& connection, const Call& call);
Result<void> stream(const Connection& connection, const Call& call,
                    const std::function<bool(std::string_view)>& on_data);
// The Error of an answer with an error status.
Error error_of(const http::Response& response);

std::string function_path(std::string_view name, std::string_view rest);  // "/2015-03-31/functions/<name><rest>"

}  // namespace mayfly::cli
