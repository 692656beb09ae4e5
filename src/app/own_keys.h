// The keys that stored secrets are wrapped with, for `mayfly secret keys`: which there are, a new one, and the move of
// everything that is stored to it while the server runs.
#pragma once

#include "base/async.h"
#include "http/server.h"
#include "store/key_value.h"
#include "vault/vault.h"

namespace mayfly::app {

struct OwnKeys {
  vault::Vault* vault;
  const vault::KeySource* source;
  store::KeyValue* records;
  BlockingPool* pool;
  Clock* clock;
};

inline constexpr std::string_view kKeysPath = "/_mayfly/master-keys";

// GET /_mayfly/master-keys: ids, and where the keys come from.
// POST .../reload: reads them again. .../rotate: puts a new one in front. .../forget: takes the old ones away, where
// nothing needs them. .../rewrap?after=KEY[&count=1]: one step over the store.
Awaitable<void> serve_keys(const OwnKeys& keys, http::Request& request, http::ResponseWriter& response);

}  // namespace mayfly::app
