// Replacing a master key: every sealed value of the store gets its key wrapped with the current one. Records are not
// understood; what looks like a sealed value in one is replaced by compare-and-set, and their services read on
// meanwhile with the keys that are kept. Called again and again with the place where it stopped.
#pragma once

#include <map>
#include <string>

#include "base/async.h"
#include "store/key_value.h"
#include "vault/vault.h"

namespace mayfly::vault {

struct RewrapStep {
  std::string next;  // the last key that was looked at; "" when there are no more
  std::uint64_t records = 0;
  std::uint64_t values = 0;                    // sealed values seen
  std::uint64_t rewrapped = 0;                 // of them now under the current key
  std::map<std::string, std::uint64_t> other;  // by master key: what could not be opened here
};

// Whether it changes anything, or only counts. Of counted values `other` says what is not under the current key.
enum class RewrapMode : bool { kCount, kRewrite };

Awaitable<Result<RewrapStep>> rewrap_step(store::KeyValue& store, const Vault& vault, std::string after,
                                          RewrapMode mode);

}  // namespace mayfly::vault
