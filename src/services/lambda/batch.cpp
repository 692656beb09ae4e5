#include "services/lambda/batch.h"

#include <algorithm>
#include <map>

#include "base/json.h"

namespace mayfly::lambda {
namespace {

constexpr std::string_view kHead = R"({"Records":[)";
constexpr std::string_view kTail = "]}";
constexpr std::uint32_t kMostHalvings = 16;

// Mappings take a plain text for a body beside the pattern language's lists: {"body": "text"} for {"body": ["text"]}.
// Recorded: of no other member.
std::string with_lists(const std::string& text) {
  auto given = parse_json(text);
  if (!given || !given->is_object()) return text;
  bool changed = false;
  for (auto& member : given->get_object()) {
    if (member.key() != "body" || !member.value().is_string()) continue;
    member.value() = json::array{member.value()};
    changed = true;
  }
  return changed ? to_json(*given) : text;
}

}  // namespace

Result<std::vector<pattern::Pattern>> parse_filters(const std::vector<std::string>& patterns) {
  std::vector<pattern::Pattern> out;
  for (const auto& text : patterns) {
    auto parsed = pattern::Pattern::parse(with_lists(text));
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    out.push_back(std::move(*parsed));
  }
  return out;
}

bool passes(const std::vector<pattern::Pattern>& filters, const SourceRecord& record) {
  if (filters.empty()) return true;
  auto event = parse_json(record.text);
  if (!event || !event->is_object()) return false;
  auto& object = event->get_object();
  const auto any = [&] {
    return std::any_of(filters.begin(), filters.end(), [&](const auto& filter) { return filter.matches(*event); });
  };
  auto* body = object.if_contains("body");
  auto parsed = body != nullptr && body->is_string() ? parse_json(std::string_view(body->get_string()))
                                                     : Result<json::value>(json::value());
  if (parsed && parsed->is_object()) {
    *body = std::move(*parsed);
    return any();
  }
  if (any()) return true;
  // A body that is a text in quotes is compared without them, too.
  if (!parsed || !parsed->is_string()) return false;
  *body = std::move(*parsed);
  return any();
}

std::vector<std::vector<SourceRecord>> make_batches(std::vector<SourceRecord> records, const BatchRules& rules) {
  // By how often they came: what failed together before is tried in smaller companies.
  std::map<std::uint32_t, std::vector<SourceRecord>> rounds;
  for (auto& record : records) {
    const auto round = rules.isolate ? std::min(std::max(record.receive_count, 1U) - 1, kMostHalvings) : 0;
    rounds[round].push_back(std::move(record));
  }
  std::vector<std::vector<SourceRecord>> out;
  for (auto& [round, members] : rounds) {
    const auto most = std::max<std::size_t>(1, rules.max_records >> round);
    std::size_t bytes = 0;
    std::vector<SourceRecord> batch;
    for (auto& record : members) {
      const auto more = record.text.size() + 1;
      if (!batch.empty() && (batch.size() == most || bytes + more + kHead.size() + kTail.size() > rules.max_bytes)) {
        out.push_back(std::exchange(batch, {}));
        bytes = 0;
      }
      bytes += more;
      batch.push_back(std::move(record));
    }
    if (!batch.empty()) out.push_back(std::move(batch));
  }
  return out;
}

std::string batch_event(const std::vector<SourceRecord>& batch) {
  std::size_t bytes = kHead.size() + kTail.size();
  for (const auto& record : batch) bytes += record.text.size() + 1;
  std::string out;
  out.reserve(bytes);
  out += kHead;
  for (const auto& record : batch) {
    if (&record != &batch.front()) out += ',';
    out += record.text;
  }
  out += kTail;
  return out;
}

std::optional<std::vector<std::string>> reported_failures(std::string_view response,
                                                          const std::vector<SourceRecord>& batch) {
  std::vector<std::string> none;
  const auto value = parse_json(response);
  if (!value) return std::nullopt;
  // Nothing reported is success, in whichever of the documented ways.
  if (value->is_null()) return none;
  if (!value->is_object()) return none;
  const auto* failures = value->get_object().if_contains("batchItemFailures");
  if (failures == nullptr || failures->is_null()) return none;
  if (!failures->is_array()) return std::nullopt;
  for (const auto& failure : failures->get_array()) {
    const auto id = get_string(failure, "itemIdentifier");
    const auto known = std::any_of(batch.begin(), batch.end(), [&](const auto& record) { return record.id == id; });
    // A key of another name, null, an empty text or a record that was not in the batch: the response means nothing.
    if (id.empty() || !known) return std::nullopt;
    none.emplace_back(id);
  }
  return none;
}

}  // namespace mayfly::lambda
