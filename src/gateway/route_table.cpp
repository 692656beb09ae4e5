#include "gateway/route_table.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/encoding.h"

namespace mayfly::gateway {
namespace {

constexpr std::array<std::string_view, 8> kMethods = {"ANY",     "DELETE", "GET",  "HEAD",
                                                      "OPTIONS", "PATCH",  "POST", "PUT"};

bool is_variable(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }

bool is_greedy(std::string_view segment) { return is_variable(segment) && segment.ends_with("+}"); }

std::string variable_name(std::string_view segment) {
  const auto name = segment.substr(1, segment.size() - 2);
  return std::string(is_greedy(segment) ? name.substr(0, name.size() - 1) : name);
}

bool is_name(std::string_view text) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == ':';
  };
  return !text.empty() && std::ranges::all_of(text, good);
}

Result<void> check_segments(const RouteKey& key) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < key.segments.size(); ++i) {
    const std::string_view segment = key.segments[i];
    if (!is_variable(segment)) {
      if (segment.find_first_of("{}") != std::string_view::npos)
        return fail(ErrorCode::kInvalid, "a variable must be a whole segment of the path");
      continue;
    }
    const auto name = variable_name(segment);
    if (!is_name(name)) return fail(ErrorCode::kInvalid, "a variable's name is not valid");
    if (std::ranges::find(names, name) != names.end())
      return fail(ErrorCode::kInvalid, "a variable's name must be unique in the path");
    names.push_back(name);
    if (is_greedy(segment) && i + 1 != key.segments.size())
      return fail(ErrorCode::kInvalid, "a greedy variable must be the last segment of the path");
  }
  return {};
}

}  // namespace

Result<RouteKey> parse_route_key(std::string_view text) {
  RouteKey key;
  if (text == "$default") {
    key.is_default = true;
    return key;
  }
  const auto space = text.find(' ');
  if (space == std::string_view::npos) return fail(ErrorCode::kInvalid, "a route key is METHOD /path or $default");
  key.method = text.substr(0, space);
  key.path = text.substr(space + 1);
  if (std::ranges::find(kMethods, key.method) == kMethods.end())
    return fail(ErrorCode::kInvalid, "the method is not one of ANY, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
  if (!key.path.starts_with('/')) return fail(ErrorCode::kInvalid, "the path must begin with a slash");
  if (key.path.find_first_of(" ?#") != std::string::npos)
    return fail(ErrorCode::kInvalid, "the path holds a character that no path has");
  const auto split = split_path(key.path);
  if (!split) return fail(ErrorCode::kInvalid, "the path is not valid");
  for (const auto& segment : split->raw) key.segments.emplace_back(segment);
  if (auto checked = check_segments(key); !checked) return std::unexpected(std::move(checked.error()));
  return key;
}

std::optional<RequestPath> split_path(std::string_view path) {
  RequestPath out;
  if (!path.starts_with('/')) return std::nullopt;
  for (;;) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    const auto raw = path.substr(0, end);
    auto decoded = percent_decode(raw);
    if (!decoded || decoded->find('\0') != std::string::npos) return std::nullopt;
    // A backslash is a slash to some readers, and behind an encoded slash a dot segment may hide.
    std::string_view rest = *decoded;
    while (true) {
      const auto cut = std::min(rest.find_first_of("/\\"), rest.size());
      const auto part = rest.substr(0, cut);
      if (part == "." || part == "..") return std::nullopt;
      if (cut == rest.size()) break;
      rest.remove_prefix(cut + 1);
    }
    out.raw.push_back(raw);
    out.decoded.push_back(std::move(*decoded));
    if (out.raw.size() > kMostSegments) return std::nullopt;
    path.remove_prefix(end);
    if (path.empty()) return out;
  }
}

struct RouteTable::Leaf {
  std::size_t route = 0;
  std::vector<std::pair<std::size_t, std::string>> variables;  // segment and name
  bool greedy = false;
};

