// Cross-origin headers: the answer to a preflight, and what is added to others. Where an API has a configuration, what
// an integration says of these headers is dropped.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "http/message.h"

namespace mayfly::gateway {

struct Cors {
  bool credentials = false;
  std::vector<std::string> origins;  // "*", "https://a.example", "https://*"
  std::vector<std::string> methods;
  std::vector<std::string> headers;
  std::vector<std::string> exposed;
  std::optional<int> max_age;
};

// True for OPTIONS with Origin and Access-Control-Request-Method: answered without anybody else.
bool is_preflight(const http::RequestHead& request);
// Adds nothing where the request's origin is not allowed.
void add_cors(const Cors& cors, const http::RequestHead& request, http::Headers& response);
void drop_cors(http::Headers& response);

}  // namespace mayfly::gateway
