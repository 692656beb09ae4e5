#include "app/own_keys.h"

#include "app/front.h"
#include "app/own_api.h"
#include "base/log.h"
#include "vault/rewrap.h"

namespace mayfly::app {
namespace {

enum class Change : std::uint8_t { kReload, kRotate, kForget };

json::object shown(const OwnKeys& keys) {
  json::array ids;
  for (const auto& id : keys.vault->key_ids()) ids.emplace_back(id);
  json::object out;
  out["Current"] = keys.vault->current_key_id();
  out["Keys"] = std::move(ids);
  out["Source"] = keys.source->describe();
  return out;
}

json::object shown(const vault::RewrapStep& step) {
  json::object other;
  for (const auto& [id, count] : step.other) other[id] = count;
  json::object out;
  out["Next"] = step.next;
  out["Records"] = step.records;
  out["Values"] = step.values;
  out["Rewrapped"] = step.rewrapped;
  out["Other"] = std::move(other);
  return out;
}

// Nothing that is stored may need a key that goes.
Awaitable<Result<void>> check_unneeded(const OwnKeys& keys) {
  std::string after;
  do {
    auto step = co_await vault::rewrap_step(*keys.records, *keys.vault, after, vault::RewrapMode::kCount);
    if (!step) co_return std::unexpected(std::move(step.error()));
    if (!step->other.empty()) {
      co_return fail(ErrorCode::kConflict, "values are still under the key " + step->other.begin()->first,
                     "mayfly secret rewrap");
    }
    after = step->next;
  } while (!after.empty());
  co_return Result<void>();
}

Awaitable<Result<void>> change_keys(const OwnKeys& keys, Change change) {
  if (change == Change::kForget) {
    auto unneeded = co_await check_unneeded(keys);
    if (!unneeded) co_return unneeded;
  }
  const auto* source = keys.source;
  auto* clock = keys.clock;
  // Files and commands block.
  std::function<Result<vault::MasterKeys>()> job = [source, clock, change] {
    if (change == Change::kRotate) return source->add_new(*clock);
    return change == Change::kForget ? source->keep_first(*clock) : source->load(*clock);
  };
  auto loaded = co_await keys.pool->run(std::move(job));
  if (!loaded) co_return std::unexpected(std::move(loaded.error()));
  keys.vault->replace_keys(std::move(*loaded));
  log(Level::kInfo, "the master keys have changed",
      {{"current", keys.vault->current_key_id()}, {"keys", keys.vault->key_ids().size()}});
  co_return Result<void>();
}

Awaitable<void> send_failure(http::ResponseWriter& response, Error error) {
  http::Response refused;
  refused.head.status = error.code == ErrorCode::kUnsupported || error.code == ErrorCode::kConflict ? 409 : 500;
  refused.head.headers.add("Content-Type", "application/json");
  json::object body;
  body["message"] = error.message;
  refused.body = to_json(body);
  std::ignore = co_await response.send(std::move(refused));
}

Awaitable<void> serve_rewrap(const OwnKeys& keys, const http::RequestHead& head, http::ResponseWriter& response) {
  const auto mode = query_value(head.query(), "count") == "1" ? vault::RewrapMode::kCount : vault::RewrapMode::kRewrite;
  auto after = query_value(head.query(), "after");
  auto step = co_await vault::rewrap_step(*keys.records, *keys.vault, std::move(after), mode);
  if (!step) {
    co_await send_failure(response, std::move(step.error()));
    co_return;
  }
  json::value body = shown(*step);
  co_await send_json(response, std::move(body));
}

}  // namespace

Awaitable<void> serve_keys(const OwnKeys& keys, http::Request& request, http::ResponseWriter& response) {
  const std::string verb(request.head.path().substr(kKeysPath.size()));
  const bool post = request.head.method == "POST";
  if (verb == "/rewrap" && post) {
    co_await serve_rewrap(keys, request.head, response);
    co_return;
  }
  std::optional<Change> change;
  if (verb == "/reload" && post) change = Change::kReload;
  if (verb == "/rotate" && post) change = Change::kRotate;
  if (verb == "/forget" && post) change = Change::kForget;
  if (!change && (!verb.empty() || post)) {
    http::Response missing;
    missing.head.status = 404;
    missing.body = R"({"message":"no such path; see docs/own-api.md"})";
    std::ignore = co_await response.send(std::move(missing));
    co_return;
  }
  if (change) {
    auto changed = co_await change_keys(keys, *change);
    if (!changed) {
      co_await send_failure(response, std::move(changed.error()));
      co_return;
    }
  }
  json::value body = shown(keys);
  co_await send_json(response, std::move(body));
}

}  // namespace mayfly::app
