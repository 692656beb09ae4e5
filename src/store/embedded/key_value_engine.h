// KeyValue over the writer and the copy in memory: checks the limits, reads at once, waits for writes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/embedded/records.h"
#include "store/embedded/writer.h"
#include "store/key_value.h"

namespace mayfly::store {

class KeyValueEngine final : public KeyValue {
 public:
  static constexpr std::size_t kMaxKeyBytes = 1'024;
  static constexpr std::size_t kMaxValueBytes = 16UL * 1024 * 1024;

  // Starts the writer. `database` and `records` outlive the engine.
  KeyValueEngine(Database& database, Records& records);

  Awaitable<Result<std::optional<Entry>>> get(std::string key) override;
  Awaitable<Result<Revision>> put(std::string key, std::string value) override;
  Awaitable<Result<Revision>> compare_and_set(std::string key, std::string value, Revision expected) override;
  Awaitable<Result<void>> remove(std::string key, std::optional<Revision> expected) override;
  Awaitable<Result<std::vector<Entry>>> list(std::string prefix, std::string after, std::size_t limit) override;
  std::shared_ptr<void> watch(std::string prefix, std::function<void(const WatchEvent&)> callback) override;

 private:
  Awaitable<Result<Revision>> write(Write write);

  Records& records_;
  Writer::Watches watches_;
  Writer writer_;
};

}  // namespace mayfly::store
