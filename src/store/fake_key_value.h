// For tests: the KeyValue port in memory. Survives its users, as the store survives servers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "store/key_value.h"

namespace mayfly::store {

class FakeKeyValue final : public KeyValue {
 public:
  std::map<std::string, Entry> entries;
  Revision last = 0;
  // Asked before and after each write takes place; where it suspends for ever, the server is dead.
  std::function<Awaitable<void>()> hop;
  bool full = false;

  Awaitable<Result<std::optional<Entry>>> get(std::string key) override {
    const auto found = entries.find(key);
    if (found == entries.end()) co_return std::optional<Entry>();
    co_return std::optional<Entry>(found->second);
  }
  Awaitable<Result<Revision>> put(std::string key, std::string value) override {
    co_await pause();
    if (full) co_return fail(ErrorCode::kIo, "disk full");
    const auto revision = write(key, std::move(value));
    co_await pause();
    co_return revision;
  }
  Awaitable<Result<Revision>> compare_and_set(std::string key, std::string value, Revision expected) override {
    co_await pause();
    if (full) co_return fail(ErrorCode::kIo, "disk full");
    const auto found = entries.find(key);
    if ((found == entries.end() ? 0 : found->second.revision) != expected) {
      co_return fail(ErrorCode::kConflict, "revision");
    }
    const auto revision = write(key, std::move(value));
    co_await pause();
    co_return revision;
  }
  Awaitable<Result<void>> remove(std::string key, std::optional<Revision> expected) override {
    co_await pause();
    const auto found = entries.find(key);
    if (expected && (found == entries.end() || found->second.revision != *expected)) {
      co_return fail(ErrorCode::kConflict, "revision");
    }
    if (found != entries.end()) entries.erase(found);
    co_await pause();
    co_return Result<void>();
  }
  Awaitable<Result<std::vector<Entry>>> list(std::string prefix, std::string after, std::size_t limit) override {
    std::vector<Entry> out;
    for (auto at = entries.lower_bound(prefix); at != entries.end() && at->first.starts_with(prefix); ++at) {
      if (at->first > after && out.size() < limit) out.push_back(at->second);
    }
    co_return out;
  }
  std::shared_ptr<void> watch(std::string, std::function<void(const WatchEvent&)>) override { return nullptr; }

 private:
  Awaitable<void> pause() {
    if (hop) co_await hop();
  }
  Revision write(const std::string& key, std::string value) {
    Entry entry;
    entry.key = key;
    entry.value = std::move(value);
    entry.revision = ++last;
    entries[key] = std::move(entry);
    return last;
  }
};

}  // namespace mayfly::store
