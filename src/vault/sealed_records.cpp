#include "vault/sealed_records.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"

namespace mayfly::vault {
namespace {

constexpr std::string_view kMember = "Sealed";
constexpr std::size_t kPage = 256;

}  // namespace

std::optional<std::string> locked(const json::value& part) {
  if (!part.is_object() || part.get_object().size() != 1) return std::nullopt;
  const auto sealed = get_string(part, kMember);
  if (!master_key_of(sealed)) return std::nullopt;
  return std::string(sealed);
}

json::object locked_part(std::string_view sealed) {
  json::object out;
  out[kMember] = sealed;
  return out;
}

std::string why_locked(std::string_view sealed) {
  return fmt::format("it needs the master key {}, which this server does not have or which does not open it",
                     master_key_of(sealed).value_or("?"));
}

bool SealedRecords::has_rule(std::string_view key) const {
  return std::ranges::any_of(parts_, [key](const SealedPart& part) { return key.starts_with(part.prefix); });
}

void SealedRecords::convert(json::value& part, std::string_view context, Way way) const {
  const auto sealed = locked(part);
  if (way == Way::kSeal) {
    // What did not open when it was read goes back as it came.
    if (sealed || part.is_null()) return;
    const ClearText text(to_json(part));
    part = locked_part(vault_.seal(context, text.view()));
    return;
  }
  if (!sealed) return;
  const auto opened = vault_.open(context, *sealed);
  auto value = opened ? parse_json(opened->view()) : std::unexpected(opened.error());
  if (value) {
    part = std::move(*value);
    return;
  }
  log(Level::kWarn, "a part of a record cannot be decrypted", {{"record", context}, {"error", value.error().message}});
}

void SealedRecords::walk(json::value& at, std::string_view path, const std::string& context, Way way) const {
  if (!at.is_object()) return;
  const auto dot = path.find('.');
  const auto name = path.substr(0, dot);
  for (auto& member : at.get_object()) {
    const std::string_view key(member.key());
    if (name != "*" && name != key) continue;
    if (dot == std::string_view::npos) {
      // Not the whole path: a part that does not open may move inside its record, as a version is made of another.
      convert(member.value(), fmt::format("{}.{}", context, key), way);
    } else {
      walk(member.value(), path.substr(dot + 1), context, way);
    }
  }
}

std::string SealedRecords::converted(const std::string& key, std::string value, Way way) const {
  if (!has_rule(key)) return value;
  auto document = parse_json(value);
  if (!document) return value;  // whose it is says what is wrong with it
  for (const auto& part : parts_) {
    if (key.starts_with(part.prefix)) walk(*document, part.path, key, way);
  }
  return to_json(*document);
}

Awaitable<Result<std::optional<store::Entry>>> SealedRecords::get(std::string key) {
  auto entry = co_await below_.get(std::move(key));
  if (entry && *entry) (*entry)->value = converted((*entry)->key, std::move((*entry)->value), Way::kOpen);
  co_return entry;
}

Awaitable<Result<store::Revision>> SealedRecords::put(std::string key, std::string value) {
  auto sealed = converted(key, std::move(value), Way::kSeal);
  co_return co_await below_.put(std::move(key), std::move(sealed));
}

Awaitable<Result<store::Revision>> SealedRecords::compare_and_set(std::string key, std::string value,
                                                                  store::Revision expected) {
  auto sealed = converted(key, std::move(value), Way::kSeal);
  co_return co_await below_.compare_and_set(std::move(key), std::move(sealed), expected);
}

Awaitable<Result<void>> SealedRecords::remove(std::string key, std::optional<store::Revision> expected) {
  return below_.remove(std::move(key), expected);
}

Awaitable<Result<std::vector<store::Entry>>> SealedRecords::list(std::string prefix, std::string after,
                                                                 std::size_t limit) {
  auto page = co_await below_.list(std::move(prefix), std::move(after), limit);
  if (!page) co_return page;
  for (auto& entry : *page) entry.value = converted(entry.key, std::move(entry.value), Way::kOpen);
  co_return page;
}

std::shared_ptr<void> SealedRecords::watch(std::string prefix, std::function<void(const store::WatchEvent&)> callback) {
  return below_.watch(std::move(prefix), [this, callback = std::move(callback)](const store::WatchEvent& event) {
    if (event.deleted || !has_rule(event.entry.key)) {
      callback(event);
      return;
    }
    auto opened = event;
    opened.entry.value = converted(opened.entry.key, std::move(opened.entry.value), Way::kOpen);
    callback(opened);
  });
}

Awaitable<Result<std::uint64_t>> SealedRecords::seal_all() {
  std::uint64_t changed = 0;
  for (const auto& part : parts_) {
    std::string after;
    for (;;) {
      auto page = co_await below_.list(std::string(part.prefix), after, kPage);
      if (!page) co_return std::unexpected(std::move(page.error()));
      for (auto& entry : *page) {
        auto sealed = converted(entry.key, entry.value, Way::kSeal);
        const auto before = parse_json(entry.value);
        const auto now = parse_json(sealed);
        if (!before || !now || *before == *now) continue;
        auto written = co_await below_.compare_and_set(entry.key, std::move(sealed), entry.revision);
        if (!written) co_return std::unexpected(std::move(written.error()));
        ++changed;
      }
      if (page->size() < kPage) break;
      after = page->back().key;
    }
  }
  co_return changed;
}

}  // namespace mayfly::vault
