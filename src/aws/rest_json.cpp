// The rest-json protocol: labels, query string, headers and body to a document, and back.
#include <algorithm>

#include "aws/json_wire.h"
#include "aws/protocol.h"
#include "aws/router.h"
#include "base/encoding.h"
#include "http/query.h"

namespace mayfly::aws {

namespace {

using Query = std::vector<std::pair<std::string, std::string>>;

Query parse_query(std::string_view query) {
  Query out;
  while (const auto part = http::next_part(query)) {
    out.emplace_back(http::decode_form(part->name), http::decode_form(part->value));
  }
  return out;
}

ApiResult<std::optional<json::value>> read_query(const MemberModel& member, const Query& query) {
  const auto& shape = *member.shape;
  if (shape.kind == Kind::kMap) {
    const auto& value_shape = *shape.members[1].shape;
    json::object out;
    for (const auto& [key, text] : query) {
      if (value_shape.kind != Kind::kList) {
        out.emplace(key, json::string(text));
        continue;
      }
      auto& slot = out[key];
      if (!slot.is_array()) slot.emplace_array();
      slot.get_array().push_back(json::string(text));
    }
    if (out.empty()) return std::nullopt;
    return out;
  }
  json::array items;
  for (const auto& [key, text] : query) {
    if (key != member.wire_name) continue;
    const auto& element = shape.kind == Kind::kList ? *shape.members[0].shape : shape;
    auto value = from_wire_text(element, text, TimeFormat::kIso8601);
    if (!value) return std::unexpected(std::move(value.error()));
    if (shape.kind != Kind::kList) return std::move(*value);
    items.push_back(std::move(*value));
  }
  if (items.empty()) return std::nullopt;
  return items;
}

// The items of a header list: split at commas outside of quotes; a date holds one comma of its own.
std::vector<std::string> split_header(std::string_view text, bool dates) {
  std::vector<std::string> out;
  std::string item;
  bool quoted = false;
  bool was_quoted = false;
  int commas = 0;
  const auto push = [&] {
    out.push_back(was_quoted ? item : std::string(trim(item)));
    item.clear();
    was_quoted = false;
    commas = 0;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\' && i + 1 < text.size()) {
        item += text[++i];
      } else if (c == '"') {
        quoted = false;
      } else {
        item += c;
      }
    } else if (c == '"' && trim(item).empty()) {
      item.clear();
      quoted = was_quoted = true;
    } else if (c == ',' && !(dates && ++commas == 1)) {
      push();
    } else if (!was_quoted) {
      item += c;
    }
  }
  push();
  return out;
}

TimeFormat header_time(const MemberModel& member) {
  return member.time_format != TimeFormat::kDefault ? member.time_format : TimeFormat::kHttpDate;
}

ApiResult<json::value> read_header(const MemberModel& member, const std::string& text) {
  const auto& shape = *member.shape;
  if (shape.kind == Kind::kList) {
    const auto& element = *shape.members[0].shape;
    const bool dates = element.kind == Kind::kTimestamp &&
                       (element.time_format == TimeFormat::kDefault || element.time_format == TimeFormat::kHttpDate);
    json::array out;
    if (trim(text).empty()) return out;
    for (const auto& item : split_header(text, dates)) {
      auto value = from_wire_text(element, item, TimeFormat::kHttpDate);
      if (!value) return value;
      out.push_back(std::move(*value));
    }
    return out;
  }
  if (member.json_value) {
    const auto decoded = base64_decode(text);
    if (!decoded) return std::unexpected(serialization_error("Unable to decode the base64 of a header"));
    return json::string(*decoded);
  }
  return from_wire_text(shape, text, header_time(member));
}

std::optional<json::value> read_prefix_headers(const MemberModel& member, const http::Headers& headers) {
  json::object out;
  for (const auto& [name, value] : headers) {
    if (name.size() < member.wire_name.size() ||
        !iequals(std::string_view(name).substr(0, member.wire_name.size()), member.wire_name)) {
      continue;
    }
    out.insert_or_assign(name.substr(member.wire_name.size()), json::string(value));
  }
  if (out.empty()) return std::nullopt;
  return out;
}

std::string header_text(const MemberModel& member, const json::value& value) {
  const auto& shape = *member.shape;
  if (const auto* items = value.if_array()) {
    std::string out;
    for (const auto& item : *items) {
      auto text = to_wire_text(*shape.members[0].shape, item, TimeFormat::kHttpDate);
      if (item.is_string() && text.find_first_of(",\"") != std::string::npos) {
        std::string quoted = "\"";
        for (const char c : text) {
          if (c == '"' || c == '\\') quoted += '\\';
          quoted += c;
        }
        text = quoted + '"';
      }
      if (!out.empty()) out += ", ";
      out += text;
    }
    return out;
  }
  auto text = to_wire_text(shape, value, header_time(member));
  return member.json_value ? base64_encode(text) : text;
}

class RestJson final : public Protocol {
 public:
  explicit RestJson(const ServiceModel& model) : model_(model), router_(model.operations) {}

  std::optional<Route> route(const http::RequestHead& head) const override {
    return router_.find(head.method, head.path(), head.query());
  }

  ApiResult<Call> parse(const Route& route, const http::RequestHead& head, std::string body) const override {
    Call call;
    const auto* input = route.operation->input;
    if (input == nullptr) return call;
    auto read = read_payload(*input, std::move(body), call);
    if (!read) return std::unexpected(std::move(read.error()));
    const auto query = parse_query(head.query());
    for (const auto& member : input->members) {
      auto value = read_located(member, route, head, query);
      if (!value) return std::unexpected(std::move(value.error()));
      if (*value) call.document.insert_or_assign(member.name, std::move(**value));
    }
    return call;
  }

