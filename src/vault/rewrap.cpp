#include "vault/rewrap.h"

namespace mayfly::vault {
namespace {

constexpr std::size_t kRewrapPage = 256;
constexpr int kAttempts = 16;

// The text with every value that can be under the current key. Counts into `step`.
std::string rewrapped_text(const Vault& vault, const std::string& text, RewrapMode mode, RewrapStep& step) {
  const auto current = vault.current_key_id();
  std::string out;
  std::size_t copied = 0;
  for (auto found = next_sealed(text, 0); found; found = next_sealed(text, found->second)) {
    const auto [begin, end] = *found;
    const std::string sealed = text.substr(begin, end - begin);
    const auto id = master_key_of(sealed).value_or("");
    ++step.values;
    if (id == current) continue;
    const auto replaced = mode == RewrapMode::kRewrite ? vault.rewrap(sealed) : fail(ErrorCode::kCancelled, "");
    if (!replaced) {
      ++step.other[id];
      continue;
    }
    out += text.substr(copied, begin - copied) + *replaced;
    copied = end;
    ++step.rewrapped;
  }
  return copied == 0 ? text : out + text.substr(copied);
}

void add(RewrapStep& sum, const RewrapStep& more) {
  sum.values += more.values;
  sum.rewrapped += more.rewrapped;
  for (const auto& [id, count] : more.other) sum.other[id] += count;
}

}  // namespace

Awaitable<Result<RewrapStep>> rewrap_step(store::KeyValue& store, const Vault& vault, std::string after,
                                          RewrapMode mode) {
  auto page = co_await store.list("", after, kRewrapPage);
  if (!page) co_return std::unexpected(std::move(page.error()));
  RewrapStep step;
  for (auto& entry : *page) {
    ++step.records;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      RewrapStep one;
      auto text = rewrapped_text(vault, entry.value, mode, one);
      if (one.rewrapped == 0) {
        add(step, one);
        break;
      }
      auto written = co_await store.compare_and_set(entry.key, std::move(text), entry.revision);
      if (written) {
        add(step, one);
        break;
      }
      if (written.error().code != ErrorCode::kConflict || attempt + 1 == kAttempts) {
        co_return std::unexpected(std::move(written.error()));
      }
      // Somebody changed it meanwhile: theirs is looked at.
      auto fresh = co_await store.get(entry.key);
      if (!fresh) co_return std::unexpected(std::move(fresh.error()));
      if (!*fresh) break;
      entry = std::move(**fresh);
    }
  }
  if (page->size() == kRewrapPage) step.next = page->back().key;
  co_return step;
}

}  // namespace mayfly::vault
