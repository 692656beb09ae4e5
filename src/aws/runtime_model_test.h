// Shape tables built at run time from the JSON form of published models, so that tests can drive the engine with any.
#pragma once

#include <algorithm>
#include <cctype>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "aws/model.h"
#include "base/json.h"

namespace mayfly::aws {

class RuntimeModel {
 public:
  explicit RuntimeModel(const json::value& shapes) : source_(shapes) {}

  const ShapeModel* shape(std::string_view name) {
    const auto found = shapes_.find(std::string(name));
    if (found != shapes_.end()) return found->second.get();
    auto& made = *shapes_.emplace(name, std::make_unique<ShapeModel>()).first->second;
    const auto& source = source_.at(name);
    made.name = keep(name);
    made.kind = kind_of(source);
    if (const auto* min = find(source, "min")) made.min = min->to_number<double>();
    if (const auto* max = find(source, "max")) made.max = max->to_number<double>();
    made.pattern = keep(get_string(source, "pattern"));
    made.flattened = get_bool(source, "flattened", false);
    made.xml_name = keep(get_string(source, "locationName"));
    std::tie(made.xml_namespace, made.xml_prefix) = xml_namespace(source);
    made.time_format = time_format(get_string(source, "timestampFormat"));
    if (const auto* values = find(source, "enum")) {
      auto& kept = enums_.emplace_back();
      for (const auto& value : values->get_array()) kept.push_back(keep(value.get_string()));
      made.enum_values = kept;
    }
    auto& members = members_.emplace_back();
    if (made.kind == Kind::kStructure) {
      structure(source, made, members);
    } else if (made.kind == Kind::kList) {
      members.push_back(member("member", source.at("member")));
    } else if (made.kind == Kind::kMap) {
      members.push_back(member("key", source.at("key")));
      members.push_back(member("value", source.at("value")));
    }
    made.members = members;
    return &made;
  }

  OperationModel operation(const json::value& given) {
    OperationModel out;
    out.name = keep(get_string(given, "name"));
    const auto& http = given.at("http");
    out.method = keep(get_string(http, "method", "POST"));
    out.uri = keep(get_string(http, "requestUri", "/"));
    out.status = static_cast<int>(get_int(http, "responseCode", 200));
    if (const auto* input = find(given, "input")) {
      out.input = shape(get_string(*input, "shape"));
      out.xml_name = keep(get_string(*input, "locationName"));
      out.xml_namespace = xml_namespace(*input).first;
    }
    if (const auto* output = find(given, "output")) out.output = shape(get_string(*output, "shape"));
    return out;
  }

  std::string_view keep(std::string_view text) { return texts_.emplace_back(text); }

 private:
  std::pair<std::string_view, std::string_view> xml_namespace(const json::value& source) {
    const auto* given = find(source, "xmlNamespace");
    if (given == nullptr) return {};
    if (given->is_string()) return {keep(given->get_string()), {}};
    return {keep(get_string(*given, "uri")), keep(get_string(*given, "prefix"))};
  }

  static Kind kind_of(const json::value& source) {
    static const std::map<std::string_view, Kind> kinds{
        {"structure", Kind::kStructure}, {"list", Kind::kList},        {"map", Kind::kMap},
        {"string", Kind::kString},       {"character", Kind::kString}, {"blob", Kind::kBlob},
        {"boolean", Kind::kBoolean},     {"integer", Kind::kInteger},  {"long", Kind::kLong},
        {"float", Kind::kDouble},        {"double", Kind::kDouble},    {"timestamp", Kind::kTimestamp}};
    if (get_bool(source, "document", false)) return Kind::kDocument;
    return kinds.at(get_string(source, "type"));
  }

  static TimeFormat time_format(std::string_view name) {
    if (name == "iso8601") return TimeFormat::kIso8601;
    if (name == "rfc822") return TimeFormat::kHttpDate;
    return name == "unixTimestamp" ? TimeFormat::kEpochSeconds : TimeFormat::kDefault;
  }

  static Location location(std::string_view name) {
    if (name == "uri") return Location::kUri;
    if (name == "querystring") return Location::kQuery;
    if (name == "header") return Location::kHeader;
    if (name == "headers") return Location::kHeaders;
    return name == "statusCode" ? Location::kStatusCode : Location::kBody;
  }

  MemberModel member(std::string_view name, const json::value& reference) {
    MemberModel out;
    out.name = keep(name);
    out.wire_name = keep(get_string(reference, "locationName", name));
    out.shape = shape(get_string(reference, "shape"));
    out.location = location(get_string(reference, "location"));
    out.flattened = get_bool(reference, "flattened", false);
    out.xml_attribute = get_bool(reference, "xmlAttribute", false);
    std::tie(out.xml_namespace, out.xml_prefix) = xml_namespace(reference);
    out.json_value = get_bool(reference, "jsonvalue", false);
    out.idempotency_token = get_bool(reference, "idempotencyToken", false);
    out.time_format = time_format(get_string(reference, "timestampFormat"));
    if (out.time_format == TimeFormat::kDefault) out.time_format = out.shape->time_format;
    return out;
  }

  void structure(const json::value& source, ShapeModel& made, std::vector<MemberModel>& members) {
    const auto* fields = find(source, "members");
    if (fields == nullptr) return;
    const auto payload = get_string(source, "payload");
    for (const auto& field : fields->get_object()) {
      if (!payload.empty() && field.key() == payload) made.payload = static_cast<int>(members.size());
      members.push_back(member(field.key(), field.value()));
    }
    if (const auto* required = find(source, "required")) {
      for (const auto& name : required->get_array()) {
        for (auto& field : members) field.required = field.required || field.name == name.get_string();
      }
    }
  }

  const json::value& source_;
  std::map<std::string, std::unique_ptr<ShapeModel>> shapes_;
  std::deque<std::vector<MemberModel>> members_;
  std::deque<std::vector<std::string_view>> enums_;
  std::deque<std::string> texts_;
};

}  // namespace mayfly::aws
