#include "pattern/tokens.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace mayfly::pattern {
namespace {

constexpr std::size_t kMostDepth = 100;
constexpr std::size_t kMostSource = 500;  // characters of the source in an error
constexpr std::string_view kValueWords =
    "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool continues_character(char c) { return (static_cast<std::uint8_t>(c) & 0xC0U) == 0x80; }

// UTF-16 units, which the service's columns count.
std::size_t units(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) {
    if (continues_character(c)) continue;
    count += static_cast<std::uint8_t>(c) >= 0xF0 ? 2 : 1;
  }
  return count;
}

void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0U | (c >> 6U));
    put(0x80U | (c & 0x3FU));
  } else if (c < 0x10000) {
    put(0xE0U | (c >> 12U));
    put(0x80U | ((c >> 6U) & 0x3FU));
    put(0x80U | (c & 0x3FU));
  } else {
    put(0xF0U | (c >> 18U));
    put(0x80U | ((c >> 12U) & 0x3FU));
    put(0x80U | ((c >> 6U) & 0x3FU));
    put(0x80U | (c & 0x3FU));
  }
}

}  // namespace

std::string Tokens::place_at(std::size_t offset) const {
  offset = std::min(offset, source_.size());
  std::size_t line = 1;
  std::size_t line_start = 0;
  for (std::size_t i = 0; i < offset; ++i) {
    const bool ends = source_[i] == '\n' || (source_[i] == '\r' && (i + 1 >= offset || source_[i + 1] != '\n'));
    if (!ends) continue;
    ++line;
    line_start = i + 1;
  }
  std::string shown;
  std::size_t end = 0;
  while (end < source_.size() && (end < kMostSource || continues_character(source_[end]))) {
    const char c = source_[end++];
    if (static_cast<std::uint8_t>(c) < 0x20 && c != '\n' && c != '\r') {
      shown += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    } else {
      shown += c;
    }
  }
  std::string cut;
  if (end < source_.size()) cut = fmt::format("[truncated {} chars]", units(source_.substr(end)));
  return fmt::format("\n at [Source: (String)\"{}\"{}; line: {}, column: {}]", shown, cut, line,
                     units(source_.substr(line_start, offset - line_start)) + 1);
}

Token Tokens::bad(std::string message, std::size_t at) {
  if (error_.empty()) error_ = std::move(message) + place_at(at);
  ended_ = true;
  return current_ = Token::kBad;
}

// The character that stands here does not belong here.
Token Tokens::unexpected(std::string_view expectation) {
  // Bytes that are no UTF-8 may go on for ever; a character has four at most.
  constexpr std::size_t kLongestCharacter = 4;
  std::size_t length = 1;
  while (length < kLongestCharacter && at_ + length < source_.size() && continues_character(source_[at_ + length])) {
    ++length;
  }
  const auto shown = source_.substr(at_, length);
  const auto first = static_cast<std::uint8_t>(shown[0]);
  std::uint32_t code = first;
  if (length > 1) {
    code = first & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) code = (code << 6U) | (static_cast<std::uint8_t>(shown[i]) & 0x3FU);
  }
  const std::size_t at = std::exchange(at_, at_ + length);
  return bad(fmt::format("Unexpected character ('{}' (code {})): {}", shown, code, expectation), at);
}

Token Tokens::end_of_input() {
  if (levels_.empty()) {
    ended_ = true;
    return current_ = Token::kEnd;
  }
  const std::string_view kind = levels_.back().array ? "Array" : "Object";
  auto start = place_at(levels_.back().opened_at).substr(4);  // without "\n at"
  return bad(fmt::format("Unexpected end-of-input: expected close marker for {} (start marker at {})", kind,
                         start.substr(start.find('['))),
             at_);
}

bool Tokens::skip_space() {
  while (at_ < source_.size() &&
         (source_[at_] == ' ' || source_[at_] == '\t' || source_[at_] == '\n' || source_[at_] == '\r'))
    ++at_;
  return at_ < source_.size();
}

Token Tokens::close(bool array) {
  if (levels_.empty() || levels_.back().array != array) {
    if (levels_.empty()) return unexpected(kValueWords);
    const auto& level = levels_.back();
    auto start = place_at(level.opened_at);
    return bad(fmt::format("Unexpected close marker '{}': expected '{}' (for {} starting at {})", array ? ']' : '}',
                           level.array ? ']' : '}', level.array ? "Array" : "Object", start.substr(start.find('['))),
               at_);
  }
  ++at_;
  levels_.pop_back();
  text_ = array ? "]" : "}";
  if (levels_.empty()) ended_ = true;
  return current_ = array ? Token::kEndArray : Token::kEndObject;
}

Token Tokens::next() {
  if (!error_.empty()) return current_ = Token::kBad;
  if (has_pending_) {
    has_pending_ = false;
    return current_ = pending_;
  }
  if (open_string_) {
    std::string passed;
    open_string_ = false;
    if (!read_string(passed, "VALUE_STRING")) return Token::kBad;
  }
  if (ended_) return current_ = Token::kEnd;
  if (!skip_space()) return end_of_input();
  if (source_[at_] == ']' || source_[at_] == '}') return close(source_[at_] == ']');
  if (!levels_.empty()) {
    const bool array = levels_.back().array;
    if (levels_.back().started) {
      if (source_[at_] != ',')
        return unexpected(array ? "was expecting comma to separate Array entries"
                                : "was expecting comma to separate Object entries");
      ++at_;
      if (!skip_space()) return end_of_input();
    }
    levels_.back().started = true;
    if (array) return current_ = read_value();
    if (source_[at_] != '"') return unexpected("was expecting double-quote to start field name");
    ++at_;
    if (!read_string(name_, "field name")) return Token::kBad;
    if (!skip_space()) return end_of_input();
    if (source_[at_] != ':') return unexpected("was expecting a colon to separate field name and value");
    ++at_;
    if (!skip_space()) return end_of_input();
    pending_ = read_value();
    if (pending_ == Token::kBad) return Token::kBad;
    has_pending_ = true;
    return current_ = Token::kFieldName;
  }
  return current_ = read_value();
}

