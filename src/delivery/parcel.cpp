#include "delivery/parcel.h"

#include <fmt/core.h>

#include <charconv>

#include "base/json.h"

namespace mayfly::delivery {
namespace {

constexpr std::size_t kKeptResponse = 64UL * 1024;

void set(json::object& out, std::string_view key, const std::string& value) {
  if (!value.empty()) out[key] = value;
}

std::string text_of(const json::value& object, std::string_view key) { return std::string(get_string(object, key)); }

json::object object_of(const json::value& object, std::string_view key) {
  const auto* value = find(object, key);
  return value != nullptr && value->is_object() ? value->get_object() : json::object();
}

json::object to_value(const Policy& policy) {
  json::object out;
  out["attempts"] = policy.max_attempts;
  out["age"] = policy.max_age.count();
  out["first"] = policy.first_back_off.count();
  out["longest"] = policy.max_back_off.count();
  if (!policy.jitter) out["jitter"] = false;
  if (!policy.waits.empty()) {
    auto& waits = out["waits"].emplace_array();
    for (const auto wait : policy.waits) waits.emplace_back(wait.count());
  }
  set(out, "dead", policy.dead_letter_arn);
  out["form"] = static_cast<int>(policy.dead_letter_form);
  for (const auto& [name, value] : policy.dead_letter_facts) {
    auto& facts = out["facts"];
    if (!facts.is_object()) facts.emplace_object();
    facts.get_object()[name] = value;
  }
  set(out, "success", policy.on_success_arn);
  set(out, "failure", policy.on_failure_arn);
  return out;
}

Policy policy_from(const json::value& value) {
  Policy out;
  out.max_attempts = static_cast<std::uint32_t>(get_int(value, "attempts"));
  out.max_age = std::chrono::seconds(get_int(value, "age"));
  out.first_back_off = std::chrono::milliseconds(get_int(value, "first"));
  out.max_back_off = std::chrono::milliseconds(get_int(value, "longest"));
  out.jitter = get_bool(value, "jitter", true);
  if (const auto* waits = find(value, "waits"); waits != nullptr && waits->is_array()) {
    for (const auto& wait : waits->get_array()) {
      if (wait.is_int64()) out.waits.emplace_back(wait.get_int64());
    }
  }
  out.dead_letter_arn = text_of(value, "dead");
  out.dead_letter_form = static_cast<DeadLetterForm>(get_int(value, "form"));
  for (const auto& fact : object_of(value, "facts")) {
    if (fact.value().is_string()) out.dead_letter_facts.emplace_back(fact.key(), fact.value().get_string());
  }
  out.on_success_arn = text_of(value, "success");
  out.on_failure_arn = text_of(value, "failure");
  return out;
}

}  // namespace

std::string to_text(const Parcel& parcel) {
  const auto& event = parcel.event;
  json::object head;
  head["target"] = parcel.target;
  set(head, "via", parcel.via);
  head["id"] = event.id;
  set(head, "group", event.group_id);
  set(head, "dedupe", event.dedupe_id);
  if (!event.message_attributes.empty()) head["attributes"] = event.message_attributes;
  if (!event.parameters.empty()) head["parameters"] = event.parameters;
  set(head, "source", event.source_arn);
  set(head, "role", event.role_arn);
  set(head, "trace", event.trace_id);
  head["policy"] = to_value(parcel.policy);
  const auto text = to_json(head);
  return fmt::format("{}\n{}{}", text.size(), text, event.payload);
}

Result<Parcel> parcel_from_text(std::string_view text) {
  std::size_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  const auto start = static_cast<std::size_t>(end - text.data()) + 1;
  if (error != std::errc() || start > text.size() || *end != '\n' || bytes > text.size() - start) {
    return fail(ErrorCode::kCorrupt, "an event that waits for delivery cannot be read");
  }
  const auto head = parse_json(text.substr(start, bytes));
  if (!head || get_string(*head, "target").empty()) {
    return fail(ErrorCode::kCorrupt, "the head of an event that waits for delivery cannot be read");
  }
  Parcel out;
  out.target = text_of(*head, "target");
  out.via = text_of(*head, "via");
  out.event.id = text_of(*head, "id");
  out.event.group_id = text_of(*head, "group");
  out.event.dedupe_id = text_of(*head, "dedupe");
  out.event.message_attributes = object_of(*head, "attributes");
  out.event.parameters = object_of(*head, "parameters");
  out.event.source_arn = text_of(*head, "source");
  out.event.role_arn = text_of(*head, "role");
  out.event.trace_id = text_of(*head, "trace");
  if (const auto* policy = find(*head, "policy")) out.policy = policy_from(*policy);
  out.event.payload = std::string(text.substr(start + bytes));
  return out;
}

std::string to_text(const Progress& progress) {
  const auto& last = progress.last;
  json::object out;
  out["attempts"] = progress.attempts;
  out["first_try"] = progress.first_try.time_since_epoch().count();
  set(out, "error", last.error_code);
  set(out, "message", last.error_message);
  set(out, "function_error", last.function_error);
  set(out, "version", last.executed_version);
  out["status"] = last.status;
  if (last.response.size() <= kKeptResponse) set(out, "response", last.response);
  return to_json(out);
}

Progress progress_from_text(std::string_view text) {
  Progress out;
  const auto value = parse_json(text);
  if (!value) return out;
  out.attempts = static_cast<std::uint32_t>(get_int(*value, "attempts"));
  out.first_try = SystemTime(std::chrono::microseconds(get_int(*value, "first_try")));
  out.last.error_code = text_of(*value, "error");
  out.last.error_message = text_of(*value, "message");
  out.last.function_error = text_of(*value, "function_error");
  out.last.executed_version = text_of(*value, "version");
  out.last.status = static_cast<std::uint32_t>(get_int(*value, "status", 200));
  out.last.response = text_of(*value, "response");
  return out;
}

}  // namespace mayfly::delivery
