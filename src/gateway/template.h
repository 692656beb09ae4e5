// Texts with variables, as parameter mappings, identity sources and access logs have them:
//   $request.header.name   $request.querystring.name   $request.path   $request.path.name   $request.body[.member...]
//   $response.header.name  $response.body[.member...]  $context.name   $stageVariables.name
// each also as ${...}. Parsed once, when a setting is accepted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace mayfly::gateway {

struct Exchange;

class Template {
 public:
  Template() = default;
  // Which families of variables may stand in it.
  // kSocket: the variables of $context that only WebSocket APIs have.
  enum Families : std::uint8_t { kRequest = 1, kResponse = 2, kContext = 4, kStage = 8, kSocket = 16 };
  // kInvalid for a variable that does not exist or that may not stand here.
  static Result<Template> parse(std::string_view text, unsigned families);

  // Text without variables, whatever it holds.
  static Template literal(std::string text);

  enum class Escape : std::uint8_t { kNone, kJson };
  [[nodiscard]] std::string fill(const Exchange& exchange, Escape escape) const;
  // The value of a text that is one variable alone; nullopt where the request does not have it.
  [[nodiscard]] std::optional<std::string> value(const Exchange& exchange) const;
  // Its text as it is, nullopt where the request lacks one of its variables.
  [[nodiscard]] std::optional<std::string> complete(const Exchange& exchange) const;
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool is_one_variable() const { return parts_.size() == 1 && parts_[0].kind != Kind::kText; }

 private:
  enum class Kind : std::uint8_t {
    kText,
    kHeader,
    kQuery,
    kPathVariable,
    kPath,
    kBody,
    kResponseHeader,
    kResponseBody,
    kContext,
    kStageVariable
  };
  struct Part {
    Kind kind = Kind::kText;
    std::string text;  // or the variable's name
  };
  static std::optional<Part> variable(std::string_view name, unsigned families);
  static std::optional<std::string> value_of(const Part& part, const Exchange& exchange);

  std::string text_;
  std::vector<Part> parts_;
};

// The value of `name` in a query, decoded; nullopt where it is not there.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace mayfly::gateway
