#include "aws/router.h"

#include <algorithm>

#include "base/encoding.h"

namespace mayfly::aws {

namespace {

constexpr std::size_t kMaxSegments = 64;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// A trailing slash means nothing: older clients write "/2015-03-31/functions/".
std::vector<std::string_view> segments(std::string_view path) {
  if (!path.empty() && path.front() == '/') path.remove_prefix(1);
  auto parts = split(path, '/');
  if (parts.back().empty()) parts.pop_back();
  return parts;
}

bool query_has(std::string_view query, std::string_view wanted) {
  for (auto part : split(query, '&')) {
    if (part.ends_with('=')) part.remove_suffix(1);
    if (part == wanted) return true;
  }
  return false;
}

}  // namespace

struct Router::Search {
  std::string_view method;
  std::string_view query;
  std::vector<std::string_view> segments;
  std::vector<std::string> values = {};
  bool arn_tail = false;  // a last label may swallow the rest where it starts an ARN
};

Router::Router(std::span<const OperationModel> operations) {
  for (const auto& operation : operations) add(operation);
}

Router::~Router() = default;

void Router::add(const OperationModel& operation) {
  auto path = operation.uri;
  Leaf leaf{.operation = &operation, .labels = {}, .query = {}};
  if (const auto mark = path.find('?'); mark != std::string_view::npos) {
    for (auto part : split(path.substr(mark + 1), '&')) {
      if (part.ends_with('=')) part.remove_suffix(1);
      if (!part.empty()) leaf.query.push_back(part);
    }
    path = path.substr(0, mark);
  }
  Node* node = &root_;
  for (const auto segment : segments(path)) {
    if (segment.size() > 2 && segment.front() == '{' && segment.back() == '}') {
      auto name = segment.substr(1, segment.size() - 2);
      const bool greedy = name.ends_with('+');
      if (greedy) name.remove_suffix(1);
      leaf.labels.push_back(name);
      auto& next = greedy ? node->greedy : node->label;
      if (!next) next = std::make_unique<Node>();
      node = next.get();
    } else {
      auto& next = node->literals[segment];
      if (!next) next = std::make_unique<Node>();
      node = next.get();
    }
  }
  node->leaves.push_back(std::move(leaf));
  // The more a leaf asks of the query the earlier it is tried.
  std::ranges::sort(node->leaves, [](const Leaf& a, const Leaf& b) { return a.query.size() > b.query.size(); });
}

const Router::Leaf* Router::accept(const Node& node, const Search& search) {
  for (const auto& leaf : node.leaves) {
    if (leaf.operation->method != search.method) continue;
    if (std::ranges::all_of(leaf.query, [&](auto part) { return query_has(search.query, part); })) return &leaf;
  }
  return nullptr;
}

const Router::Leaf* Router::walk(const Node& node, std::size_t at, Search& search) {
  if (at == search.segments.size()) return accept(node, search);
  const auto segment = search.segments[at];
  if (const auto found = node.literals.find(segment); found != node.literals.end()) {
    if (const auto* leaf = walk(*found->second, at + 1, search)) return leaf;
  }
  if (node.label && !segment.empty()) {
    if (auto value = percent_decode(segment)) {
      search.values.push_back(std::move(*value));
      if (const auto* leaf = walk(*node.label, at + 1, search)) return leaf;
      if (search.arn_tail && search.values.back().starts_with("arn:") && !node.label->leaves.empty()) {
        std::string rest = search.values.back();
        for (std::size_t i = at + 1; i < search.segments.size(); ++i) {
          rest += '/';
          rest += percent_decode(search.segments[i]).value_or("");
        }
        if (const auto* leaf = accept(*node.label, search)) {
          search.values.back() = std::move(rest);
          return leaf;
        }
      }
      search.values.pop_back();
    }
  }
  if (node.greedy) {
    // The longest match first: what follows a greedy label is tried from the end backwards.
    for (std::size_t end = search.segments.size(); end > at; --end) {
      std::string value;
      for (std::size_t i = at; i < end; ++i) {
        if (i > at) value += '/';
        value += percent_decode(search.segments[i]).value_or("");
      }
      search.values.push_back(std::move(value));
      if (const auto* leaf = walk(*node.greedy, end, search)) return leaf;
      search.values.pop_back();
    }
  }
  return nullptr;
}

std::optional<Route> Router::find(std::string_view method, std::string_view path, std::string_view query) const {
  Search search{.method = method, .query = query, .segments = segments(path)};
  if (search.segments.size() > kMaxSegments) return std::nullopt;
  const auto* leaf = walk(root_, 0, search);
  if (leaf == nullptr) {
    search.values.clear();
    search.arn_tail = true;
    leaf = walk(root_, 0, search);
  }
  if (leaf == nullptr) return std::nullopt;
  Route route{.operation = leaf->operation, .labels = {}, .form = {}};
  for (std::size_t i = 0; i < leaf->labels.size(); ++i) {
    route.labels.emplace_back(leaf->labels[i], std::move(search.values[i]));
  }
  return route;
}

}  // namespace mayfly::aws