  http::Response write(const OperationModel& operation, Reply reply) const override {
    http::Response response;
    response.head.status = operation.status;
    const auto* output = operation.output;
    if (output == nullptr) return response;
    write_headers(*output, reply.document, response.head);
    write_body(*output, std::move(reply), response);
    if (response.head.status == 204 || response.head.status == 304) response.body.clear();
    return response;
  }

  http::Response write_error(const ApiError& error) const override {
    const auto& model = *error.model;
    http::Response response;
    response.head.status = model.status;
    response.head.headers.add("x-amzn-ErrorType", std::string(model.code));
    for (const auto& [name, value] : error.headers) response.head.headers.add(name, value);
    if (&model == &common_errors::UnknownOperationException) {
      response.head.headers.add("Content-Type", "application/xml");
      response.body = "<UnknownOperationException/>\n";
      return response;
    }
    response.head.headers.add("Content-Type", "application/json");
    json::object body;
    if (&model == &common_errors::NotImplemented) body.emplace("__type", json::string(model.code));
    if (model.type_member) body.emplace("Type", model.sender_fault ? "User" : "Service");
    // A member given as null takes one away that is written otherwise.
    for (const auto& entry : error.members) {
      if (entry.value().is_null()) {
        body.erase(entry.key());
      } else {
        body.insert_or_assign(entry.key(), entry.value());
      }
    }
    if (!error.message.empty()) {
      body.insert_or_assign(model.message_member, json::string(error.message));
    } else if (&model == &common_errors::AccessDeniedException) {
      body.insert_or_assign(model.message_member, nullptr);  // refused without a word
    }
    response.body = to_json(body);
    return response;
  }

 private:
  static ApiResult<void> read_payload(const ShapeModel& input, std::string body, Call& call) {
    if (input.payload < 0) {
      const bool any = std::ranges::any_of(input.members, [](const auto& m) { return m.location == Location::kBody; });
      if (!any) return {};
      auto wire = parse_body_json(body);
      if (!wire) return std::unexpected(std::move(wire.error()));
      auto document = from_wire_json(input, std::move(*wire), nullptr, Members::kBodyOnly);
      if (!document) return std::unexpected(std::move(document.error()));
      call.document = std::move(document->get_object());
      return {};
    }
    const auto& member = input.members[static_cast<std::size_t>(input.payload)];
    if (body.empty()) return {};
    if (member.shape->kind == Kind::kBlob || member.shape->kind == Kind::kString) {
      call.payload = std::move(body);
      return {};
    }
    auto wire = parse_body_json(body);
    if (!wire) return std::unexpected(std::move(wire.error()));
    auto value = from_wire_json(*member.shape, std::move(*wire), &member);
    if (!value) return std::unexpected(std::move(value.error()));
    call.document.emplace(member.name, std::move(*value));
    return {};
  }

  static ApiResult<std::optional<json::value>> read_located(const MemberModel& member, const Route& route,
                                                            const http::RequestHead& head, const Query& query) {
    switch (member.location) {
      case Location::kUri:
        for (const auto& [name, text] : route.labels) {
          if (name != member.wire_name) continue;
          auto value = from_wire_text(*member.shape, text, TimeFormat::kIso8601);
          if (!value) return std::unexpected(std::move(value.error()));
          return std::move(*value);
        }
        return std::nullopt;
      case Location::kQuery:
        return read_query(member, query);
      case Location::kHeader: {
        const auto* text = head.headers.find(member.wire_name);
        if (text == nullptr) return std::nullopt;
        auto value = read_header(member, *text);
        if (!value) return std::unexpected(std::move(value.error()));
        return std::move(*value);
      }
      case Location::kHeaders:
        return read_prefix_headers(member, head.headers);
      case Location::kBody:
      case Location::kStatusCode:
        break;
    }
    return std::nullopt;
  }

  static void write_headers(const ShapeModel& output, const json::object& document, http::ResponseHead& head) {
    for (const auto& member : output.members) {
      const auto* value = document.if_contains(member.name);
      if (value == nullptr || value->is_null()) continue;
      if (member.location == Location::kStatusCode) {
        if (const auto* status = value->if_int64()) head.status = static_cast<int>(*status);
      } else if (member.location == Location::kHeader) {
        head.headers.set(std::string(member.wire_name), header_text(member, *value));
      } else if (member.location == Location::kHeaders && value->is_object()) {
        for (const auto& entry : value->get_object()) {
          if (!entry.value().is_string()) continue;
          head.headers.set(std::string(member.wire_name).append(entry.key()), std::string(entry.value().get_string()));
        }
      }
    }
  }

  void write_body(const ShapeModel& output, Reply reply, http::Response& response) const {
    std::string_view type = "application/json";
    if (output.payload < 0) {
      response.body = to_json(to_wire_json(output, std::move(reply.document), nullptr, Members::kBodyOnly));
    } else {
      const auto& member = output.members[static_cast<std::size_t>(output.payload)];
      if (member.shape->kind == Kind::kBlob || member.shape->kind == Kind::kString) {
        type = member.shape->kind == Kind::kBlob ? model_.blob_content_type : "text/plain";
        if (reply.payload) response.body = std::move(*reply.payload);
      } else if (auto* value = reply.document.if_contains(member.name)) {
        response.body = to_json(to_wire_json(*member.shape, std::move(*value), &member));
      }
    }
    if (response.head.headers.find("Content-Type") == nullptr) {
      response.head.headers.add("Content-Type", std::string(type));
    }
  }

  const ServiceModel& model_;
  Router router_;
};

}  // namespace

std::unique_ptr<const Protocol> make_rest_json_protocol(const ServiceModel& model) {
  return std::make_unique<RestJson>(model);
}

}  // namespace mayfly::aws
