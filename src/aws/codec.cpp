#include "aws/codec.h"

namespace mayfly::aws::codec {

void read_value(const json::value& value, std::string& out) {
  if (const auto* text = value.if_string()) out.assign(text->data(), text->size());
}
void read_value(const json::value& value, bool& out) {
  if (const auto* flag = value.if_bool()) out = *flag;
}
void read_value(const json::value& value, std::int32_t& out) {
  if (const auto* number = value.if_int64()) out = static_cast<std::int32_t>(*number);
}
void read_value(const json::value& value, std::int64_t& out) {
  if (const auto* number = value.if_int64()) out = *number;
}
void read_value(const json::value& value, double& out) {
  if (const auto* number = value.if_double()) out = *number;
}
void read_value(const json::value& value, json::value& out) { out = value; }

json::value write_value(const std::string& value) { return json::value(json::string(value)); }
json::value write_value(bool value) { return json::value(value); }
json::value write_value(std::int32_t value) { return json::value(std::int64_t{value}); }
json::value write_value(std::int64_t value) { return json::value(value); }
json::value write_value(double value) { return json::value(value); }
json::value write_value(const json::value& value) { return value; }

}  // namespace mayfly::aws::codec
