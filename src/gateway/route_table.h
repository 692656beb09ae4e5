// Which route a request's path and method belong to: a tree over path segments, built once and then only read.
//
// Operation.   AWS's order: a route whose whole path matches before one with a greedy variable, the more literal and
// the
//              longer path before the other, a route of the method before one of ANY, and $default last. The path is
//              split at its slashes before anything is decoded, so that an encoded slash stays inside its segment;
//              each segment is decoded once. Empty segments match nothing but a greedy variable's rest.
// Cost.        Each node is visited at most once, and a path of n segments reaches no more than the nodes that its own
//              segments name: independent of how many routes there are.
// Limits.      Paths of at most kMostSegments segments.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace mayfly::gateway {

inline constexpr std::size_t kMostSegments = 256;

// A route key taken apart: "GET /pets/{id}", "ANY /{proxy+}", "$default".
struct RouteKey {
  bool is_default = false;
  std::string method;  // "GET", "ANY"
  std::string path;    // "/pets/{id}"
  std::vector<std::string> segments;
};
// kInvalid with the reason.
Result<RouteKey> parse_route_key(std::string_view text);

// A request's path, split and decoded. nullopt: an escape that is none, a NUL, a dot segment (encoded or not), or too
// many segments; such a path means different things to different readers and is refused.
struct RequestPath {
  std::vector<std::string_view> raw;  // views of the text that was split
  std::vector<std::string> decoded;
};
std::optional<RequestPath> split_path(std::string_view path);

class RouteTable {
 public:
  RouteTable();
  ~RouteTable();
  RouteTable(RouteTable&&) noexcept;
  RouteTable& operator=(RouteTable&&) noexcept;

  // `route` is the caller's number for it. kExists where a route matches exactly the same requests.
  Result<void> add(const RouteKey& key, std::size_t route);

  struct Match {
    std::size_t route = 0;
    // In the order of the path, decoded and as sent. A greedy one holds the rest with its slashes.
    std::vector<std::pair<std::string, std::string>> parameters;
    std::vector<std::pair<std::string, std::string>> raw_parameters;
  };
  [[nodiscard]] std::optional<Match> find(std::string_view method, const RequestPath& path) const;

 private:
  struct Leaf;
  struct Node;
  struct Search;
  static const Leaf* walk(const Node& node, std::size_t at, Search& search);
  std::unique_ptr<Node> root_;
  std::optional<std::size_t> default_;
};

}  // namespace mayfly::gateway
