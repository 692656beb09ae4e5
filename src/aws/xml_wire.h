// XML elements to documents and back, by shape. Shared by the Query protocol (answers) and REST-XML.
#pragma once

#include "aws/json_wire.h"
#include "aws/xml.h"

namespace mayfly::aws {

// The members of a structure that travel in the body, into the element that is open.
void write_xml_members(XmlWriter& out, const ShapeModel& shape, const json::object& document);
// One member with its element or elements around it.
void write_xml_member(XmlWriter& out, const MemberModel& member, const json::value& value);
// xmlns, with its prefix where it has one; nothing where there is no namespace.
void write_xml_namespace(XmlWriter& out, std::string_view uri, std::string_view prefix);

// SerializationException where the element cannot be read as the shape; members it does not know are dropped.
ApiResult<json::object> structure_from_xml(const ShapeModel& shape, const XmlElement& element);

}  // namespace mayfly::aws
