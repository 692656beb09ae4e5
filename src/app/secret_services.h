// Secrets as the server is put together: the master keys, the encrypted records that other services keep credentials
// in, Secrets Manager and Parameter Store.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "app/config.h"
#include "app/front.h"
#include "app/own_keys.h"
#include "delivery/targets.h"
#include "services/events/events.h"
#include "services/parameters/parameters.h"
#include "services/secrets/secrets.h"
#include "vault/sealed_records.h"
#include "vault/vault.h"

namespace mayfly::app {

class SecretServices {
 public:
  // Reads the master keys, or makes them. Blocks.
  static Result<std::unique_ptr<SecretServices>> open(const Config& config, store::KeyValue& store, Clock& clock);

  // For services whose records hold credentials.
  [[nodiscard]] store::KeyValue& records() { return records_; }
  Awaitable<Result<void>> seal_old_records();
  // `time` may be one that users move.
  void make(BlockingPool& pool, Clock& time, delivery::Targets& targets);
  Awaitable<Result<void>> load();
  // Where buses show the credentials of their connections. Used after make().
  [[nodiscard]] events::ConnectionSecrets connection_secrets();
  // When every function can be run.
  void serve_at(Front& front, Reactor& reactor);
  void stop();
  Awaitable<void> join();
  [[nodiscard]] bool is_settled(SystemTime now) const { return secrets_->is_settled(now); }
  [[nodiscard]] OwnKeys own_keys(BlockingPool& pool);

 private:
  SecretServices(const Config& config, store::KeyValue& store, Clock& clock, vault::KeySource source,
                 vault::MasterKeys keys);
  [[nodiscard]] bool may_invoke(const std::string& function_arn, const std::string& secret_arn) const;

  std::string account_;
  std::string region_;
  store::KeyValue& store_;
  Clock& clock_;
  vault::KeySource source_;
  vault::Vault vault_;
  vault::SealedRecords records_;
  std::unique_ptr<secrets::Secrets> secrets_;
  std::unique_ptr<parameters::Parameters> parameters_;
  std::atomic<Front*> front_{nullptr};
};

}  // namespace mayfly::app
