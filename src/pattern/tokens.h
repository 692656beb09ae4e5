// A pattern's text as JSON tokens with the positions that the service reports in its errors: its parser (Jackson)
// stands after a field's name already at the first character of the value, and after the opening quote of a string
// until the string's text is asked for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly::pattern {

enum class Token : std::uint8_t {
  kBad,  // error() says why
  kEnd,
  kStartObject,
  kEndObject,
  kStartArray,
  kEndArray,
  kFieldName,
  kString,
  kNumber,
  kTrue,
  kFalse,
  kNull,
};

class Tokens {
 public:
  explicit Tokens(std::string_view text) : source_(text) {}

  Token next();
  // Of the current token: a string's content, a number or literal as written, the bracket's character. A string that
  // does not end makes error() non-empty.
  const std::string& text();
  [[nodiscard]] const std::string& name() const { return name_; }  // of the field last named

  // Where the parser stands, as an error's ending: "\n at [Source: (String)\"..\"; line: 1, column: 5]".
  [[nodiscard]] std::string place() const { return place_at(at_); }
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  struct Level {
    bool array = false;
    bool started = false;   // an element was read
    std::size_t opened_at;  // behind the bracket
  };

  Token bad(std::string message, std::size_t at);
  Token unexpected(std::string_view expectation);
  Token read_value();
  Token read_number();
  Token read_literal(std::string_view word, Token token);
  Token close(bool array);
  Token end_of_input();
  bool read_string(std::string& out, std::string_view what);
  bool read_escape(std::string& out);
  bool skip_space();  // false at the end of the text
  [[nodiscard]] std::string place_at(std::size_t offset) const;

  std::string_view source_;
  std::size_t at_ = 0;
  std::vector<Level> levels_;
  bool ended_ = false;
  bool has_pending_ = false;  // the value behind the name that was given out
  bool open_string_ = false;
  Token current_ = Token::kEnd;
  Token pending_ = Token::kEnd;
  std::string text_;
  std::string name_;
  std::string error_;
};

}  // namespace mayfly::pattern
