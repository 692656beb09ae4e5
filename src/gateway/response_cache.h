// Answers of integrations that are kept for a while, for stages of REST APIs that have a cache.
//
// Operation.   An answer is found by what its method says tells requests apart, until its time is over. What was used
//              longest ago goes first when the cache is full.
// Concurrency. Any thread; one short lock. Answers are shared and never changed.
// Limits.      kMostBytes in all; an answer of kMostAnswer.
// Recovery.    None: a server starts with an empty cache.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "gateway/exchange.h"
#include "http/message.h"

namespace mayfly::gateway {

class ResponseCache {
 public:
  static constexpr std::size_t kMostBytes = 64UL * 1024 * 1024;
  static constexpr std::size_t kMostAnswer = 1024UL * 1024;

  using Answer = std::shared_ptr<const http::Response>;
  // Null where there is none that still holds.
  Answer find(const std::string& key, SteadyTime now);
  void keep(const std::string& key, Answer answer, SteadyTime until);
  // All whose keys begin so.
  void flush(std::string_view prefix);
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Entry {
    std::string key;
    Answer answer;
    SteadyTime until{};
    std::size_t bytes = 0;
  };
  using Entries = std::list<Entry>;
  void drop(Entries::iterator entry);

  mutable std::mutex mutex_;
  Entries entries_;  // the one used last first
  std::unordered_map<std::string, Entries::iterator> by_key_;
  std::size_t bytes_ = 0;
};

// What tells requests of a cached method apart: API, stage, deployment, method, path, and its parameters. Parts are
// told with their lengths, so that no two requests have the same text by chance.
std::string cache_key(const Exchange& exchange);
// The beginning of all keys of a stage.
std::string cache_prefix(std::string_view api_id, std::string_view stage);
// Whether the client asks for a fresh answer: Cache-Control: max-age=0.
bool asks_for_fresh(const http::Headers& headers);

}  // namespace mayfly::gateway