Token Tokens::read_value() {
  const char c = source_[at_];
  if (c == '{' || c == '[') {
    if (levels_.size() >= kMostDepth) return bad(fmt::format("Pattern is nested deeper than {}", kMostDepth), at_);
    ++at_;
    text_ = c;
    levels_.push_back(Level{.array = c == '[', .opened_at = at_ - 1});
    return c == '{' ? Token::kStartObject : Token::kStartArray;
  }
  if (c == '"') {
    ++at_;
    open_string_ = true;
    return Token::kString;
  }
  if (c == '-' || is_digit(c)) return read_number();
  if (c == 't') return read_literal("true", Token::kTrue);
  if (c == 'f') return read_literal("false", Token::kFalse);
  if (c == 'n') return read_literal("null", Token::kNull);
  if (std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$') return read_literal("", Token::kBad);
  return unexpected(kValueWords);
}

Token Tokens::read_literal(std::string_view word, Token token) {
  std::size_t end = at_;
  while (end < source_.size() && (std::isalnum(static_cast<unsigned char>(source_[end])) != 0 || source_[end] == '_'))
    ++end;
  const auto found = source_.substr(at_, end - at_);
  if (found != word)
    return bad(
        fmt::format("Unrecognized token '{}': was expecting (JSON String, Number, Array, Object or token 'null', "
                    "'true' or 'false')",
                    found),
        end);
  at_ = end;
  text_ = word;
  return token;
}

Token Tokens::read_number() {
  const std::size_t start = at_;
  const auto digits = [this] {
    const std::size_t from = at_;
    while (at_ < source_.size() && is_digit(source_[at_])) ++at_;
    return at_ > from;
  };
  const auto here = [this](char c) { return at_ < source_.size() && source_[at_] == c; };
  if (here('-')) ++at_;
  const std::size_t whole = at_;
  bool well = digits();
  if (well && source_[whole] == '0' && at_ - whole > 1)
    return bad("Invalid numeric value: Leading zeroes not allowed", whole + 1);
  if (well && here('.')) {
    ++at_;
    well = digits();
  }
  if (well && (here('e') || here('E'))) {
    ++at_;
    if (here('+') || here('-')) ++at_;
    well = digits();
  }
  if (!well) {
    if (at_ >= source_.size()) return end_of_input();
    return unexpected("No digit following minus sign, decimal point or exponent");
  }
  text_ = source_.substr(start, at_ - start);
  return Token::kNumber;
}

const std::string& Tokens::text() {
  if (open_string_) {
    open_string_ = false;
    if (!read_string(text_, "VALUE_STRING")) text_.clear();
  }
  return text_;
}

bool Tokens::read_string(std::string& out, std::string_view what) {
  out.clear();
  while (at_ < source_.size()) {
    const char c = source_[at_];
    if (c == '"') {
      ++at_;
      return true;
    }
    if (static_cast<std::uint8_t>(c) < 0x20) {
      (void)bad(
          fmt::format("Illegal unquoted character ((CTRL-CHAR, code {})): has to be escaped using backslash to be "
                      "included in {}",
                      static_cast<unsigned>(c), what == "field name" ? "name" : "string value"),
          at_);
      return false;
    }
    ++at_;
    if (c != '\\') {
      out += c;
    } else if (!read_escape(out)) {
      return false;
    }
  }
  (void)bad(fmt::format("Unexpected end-of-input in {}", what), at_);
  return false;
}

bool Tokens::read_escape(std::string& out) {
  static constexpr std::string_view kNames = "\"\\/bfnrt";
  static constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
  const auto hex = [this](std::uint32_t& value) {
    value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = at_ < source_.size() ? source_[at_] : ' ';
      const auto digit = std::string_view("0123456789abcdef").find(static_cast<char>(c | 0x20));
      if (digit == std::string_view::npos || c == ' ') return false;
      value = value * 16 + static_cast<std::uint32_t>(digit);
    }
    return true;
  };
  const char c = at_ < source_.size() ? source_[at_] : ' ';
  if (const auto known = kNames.find(c); known != std::string_view::npos) {
    out += kMeant[known];
    ++at_;
    return true;
  }
  if (c != 'u') {
    (void)bad(fmt::format("Unrecognized character escape '{}' (code {})", c, static_cast<unsigned>(c)), at_);
    return false;
  }
  ++at_;
  std::uint32_t value = 0;
  bool well = hex(value);
  if (well && value >= 0xD800 && value < 0xDC00 && source_.substr(at_).starts_with("\\u")) {
    at_ += 2;
    std::uint32_t low = 0;
    well = hex(low) && low >= 0xDC00 && low < 0xE000;
    value = 0x10000 + ((value - 0xD800) << 10U) + (low - 0xDC00);
  }
  if (!well) {
    (void)bad("Unexpected character: expected a hex-digit for character escape sequence", at_);
    return false;
  }
  if (value >= 0xD800 && value < 0xE000) value = 0xFFFD;  // half of a pair alone
  append_utf8(out, value);
  return true;
}

}  // namespace mayfly::pattern
