#include "services/secrets/secrets.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "base/time_format.h"
#include "services/secrets/core.h"

namespace mayfly::secrets {
namespace {

// What is due is looked for at least this often; every change that may be due earlier wakes the task.
constexpr std::chrono::hours kLongestWait{1};
constexpr std::size_t kMostAtOnce = 16;
constexpr std::chrono::seconds kHeld{10};

}  // namespace

struct Secrets::Impl {
  Impl(store::KeyValue& store, const vault::Vault& vault, Clock& clock, RotationFunctions functions,
       SecretsSettings settings)
      : core(store, vault, clock, std::move(functions), std::move(settings)), service(wire::service()) {
    bind_changes(service, core);
    bind_deletion(service, core);
    bind_reads(service, core);
    bind_lists(service, core);
    bind_stages(service, core);
    bind_policies(service, core);
    bind_tags(service, core);
    bind_rotation(service, core);
    bind_passwords(service, core);
  }

  Awaitable<void> keep_time();
  Awaitable<void> carry_out_one(std::string key);
  // Keys of what is due now, and when the next one is.
  [[nodiscard]] std::vector<std::string> due(double now, double& next) const;

  Core core;
  aws::Service service;
  std::atomic<bool> stopping{false};
  std::map<std::string, SteadyTime> held;  // keys of what is not tried before a time
  std::set<std::string> busy;              // keys of what is being carried out; of the task's reactor alone
  Scope tasks{"secrets"};
};

std::vector<std::string> Secrets::Impl::due(double now, double& next) const {
  std::vector<std::string> out;
  next = 0;
  for (const auto& secret : core.secrets.list(std::string(Secret::kPrefix))) {
    const auto time = due_time(*secret);
    if (time == 0) continue;
    if (time <= now) {
      out.push_back(secret->key());
    } else if (next == 0 || time < next) {
      next = time;
    }
  }
  return out;
}

// One slow function holds up no other secret: each has a task of its own.
Awaitable<void> Secrets::Impl::carry_out_one(std::string key) {
  co_await carry_out(core, key);
  busy.erase(key);
  // Where nothing could be done about it (a disk that is full), it is not tried again at once.
  const auto secret = core.secrets.find(key);
  const bool still_due = secret && due_time(*secret) != 0 && due_time(*secret) <= core.now();
  if (still_due) held[key] = core.clock.steady_now() + kHeld;
  core.changed.notify();
}

Awaitable<void> Secrets::Impl::keep_time() {
  while (!stopping) {
    double next = 0;
    auto deadline = core.clock.steady_now() + kLongestWait;
    for (const auto& key : due(core.now(), next)) {
      if (busy.size() >= kMostAtOnce) break;
      if (const auto until = held.find(key); until != held.end()) {
        if (until->second > core.clock.steady_now()) {
          deadline = std::min(deadline, until->second);
          continue;
        }
        held.erase(until);
      }
      if (!busy.insert(key).second) continue;
      tasks.spawn(Reactor::current(), "rotation", [this, key] { return carry_out_one(key); });
    }
    if (next != 0) {
      const auto left = from_epoch_seconds(next) - core.clock.now() + std::chrono::milliseconds(1);
      deadline = std::min<SteadyTime>(deadline, core.clock.steady_now() + std::chrono::nanoseconds(left));
    }
    std::ignore = co_await core.changed.wait_until(core.clock, deadline);
  }
}

Secrets::Secrets(store::KeyValue& store, const vault::Vault& vault, Clock& clock, RotationFunctions functions,
                 SecretsSettings settings)
    : impl_(std::make_unique<Impl>(store, vault, clock, std::move(functions), std::move(settings))) {}

Secrets::~Secrets() = default;

Awaitable<Result<void>> Secrets::load() { return impl_->core.secrets.load(); }

void Secrets::start(Reactor& reactor) {
  impl_->tasks.spawn(reactor, "rotations", [this] { return impl_->keep_time(); });
}

void Secrets::stop() {
  impl_->stopping = true;
  impl_->core.changed.notify();
}

Awaitable<void> Secrets::join() {
  impl_->tasks.stop();
  impl_->core.changed.notify();
  co_await impl_->tasks.join();
}

aws::Service& Secrets::service() { return impl_->service; }

Awaitable<Result<void>> Secrets::put_owned(std::string owner, std::string arn, std::string value) {
  return secrets::put_owned(impl_->core, std::move(owner), std::move(arn), std::move(value));
}

Awaitable<Result<void>> Secrets::remove_owned(std::string owner, std::string arn) {
  return secrets::remove_owned(impl_->core, std::move(owner), std::move(arn));
}

std::string Secrets::arn_of(const aws::CallContext& context, std::string_view secret_id) const {
  const auto place = impl_->core.place(context);
  if (const auto found = find_named(impl_->core, place, secret_id)) return found->arn();
  if (secret_id.starts_with("arn:")) return std::string(secret_id);
  return fmt::format("arn:aws:secretsmanager:{}:{}:secret:{}-??????", place.region, place.account, secret_id);
}

std::optional<std::string> Secrets::resource_policy(std::string_view arn) const {
  const auto found = find_named(impl_->core, {}, arn);
  if (!found || found->policy.empty()) return std::nullopt;
  return found->policy;
}

std::vector<std::pair<std::string, std::string>> Secrets::tags(std::string_view arn) const {
  const auto found = find_named(impl_->core, {}, arn);
  if (!found || !found->tags) return {};
  return *found->tags;
}

bool Secrets::is_settled(SystemTime now) const {
  double next = 0;
  return impl_->due(epoch_seconds(now), next).empty();
}

}  // namespace mayfly::secrets
