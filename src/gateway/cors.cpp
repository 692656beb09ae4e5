#include "gateway/cors.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace mayfly::gateway {
namespace {

bool allows(const Cors& cors, std::string_view origin) {
  return std::ranges::any_of(cors.origins, [&](const std::string& allowed) {
    if (allowed == "*" || iequals(allowed, origin)) return true;
    // "https://*": any origin of that scheme.
    const auto star = allowed.find("://*");
    return star != std::string::npos && star + 4 == allowed.size() && origin.starts_with(allowed.substr(0, star + 3));
  });
}

std::string join(const std::vector<std::string>& list) {
  std::string out;
  for (const auto& item : list) out += (out.empty() ? "" : ",") + item;
  return out;
}

}  // namespace

bool is_preflight(const http::RequestHead& request) {
  return request.method == "OPTIONS" && request.headers.find("Origin") != nullptr &&
         request.headers.find("Access-Control-Request-Method") != nullptr;
}

void add_cors(const Cors& cors, const http::RequestHead& request, http::Headers& response) {
  const auto origin = request.headers.get("Origin");
  if (origin.empty() || !allows(cors, origin)) return;
  const bool any = std::ranges::find(cors.origins, "*") != cors.origins.end();
  // With credentials a browser takes no "*".
  response.set("Access-Control-Allow-Origin", any && !cors.credentials ? std::string("*") : std::string(origin));
  if (cors.credentials) response.set("Access-Control-Allow-Credentials", "true");
  if (!any || cors.credentials) response.add("Vary", "Origin");
  if (!cors.exposed.empty()) response.set("Access-Control-Expose-Headers", join(cors.exposed));
  if (!is_preflight(request)) return;
  if (!cors.methods.empty()) response.set("Access-Control-Allow-Methods", join(cors.methods));
  if (!cors.headers.empty()) response.set("Access-Control-Allow-Headers", join(cors.headers));
  if (cors.max_age) response.set("Access-Control-Max-Age", std::to_string(*cors.max_age));
}

void drop_cors(http::Headers& response) {
  constexpr std::array<std::string_view, 6> kNames = {
      "Access-Control-Allow-Origin",  "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers",
      "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",     "Access-Control-Max-Age"};
  for (const auto name : kNames) response.erase(name);
}

}  // namespace mayfly::gateway
