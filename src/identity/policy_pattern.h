// A text of a policy document that is compared with a text of a request: wildcards `*` and `?`, and variables
// (`${aws:username}`, `${aws:username, 'default'}`, and the escapes `${*}`, `${?}`, `${$}`). Compiled once; a match
// takes time in proportion to the product of both lengths at worst, and to the shorter one for literals and prefixes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "identity/policy_context.h"

namespace mayfly::identity {

class Pattern {
 public:
  struct Options {
    bool wildcards = true;     // else `*` and `?` are themselves
    bool variables = true;     // else `${` is itself, as in documents of version 2008-10-17
    bool ignore_case = false;  // ASCII
  };
  // kInvalid where a variable is malformed.
  static Result<Pattern> compile(std::string_view text, Options options);

  // A variable that the request has no (single) value for and that has no default matches nothing.
  [[nodiscard]] bool matches(std::string_view text, const Context& context) const;
  // Whether every variable has a value in this request.
  [[nodiscard]] bool resolvable(const Context& context) const;
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool matches_everything() const { return shape_ == Shape::kEverything; }

 private:
  enum class Shape : std::uint8_t { kEverything, kLiteral, kPrefix, kGlob, kVariables };
  // Bytes as themselves, wildcards above them: no text can be mistaken for a wildcard.
  using Symbols = std::u16string;
  struct Piece {
    Symbols symbols;                       // where `variable` is empty
    std::string variable;                  // lower case
    std::optional<std::string> otherwise;  // its default
  };

  static Result<Piece> read_variable(std::string_view inside);
  void choose_shape();
  [[nodiscard]] bool expand(const Context& context, Symbols& out) const;
  void append_text(std::string_view text, Symbols& out) const;

  std::string text_;  // as written
  Options options_;
  Shape shape_ = Shape::kLiteral;
  std::string literal_;  // kLiteral: all of it; kPrefix: what stands before the `*`
  Symbols symbols_;      // kGlob
  std::vector<Piece> pieces_;
};

}  // namespace mayfly::identity
