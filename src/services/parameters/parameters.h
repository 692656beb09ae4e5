// Parameter Store of Systems Manager: parameters with versions, labels, paths and tags; SecureStrings are sealed.
//
// Operation.   Records live in memory (RecordTable) and in the store; every change is one durable compare-and-set.
// Concurrency. Any reactor; nothing is locked across a wait.
// Limits.      AWS's own: 4,096 bytes a standard value, 8,192 an advanced one, 100 versions, 10 labels a version, 50
//              tags, 15 levels of a path.
// Recovery.    load() reads all records; one that cannot be read stops the start, a value that does not open does not.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/api.h"
#include "base/async.h"
#include "base/clock.h"
#include "store/key_value.h"
#include "vault/vault.h"

namespace mayfly::parameters {

struct ParametersSettings {
  std::string account = "000000000000";
  std::string region = "us-east-1";
};

class Parameters {
 public:
  // All outlive this. The pool matches values against patterns that users wrote.
  Parameters(store::KeyValue& store, const vault::Vault& vault, BlockingPool& pool, Clock& clock,
             ParametersSettings settings);
  ~Parameters();
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  Awaitable<Result<void>> load();
  [[nodiscard]] aws::Service& service();
  // The ARN of what a request calls a parameter: a name or an ARN, perhaps with a selector.
  [[nodiscard]] std::string arn_of(const aws::CallContext& context, std::string_view name) const;
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> tags(std::string_view arn) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::parameters
