// Method and URI to operation, for REST protocols: a tree over path segments, literals before labels, built once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws/protocol.h"

namespace mayfly::aws {

class Router {
 public:
  explicit Router(std::span<const OperationModel> operations);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  // `path` and `query` as received, still escaped.
  [[nodiscard]] std::optional<Route> find(std::string_view method, std::string_view path, std::string_view query) const;

 private:
  struct Leaf {
    const OperationModel* operation;
    std::vector<std::string_view> labels;  // names, in path order
    std::vector<std::string_view> query;   // "find=LayerVersion": parts of the query that must be there
  };
  struct Node {
    std::map<std::string_view, std::unique_ptr<Node>> literals;
    std::unique_ptr<Node> label;
    std::unique_ptr<Node> greedy;
    std::vector<Leaf> leaves;
  };
  struct Search;
  void add(const OperationModel& operation);
  static const Leaf* walk(const Node& node, std::size_t at, Search& search);
  static const Leaf* accept(const Node& node, const Search& search);

  Node root_;
};

}  // namespace mayfly::aws
