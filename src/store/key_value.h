// KeyValue: control-plane records. Promises only what a distributed engine can keep: no transaction spans two keys, and
// a call that returned success is durable.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/async.h"
#include "base/error.h"

namespace mayfly::store {

using Revision = std::uint64_t;  // of the whole store, grows with every write; 0 means "does not exist"

struct Entry {
  std::string key;    // "lambda/function/<account>/<region>/<name>", at most 1,024 bytes
  std::string value;  // at most 16 MiB
  Revision revision = 0;
};

struct WatchEvent {
  Entry entry;
  bool deleted = false;
};

class KeyValue {
 public:
  virtual ~KeyValue() = default;
  virtual Awaitable<Result<std::optional<Entry>>> get(std::string key) = 0;
  virtual Awaitable<Result<Revision>> put(std::string key, std::string value) = 0;
  // Writes only where the key's revision is `expected` (0: only where it does not exist); else kConflict.
  virtual Awaitable<Result<Revision>> compare_and_set(std::string key, std::string value, Revision expected) = 0;
  // Removes only where the revision is `expected`, or whatever it is where that is nullopt. Deleting nothing is success
  // without an expectation, kConflict with one.
  virtual Awaitable<Result<void>> remove(std::string key, std::optional<Revision> expected) = 0;
  // In key order, from the first key greater than `after`, at most `limit`.
  virtual Awaitable<Result<std::vector<Entry>>> list(std::string prefix, std::string after, std::size_t limit) = 0;
  // Every write under `prefix` from now on, in order, called on the engine's thread after it is durable; must not
  // block. The watch ends when the returned token is destroyed.
  virtual std::shared_ptr<void> watch(std::string prefix, std::function<void(const WatchEvent&)> callback) = 0;
};

}  // namespace mayfly::store
