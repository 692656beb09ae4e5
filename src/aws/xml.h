// XML as the Query and REST-XML protocols use it: elements, attributes and text. No document types, no entities of the
// sender's making, nothing that reaches outside of the text.
//
// Limits. kDeepest nested elements and kMostElements in all; what has more is refused.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace mayfly::aws {

struct XmlElement {
  std::string name;  // without its prefix
  std::vector<std::pair<std::string, std::string>> attributes;
  std::string text;  // of the element itself, all of it
  std::vector<XmlElement> children;

  [[nodiscard]] const XmlElement* child(std::string_view child_name) const;  // the first, or null
  [[nodiscard]] const std::string* attribute(std::string_view attribute_name) const;
};

Result<XmlElement> parse_xml(std::string_view text);

// Writes elements one after the other; whoever opens one closes it.
class XmlWriter {
 public:
  XmlWriter();  // with the declaration

  void open(std::string_view name);
  void attribute(std::string_view name, std::string_view value);  // of the element just opened
  void text(std::string_view value);
  void close();
  // An element that holds a text only.
  void leaf(std::string_view name, std::string_view value);
  [[nodiscard]] std::string finish();

 private:
  void end_tag();

  std::string out_;
  std::vector<std::string> open_;
  bool in_tag_ = false;
};

}  // namespace mayfly::aws
