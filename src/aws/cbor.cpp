#include "aws/cbor.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdint>

#include "aws/json_wire.h"

namespace mayfly::aws {

namespace {

constexpr int kDeepestCbor = 64;

enum Major : std::uint8_t { kUnsigned, kNegative, kBytes, kText, kArray, kMap, kTag, kSimple };
constexpr std::uint8_t kIndefinite = 31;
constexpr std::uint8_t kBreak = 0xFF;

double half_to_double(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1F;
  const int mantissa = bits & 0x3FF;
  double value = 0;
  if (exponent == 0x1F) {
    value = mantissa == 0 ? kUnbounded : std::nan("");
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, -24);
  } else {
    value = std::ldexp(mantissa + 1024, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

std::unexpected<Error> bad_cbor(std::string_view what) {
  return fail(ErrorCode::kInvalid, fmt::format("The CBOR is not well formed: {}", what));
}

class CborParser {
 public:
  explicit CborParser(std::string_view bytes) : bytes_(bytes) {}

  Result<json::value> document() {
    auto value = item(0);
    if (value && !bytes_.empty()) return bad_cbor("something follows the value");
    return value;
  }

 private:
  struct Head {
    std::uint8_t major = 0;
    std::uint8_t info = 0;
    std::uint64_t argument = 0;
  };

  Result<Head> head() {
    if (bytes_.empty()) return bad_cbor("it ends early");
    const auto first = static_cast<std::uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    Head out{.major = static_cast<std::uint8_t>(first >> 5U), .info = static_cast<std::uint8_t>(first & 0x1FU)};
    if (out.info < 24) {
      out.argument = out.info;
    } else if (out.info < 28) {
      const std::size_t size = std::size_t{1} << (out.info - 24U);
      if (bytes_.size() < size) return bad_cbor("it ends early");
      for (std::size_t i = 0; i < size; ++i) {
        out.argument = (out.argument << 8U) | static_cast<std::uint8_t>(bytes_[i]);
      }
      bytes_.remove_prefix(size);
    } else if (out.info != kIndefinite || out.major < kBytes || out.major == kTag) {
      return bad_cbor("a reserved length");
    }
    return out;
  }

  bool take_break() {
    if (bytes_.empty() || static_cast<std::uint8_t>(bytes_.front()) != kBreak) return false;
    bytes_.remove_prefix(1);
    return true;
  }

  Result<std::string> text_of(const Head& head) {
    if (head.info != kIndefinite) {
      if (head.argument > bytes_.size()) return bad_cbor("a string is longer than the body");
      std::string out(bytes_.substr(0, head.argument));
      bytes_.remove_prefix(head.argument);
      return out;
    }
    std::string out;
    while (!take_break()) {
      const auto chunk = this->head();
      if (!chunk) return std::unexpected(chunk.error());
      if (chunk->major != head.major || chunk->info == kIndefinite) return bad_cbor("a chunk of another kind");
      auto part = text_of(*chunk);
      if (!part) return part;
      out += *part;
    }
    return out;
  }

  Result<json::value> array(const Head& head, int depth) {
    json::array out;
    for (std::uint64_t i = 0; head.info == kIndefinite ? !take_break() : i < head.argument; ++i) {
      auto value = item(depth + 1);
      if (!value) return value;
      out.push_back(std::move(*value));
    }
    return out;
  }

  Result<json::value> map(const Head& head, int depth) {
    json::object out;
    for (std::uint64_t i = 0; head.info == kIndefinite ? !take_break() : i < head.argument; ++i) {
      const auto key_head = this->head();
      if (!key_head) return std::unexpected(key_head.error());
      if (key_head->major != kText) return bad_cbor("a key is no text");
      const auto key = text_of(*key_head);
      if (!key) return std::unexpected(key.error());
      auto value = item(depth + 1);
      if (!value) return value;
      out.insert_or_assign(*key, std::move(*value));
    }
    return out;
  }

  static Result<json::value> simple(const Head& head) {
    switch (head.info) {
      case 20:
        return json::value(false);
      case 21:
        return json::value(true);
      case 22:
      case 23:
        return json::value(nullptr);
      case 25:
        return json::value(half_to_double(static_cast<std::uint16_t>(head.argument)));
      case 26:
        return json::value(static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(head.argument))));
      case 27:
        return json::value(std::bit_cast<double>(head.argument));
      default:
        return bad_cbor("a simple value that is not known");
    }
  }

  Result<json::value> item(int depth) {
    if (depth > kDeepestCbor) return fail(ErrorCode::kTooLarge, "The CBOR is nested too deep");
    const auto read = head();
    if (!read) return std::unexpected(read.error());
    switch (read->major) {
      case kUnsigned:
        if (read->argument > static_cast<std::uint64_t>(INT64_MAX)) return json::value(read->argument);
        return json::value(static_cast<std::int64_t>(read->argument));
      case kNegative:
        if (read->argument > static_cast<std::uint64_t>(INT64_MAX)) return bad_cbor("an integer below 64 bits");
        return json::value(-1 - static_cast<std::int64_t>(read->argument));
      case kBytes:
      case kText: {
        const auto text = text_of(*read);
        if (!text) return std::unexpected(text.error());
        return json::value(json::string(*text));
      }
      case kArray:
        return array(*read, depth);
      case kMap:
        return map(*read, depth);
      case kTag:
        return item(depth + 1);
      default:
        return simple(*read);
    }
  }

  std::string_view bytes_;
};

void write_head(Major major, std::uint64_t argument, std::string& out) {
  const auto first = static_cast<std::uint8_t>(static_cast<unsigned>(major) << 5U);
  int size = 0;
  if (argument < 24) {
    out += static_cast<char>(first | argument);
    return;
  }
  while (size < 3 && (argument >> (8U << static_cast<unsigned>(size))) != 0) ++size;
  out += static_cast<char>(first | (24 + size));
  for (int shift = (8 << size) - 8; shift >= 0; shift -= 8) out += static_cast<char>((argument >> shift) & 0xFFU);
}

void write_text(Major major, std::string_view text, std::string& out) {
  write_head(major, text.size(), out);
  out += text;
}

void write_double(double value, std::string& out) {
  out += '\xFB';
  const auto bits = std::bit_cast<std::uint64_t>(value);
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>((bits >> shift) & 0xFFU);
}

void write_integer(std::int64_t value, std::string& out) {
  if (value >= 0) {
    write_head(kUnsigned, static_cast<std::uint64_t>(value), out);
  } else {
    write_head(kNegative, static_cast<std::uint64_t>(-1 - value), out);
  }
}

// What has no shape of its own: errors' members, documents.
void write_plain(const json::value& value, std::string& out) {
  switch (value.kind()) {
    case json::kind::null:
      out += '\xF6';
      break;
    case json::kind::bool_:
      out += value.get_bool() ? '\xF5' : '\xF4';
      break;
    case json::kind::int64:
      write_integer(value.get_int64(), out);
      break;
    case json::kind::uint64:
      write_head(kUnsigned, value.get_uint64(), out);
      break;
    case json::kind::double_:
      write_double(value.get_double(), out);
      break;
    case json::kind::string:
      write_text(kText, {value.get_string().data(), value.get_string().size()}, out);
      break;
    case json::kind::array:
      write_head(kArray, value.get_array().size(), out);
      for (const auto& item : value.get_array()) write_plain(item, out);
      break;
    case json::kind::object:
      write_head(kMap, value.get_object().size(), out);
      for (const auto& entry : value.get_object()) {
        write_text(kText, entry.key(), out);
        write_plain(entry.value(), out);
      }
      break;
  }
}

void write(const ShapeModel& shape, const json::value& value, std::string& out);

void write_structure(const ShapeModel& shape, const json::object& object, std::string& out) {
  std::size_t count = 0;
  const auto present = [&](const MemberModel& member) {
    const auto* value = object.if_contains(member.name);
    return value == nullptr || value->is_null() ? nullptr : value;
  };
  for (const auto& member : shape.members) count += present(member) != nullptr ? 1 : 0;
  write_head(kMap, count, out);
  for (const auto& member : shape.members) {
    const auto* value = present(member);
    if (value == nullptr) continue;
    write_text(kText, member.wire_name, out);
    write(*member.shape, *value, out);
  }
}

void write(const ShapeModel& shape, const json::value& value, std::string& out) {
  if (const auto* object = value.if_object(); object != nullptr && shape.kind == Kind::kStructure) {
    write_structure(shape, *object, out);
  } else if (object != nullptr && shape.kind == Kind::kMap) {
    write_head(kMap, object->size(), out);
    for (const auto& entry : *object) {
      write_text(kText, entry.key(), out);
      write(*shape.members[1].shape, entry.value(), out);
    }
  } else if (const auto* items = value.if_array(); items != nullptr && shape.kind == Kind::kList) {
    write_head(kArray, items->size(), out);
    for (const auto& item : *items) write(*shape.members[0].shape, item, out);
  } else if (const auto* text = value.if_string(); text != nullptr && shape.kind == Kind::kBlob) {
    write_text(kBytes, {text->data(), text->size()}, out);
  } else if (const auto* number = value.if_double(); number != nullptr && shape.kind == Kind::kTimestamp) {
    write_head(kTag, 1, out);
    write_double(*number, out);
  } else {
    write_plain(value, out);
  }
}

std::unexpected<ApiError> mismatch(const ShapeModel& shape) {
  return std::unexpected(serialization_error(fmt::format("A value is not a {}", shape.name)));
}

ApiResult<json::value> structure_from(const ShapeModel& shape, json::object& object) {
  json::object out;
  for (const auto& member : shape.members) {
    auto* value = object.if_contains(member.wire_name);
    if (value == nullptr || value->is_null()) continue;
    auto read = from_wire_cbor(*member.shape, std::move(*value));
    if (!read) return read;
    out.emplace(member.name, std::move(*read));
  }
  return out;
}

ApiResult<json::value> map_from(const ShapeModel& shape, json::object& object) {
  json::object out;
  for (auto& entry : object) {
    if (entry.value().is_null()) continue;
    auto read = from_wire_cbor(*shape.members[1].shape, std::move(entry.value()));
    if (!read) return read;
    out.emplace(entry.key(), std::move(*read));
  }
  return out;
}

}  // namespace

Result<json::value> parse_cbor(std::string_view bytes) { return CborParser(bytes).document(); }

ApiResult<json::value> from_wire_cbor(const ShapeModel& shape, json::value wire) {
  switch (shape.kind) {
    case Kind::kStructure:
      if (auto* object = wire.if_object()) return structure_from(shape, *object);
      return mismatch(shape);
    case Kind::kMap:
      if (auto* object = wire.if_object()) return map_from(shape, *object);
      return mismatch(shape);
    case Kind::kList: {
      auto* items = wire.if_array();
      if (items == nullptr) return mismatch(shape);
      for (auto& item : *items) {
        if (item.is_null()) continue;
        auto read = from_wire_cbor(*shape.members[0].shape, std::move(item));
        if (!read) return read;
        item = std::move(*read);
      }
      return wire;
    }
    case Kind::kString:
    case Kind::kBlob:
      if (wire.is_string()) return wire;
      return mismatch(shape);
    case Kind::kBoolean:
      if (wire.is_bool()) return wire;
      return mismatch(shape);
    case Kind::kTimestamp:
    case Kind::kDouble:
      if (wire.is_double()) return wire;
      if (wire.is_number()) return json::value(wire.to_number<double>());
      return mismatch(shape);
    case Kind::kInteger:
    case Kind::kLong:
      // Whole numbers only, within their range, however they are written.
      return from_wire_json(shape, std::move(wire));
    case Kind::kDocument:
      return wire;
  }
  return wire;
}

std::string to_wire_cbor(const ShapeModel& shape, const json::value& document) {
  std::string out;
  write(shape, document, out);
  return out;
}

std::string to_plain_cbor(const json::value& value) {
  std::string out;
  write_plain(value, out);
  return out;
}

}  // namespace mayfly::aws
