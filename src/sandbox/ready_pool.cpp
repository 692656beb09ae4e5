#include "sandbox/ready_pool.h"

#include <fmt/core.h>

#include <algorithm>

#include "sandbox/root_tree.h"

namespace mayfly::sandbox {
namespace {

// Nothing of a function: neither its code nor its variables, which may hold secrets.
SandboxSpec common_part(const SandboxSpec& spec) {
  SandboxSpec like;
  std::ranges::copy_if(spec.mounts, std::back_inserter(like.mounts),
                       [](const Mount& mount) { return mount.target != "/var/task" && mount.target != "/opt"; });
  like.argv = spec.argv;
  like.runtime_environment = spec.runtime_environment;
  like.runtime_api_port = spec.runtime_api_port;
  like.limits.pids = spec.limits.pids;
  like.limits.open_files = spec.limits.open_files;
  like.network = spec.network;
  like.ahead = spec.ahead;
  return like;
}

}  // namespace

std::string ReadyPool::kind_of(const SandboxSpec& spec) const {
  // An allow list is one function's own.
  if (memory_bytes_ == 0 || spec.ahead == Ahead::kNothing || spec.network == NetworkMode::kAllowList) return {};
  std::string key = fmt::format("{} {} {} {} {}\n", static_cast<int>(spec.ahead), static_cast<int>(spec.network),
                                spec.runtime_api_port, spec.limits.pids, spec.limits.open_files);
  key += RootTrees::root_key(spec);
  if (spec.ahead == Ahead::kSandbox) return key;
  for (const auto& word : spec.argv) key += word + '\0';
  for (const auto& [name, value] : spec.runtime_environment) key += name + '=' + value + '\0';
  return key;
}

ReadyPool::Kind* ReadyPool::find_or_make(const std::string& kind, const SandboxSpec& spec, SteadyTime now) {
  const auto found = kinds_.find(kind);
  if (found != kinds_.end()) return &found->second;
  if (kinds_.size() >= kMostKinds) {
    const auto unused = std::ranges::find_if(kinds_, [](const auto& entry) {
      return entry.second.wanted == 0 && entry.second.ready.empty() && entry.second.building == 0;
    });
    if (unused == kinds_.end()) return nullptr;
    kinds_.erase(unused);
  }
  Kind made;
  made.like = common_part(spec);
  made.window_start = made.last_take = made.last_change = made.not_before = now;
  return &kinds_.emplace(kind, std::move(made)).first->second;
}

std::optional<std::string> ReadyPool::take(const std::string& kind, const SandboxSpec& spec, SteadyTime now) {
  Kind* entry = find_or_make(kind, spec, now);
  if (entry == nullptr) return std::nullopt;
  if (now - entry->window_start >= kWindow) {
    entry->window_start = now;
    entry->in_window = 0;
  }
  ++entry->in_window;
  entry->last_take = now;
  const std::size_t wanted = std::clamp<std::size_t>(entry->in_window, 2, kMostOfAKind);
  if (wanted >= entry->wanted) {
    entry->wanted = wanted;
    entry->last_change = now;
  }
  if (entry->ready.empty()) return std::nullopt;
  // The youngest: what it has touched last is most likely in the processor's caches.
  std::string name = std::move(entry->ready.back());
  entry->ready.pop_back();
  return name;
}

void ReadyPool::expect(const std::string& kind, const SandboxSpec& spec, SteadyTime now) {
  Kind* entry = find_or_make(kind, spec, now);
  if (entry == nullptr || entry->wanted > 0) return;
  entry->wanted = 1;
  entry->last_take = now;
  entry->last_change = now;
}

void ReadyPool::settle(Kind& kind, SteadyTime now) const {
  while (kind.wanted > 1 && now - kind.last_change >= kQuiet) {
    kind.wanted = std::max<std::size_t>(1, kind.wanted / 2);
    kind.last_change += kQuiet;
  }
  if (now - kind.last_take >= kForget) kind.wanted = 0;
}

std::uint64_t ReadyPool::bytes_used() const {
  std::uint64_t sum = 0;
  for (const auto& [name, kind] : kinds_) sum += (kind.ready.size() + kind.building) * kind.bytes;
  return sum;
}

std::optional<ReadyPool::Order> ReadyPool::next_order(SteadyTime now, std::size_t most_building) {
  std::size_t building = 0;
  for (auto& [name, kind] : kinds_) {
    settle(kind, now);
    building += kind.building;
  }
  if (building >= std::min(most_building, kMostBuilding)) return std::nullopt;
  const std::uint64_t used = bytes_used();
  std::optional<Order> order;
  std::size_t fewest = kMostOfAKind;
  // The kind that has the fewest comes first, so that no runtime is without while another fills up.
  for (auto& [name, kind] : kinds_) {
    const std::size_t have = kind.ready.size() + kind.building;
    if (have >= kind.wanted || now < kind.not_before || used + kind.bytes > memory_bytes_ || have >= fewest) continue;
    fewest = have;
    order = Order{.kind = name, .like = &kind.like};
  }
  return order;
}

void ReadyPool::building(const std::string& kind) {
  if (const auto found = kinds_.find(kind); found != kinds_.end()) ++found->second.building;
}

void ReadyPool::built(const std::string& kind, const std::string& name, std::uint64_t bytes) {
  const auto found = kinds_.find(kind);
  if (found == kinds_.end()) return;
  --found->second.building;
  found->second.ready.push_back(name);
  if (bytes != 0) found->second.bytes = bytes;
}

void ReadyPool::not_built(const std::string& kind, SteadyTime now) {
  const auto found = kinds_.find(kind);
  if (found == kinds_.end()) return;
  --found->second.building;
  found->second.not_before = now + kBackOff;
}

void ReadyPool::lost(const std::string& kind, const std::string& name) {
  if (const auto found = kinds_.find(kind); found != kinds_.end()) std::erase(found->second.ready, name);
}

std::optional<std::string> ReadyPool::next_surplus(SteadyTime now) {
  for (auto& [key, kind] : kinds_) {
    settle(kind, now);
    if (kind.ready.size() <= kind.wanted) continue;
    std::string name = std::move(kind.ready.front());
    kind.ready.pop_front();
    return name;
  }
  return std::nullopt;
}

std::size_t ReadyPool::ready() const {
  std::size_t sum = 0;
  for (const auto& [name, kind] : kinds_) sum += kind.ready.size();
  return sum;
}

}  // namespace mayfly::sandbox