struct RouteTable::Node {
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, std::unique_ptr<Node>, Hash, std::equal_to<>> literals;
  std::unique_ptr<Node> variable;
  std::map<std::string, Leaf, std::less<>> whole;   // by method
  std::map<std::string, Leaf, std::less<>> greedy;  // by method; their variable begins behind this node
};

struct RouteTable::Search {
  std::string_view method;
  const RequestPath& path;
  const Leaf* greedy = nullptr;  // the longest so far
  std::size_t greedy_at = 0;

  [[nodiscard]] const Leaf* of(const std::map<std::string, Leaf, std::less<>>& leaves) const {
    auto found = leaves.find(method);
    if (found == leaves.end()) found = leaves.find(std::string_view("ANY"));
    return found == leaves.end() ? nullptr : &found->second;
  }
};

RouteTable::RouteTable() : root_(std::make_unique<Node>()) {}
RouteTable::~RouteTable() = default;
RouteTable::RouteTable(RouteTable&&) noexcept = default;
RouteTable& RouteTable::operator=(RouteTable&&) noexcept = default;

Result<void> RouteTable::add(const RouteKey& key, std::size_t route) {
  if (key.is_default) {
    if (default_) return fail(ErrorCode::kExists, "$default");
    default_ = route;
    return {};
  }
  Leaf leaf;
  leaf.route = route;
  Node* node = root_.get();
  for (std::size_t i = 0; i < key.segments.size(); ++i) {
    const auto& segment = key.segments[i];
    if (is_greedy(segment)) {
      leaf.greedy = true;
      leaf.variables.emplace_back(i, variable_name(segment));
      break;
    }
    if (is_variable(segment)) {
      leaf.variables.emplace_back(i, variable_name(segment));
      if (!node->variable) node->variable = std::make_unique<Node>();
      node = node->variable.get();
      continue;
    }
    auto& next = node->literals[percent_decode(segment).value_or(segment)];
    if (!next) next = std::make_unique<Node>();
    node = next.get();
  }
  auto& leaves = leaf.greedy ? node->greedy : node->whole;
  if (!leaves.try_emplace(key.method, std::move(leaf)).second)
    return fail(ErrorCode::kExists, key.method + " " + key.path);
  return {};
}

const RouteTable::Leaf* RouteTable::walk(const Node& node, std::size_t at, Search& search) {
  const auto& segments = search.path.decoded;
  if (at == segments.size()) return search.of(node.whole);
  // A variable needs something to hold: a path that ends with a slash has nothing behind it.
  const bool any_rest = at + 1 < segments.size() || !segments[at].empty();
  if (any_rest && (search.greedy == nullptr || at > search.greedy_at)) {
    if (const auto* greedy = search.of(node.greedy)) {
      search.greedy = greedy;
      search.greedy_at = at;
    }
  }
  const auto literal = node.literals.find(segments[at]);
  if (literal != node.literals.end()) {
    if (const auto* found = walk(*literal->second, at + 1, search)) return found;
  }
  if (!node.variable || segments[at].empty()) return nullptr;
  return walk(*node.variable, at + 1, search);
}

std::optional<RouteTable::Match> RouteTable::find(std::string_view method, const RequestPath& path) const {
  Search search{.method = method, .path = path};
  const auto* leaf = walk(*root_, 0, search);
  if (leaf == nullptr) leaf = search.greedy;
  Match match;
  if (leaf == nullptr) {
    if (!default_) return std::nullopt;
    match.route = *default_;
    return match;
  }
  match.route = leaf->route;
  for (const auto& [at, name] : leaf->variables) {
    const bool rest = leaf->greedy && at == leaf->variables.back().first;
    std::string decoded = path.decoded[at];
    std::string raw(path.raw[at]);
    for (auto i = at + 1; rest && i < path.raw.size(); ++i) {
      decoded += "/" + path.decoded[i];
      raw.append("/").append(path.raw[i]);
    }
    match.parameters.emplace_back(name, std::move(decoded));
    match.raw_parameters.emplace_back(name, std::move(raw));
  }
  return match;
}

}  // namespace mayfly::gateway
