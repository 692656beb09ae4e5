#include "aws/xml.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace mayfly::aws {

namespace {

constexpr std::size_t kDeepestXml = 64;
constexpr std::size_t kMostElements = 200'000;

std::unexpected<Error> bad(std::string_view what) {
  return fail(ErrorCode::kInvalid, fmt::format("The XML is not well formed: {}", what));
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

void append_utf8(std::uint32_t point, std::string& out) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | (point >> 6));
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | (point >> 12));
    put(0x80 | ((point >> 6) & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | (point >> 18));
    put(0x80 | ((point >> 12) & 0x3F));
    put(0x80 | ((point >> 6) & 0x3F));
    put(0x80 | (point & 0x3F));
  }
}

// `name` is what stands between '&' and ';'.
bool append_reference(std::string_view name, std::string& out) {
  static constexpr std::pair<std::string_view, char> kNamed[] = {
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  for (const auto& [known, character] : kNamed) {
    if (name == known) {
      out += character;
      return true;
    }
  }
  if (!name.starts_with('#')) return false;
  name.remove_prefix(1);
  const int base = name.starts_with('x') ? 16 : 10;
  if (base == 16) name.remove_prefix(1);
  std::uint32_t point = 0;
  const auto* end = name.data() + name.size();
  const auto result = std::from_chars(name.data(), end, point, base);
  if (name.empty() || result.ec != std::errc() || result.ptr != end || point > 0x10FFFF || point == 0 ||
      (point >= 0xD800 && point < 0xE000)) {
    return false;
  }
  append_utf8(point, out);
  return true;
}

bool append_decoded(std::string_view raw, std::string& out) {
  if (raw.contains('\0')) return false;
  while (!raw.empty()) {
    const auto at = raw.find('&');
    out += raw.substr(0, at);
    if (at == std::string_view::npos) return true;
    raw.remove_prefix(at + 1);
    const auto end = raw.find(';');
    if (end == std::string_view::npos || !append_reference(raw.substr(0, end), out)) return false;
    raw.remove_prefix(end + 1);
  }
  return true;
}

std::string_view without_prefix(std::string_view name) {
  const auto colon = name.find(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

class XmlParser {
 public:
  explicit XmlParser(std::string_view text) : text_(text) {}

  Result<XmlElement> document() {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
    if (auto skipped = skip_misc(); !skipped) return std::unexpected(std::move(skipped.error()));
    XmlElement root;
    if (auto read = element(root, 1); !read) return std::unexpected(std::move(read.error()));
    if (auto skipped = skip_misc(); !skipped) return std::unexpected(std::move(skipped.error()));
    if (!text_.empty()) return bad("something follows the root element");
    return root;
  }

 private:
  bool take(std::string_view token) {
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }
  bool skip_past(std::string_view token) {
    const auto at = text_.find(token);
    if (at == std::string_view::npos) return false;
    text_.remove_prefix(at + token.size());
    return true;
  }
  void skip_spaces() {
    while (!text_.empty() && is_space(text_.front())) text_.remove_prefix(1);
  }

  // Spaces, comments and processing instructions around the root. A document type is refused.
  Result<void> skip_misc() {
    for (;;) {
      skip_spaces();
      if (take("<?")) {
        if (!skip_past("?>")) return bad("an instruction does not end");
      } else if (take("<!--")) {
        if (!skip_past("-->")) return bad("a comment does not end");
      } else if (text_.starts_with("<!")) {
        return bad("document types are not accepted");
      } else {
        return {};
      }
    }
  }

  Result<std::string_view> name() {
    const auto end = std::min(text_.find_first_of(" \t\r\n/>=<&'\""), text_.size());
    if (end == 0) return bad("a name is missing");
    const auto taken = text_.substr(0, end);
    text_.remove_prefix(end);
    return taken;
  }

  Result<void> attributes(XmlElement& out) {
    for (;;) {
      skip_spaces();
      if (text_.empty()) return bad("a tag does not end");
      if (text_.front() == '>' || text_.front() == '/') return {};
      const auto key = name();
      if (!key) return std::unexpected(key.error());
      skip_spaces();
      if (!take("=")) return bad("an attribute has no value");
      skip_spaces();
      if (text_.empty() || (text_.front() != '"' && text_.front() != '\'')) return bad("a value is not quoted");
      const char quote = text_.front();
      text_.remove_prefix(1);
      const auto end = text_.find(quote);
      if (end == std::string_view::npos) return bad("a value does not end");
      std::string value;
      if (!append_decoded(text_.substr(0, end), value)) return bad("an entity is not known");
      text_.remove_prefix(end + 1);
      out.attributes.emplace_back(*key, std::move(value));
    }
  }

  Result<void> element(XmlElement& out, std::size_t depth) {
    if (depth > kDeepestXml) return fail(ErrorCode::kTooLarge, "The XML is nested too deep");
    if (++count_ > kMostElements) return fail(ErrorCode::kTooLarge, "The XML has too many elements");
    if (!take("<")) return bad("an element was expected");
    const auto tag = name();
    if (!tag) return std::unexpected(tag.error());
    out.name = without_prefix(*tag);
    if (auto read = attributes(out); !read) return read;
    if (take("/>")) return {};
    if (!take(">")) return bad("a tag does not end");
    if (auto read = content(out, depth); !read) return read;
    if (!take(*tag)) return bad("an element ends with another's name");
    skip_spaces();
    if (!take(">")) return bad("a tag does not end");
    return {};
  }

  // Up to and with the "</" of the element's own end.
  Result<void> content(XmlElement& out, std::size_t depth) {
    for (;;) {
      const auto at = text_.find('<');
      if (at == std::string_view::npos) return bad("an element does not end");
      if (!append_decoded(text_.substr(0, at), out.text)) return bad("an entity is not known");
      text_.remove_prefix(at);
      if (take("</")) return {};
      if (take("<![CDATA[")) {
        const auto end = text_.find("]]>");
        if (end == std::string_view::npos) return bad("a CDATA section does not end");
        out.text += text_.substr(0, end);
        text_.remove_prefix(end + 3);
      } else if (take("<!--")) {
        if (!skip_past("-->")) return bad("a comment does not end");
      } else if (take("<?")) {
        if (!skip_past("?>")) return bad("an instruction does not end");
      } else {
        auto read = element(out.children.emplace_back(), depth + 1);
        if (!read) return read;
      }
    }
  }

  std::string_view text_;
  std::size_t count_ = 0;
};

// What would change its meaning, or be lost by a parser that folds line ends, is written as a reference.
void append_escaped(std::string_view value, std::string& out) {
  for (const char c : value) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\t':
      case '\n':
        out += c;
        break;
      default:
        if (c == '\0') {
          out += "\xEF\xBF\xBD";  // no XML can hold it
        } else if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("&#x{:X};", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
}

}  // namespace

const XmlElement* XmlElement::child(std::string_view child_name) const {
  const auto found = std::ranges::find(children, child_name, &XmlElement::name);
  return found == children.end() ? nullptr : &*found;
}

const std::string* XmlElement::attribute(std::string_view attribute_name) const {
  const auto found = std::ranges::find(attributes, attribute_name, &std::pair<std::string, std::string>::first);
  return found == attributes.end() ? nullptr : &found->second;
}

Result<XmlElement> parse_xml(std::string_view text) { return XmlParser(text).document(); }

XmlWriter::XmlWriter() : out_("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") {}

void XmlWriter::end_tag() {
  if (in_tag_) out_ += '>';
  in_tag_ = false;
}

void XmlWriter::open(std::string_view name) {
  end_tag();
  out_ += '<';
  out_ += name;
  open_.emplace_back(name);
  in_tag_ = true;
}

void XmlWriter::attribute(std::string_view name, std::string_view value) {
  MAYFLY_ASSERT(in_tag_);
  out_ += fmt::format(" {}=\"", name);
  append_escaped(value, out_);
  out_ += '"';
}

void XmlWriter::text(std::string_view value) {
  if (value.empty()) return;
  end_tag();
  append_escaped(value, out_);
}

void XmlWriter::close() {
  MAYFLY_ASSERT(!open_.empty());
  if (in_tag_) {
    out_ += "/>";
    in_tag_ = false;
  } else {
    out_ += fmt::format("</{}>", open_.back());
  }
  open_.pop_back();
}

void XmlWriter::leaf(std::string_view name, std::string_view value) {
  open(name);
  text(value);
  close();
}

std::string XmlWriter::finish() {
  MAYFLY_ASSERT(open_.empty());
  return std::move(out_);
}

}  // namespace mayfly::aws
