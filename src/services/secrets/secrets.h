// Secrets Manager: secrets with versions and stages, rotation by a function, resource policies, a recovery window.
//
// Operation.   Records live in memory (RecordTable) and in the store; values are sealed in both and opened for the one
//              request that reads them. One task carries out rotations and deletions when they are due, by the clock
//              that it is given.
// Concurrency. Any reactor; nothing is locked across a wait.
// Limits.      AWS's own: 65,536 bytes a value, 20 stages a version, 100 versions, 50 tags, 20,480 characters of
//              policy; 500,000 secrets.
// Recovery.    load() reads all records; one that cannot be read stops the start, a value that does not open does not.
//              A rotation that a stop cut off is tried again.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/api.h"
#include "base/async.h"
#include "base/clock.h"
#include "store/key_value.h"
#include "vault/vault.h"

namespace mayfly::secrets {

struct SecretsSettings {
  std::string account = "000000000000";
  std::string region = "us-east-1";
};

// What rotation asks of functions.
struct RotationFunctions {
  // Whether the function's policy lets Secrets Manager invoke it for this secret.
  std::function<bool(const std::string& function_arn, const std::string& secret_arn)> may_invoke;
  // Runs it with this event to its end; an error where it failed or could not be run.
  std::function<Awaitable<Result<void>>(std::string function_arn, std::string event)> run;
};

class Secrets {
 public:
  // All outlive this.
  Secrets(store::KeyValue& store, const vault::Vault& vault, Clock& clock, RotationFunctions functions,
          SecretsSettings settings);
  ~Secrets();
  Secrets(const Secrets&) = delete;
  Secrets& operator=(const Secrets&) = delete;

  Awaitable<Result<void>> load();
  // Begins to rotate and to delete what is due. After load().
  void start(Reactor& reactor);
  // Begins nothing new. A rotation that runs ends with its function: join() waits, after the dispatcher has stopped.
  void stop();
  Awaitable<void> join();
  [[nodiscard]] aws::Service& service();

  // Secrets that another service keeps for its users ("events" those of connections): whoever may read them does; only
  // the owner changes them. Made where there is none, else a new version; the value that is there already changes
  // nothing.
  Awaitable<Result<void>> put_owned(std::string owner, std::string arn, std::string value);
  // At once. Removing nothing is success.
  Awaitable<Result<void>> remove_owned(std::string owner, std::string arn);
  // The whole ARN of what a SecretId names; of what does not exist the one it could have, with ?????? at its end.
  [[nodiscard]] std::string arn_of(const aws::CallContext& context, std::string_view secret_id) const;
  // Of a secret's ARN; nullopt where it has none.
  [[nodiscard]] std::optional<std::string> resource_policy(std::string_view arn) const;
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> tags(std::string_view arn) const;
  // Everything due at `now` or before has been done: for clocks that are advanced.
  [[nodiscard]] bool is_settled(SystemTime now) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::secrets
