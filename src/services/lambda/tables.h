// The service's records in memory, and the one way they change.
//
// Operation.   Records are immutable and shared. A change copies one, lets the operation edit the copy, writes it with
//              compare-and-set, and only then replaces the one in memory. Where somebody else was faster the newer
//              record is read and the edit runs again on it. Targets of invocations are made when a record is
//              installed, so that an invocation finds its target without touching the store.
// Concurrency. Any reactor. One mutex guards the maps; it is never held across co_await.
// Limits.      An edit is tried kAttempts times against concurrent writers, then kConflict.
// Recovery.    load() reads everything; a record that cannot be read stops the start.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/async.h"
#include "dispatch/invocation.h"
#include "services/lambda/function_record.h"
#include "services/lambda/invoker.h"
#include "store/key_value.h"

namespace mayfly::lambda {

using FunctionPtr = std::shared_ptr<const FunctionRecord>;
using LayerPtr = std::shared_ptr<const LayerRecord>;
using TargetPtr = std::shared_ptr<const dispatch::Target>;
using FunctionEdit = std::function<aws::ApiResult<void>(FunctionRecord&)>;
using LayerEdit = std::function<aws::ApiResult<void>(LayerRecord&)>;

struct UrlTarget {
  FunctionPtr function;
  UrlRecord url;
};

class Tables {
 public:
  Tables(store::KeyValue& store, Invoker& invoker, std::string code_directory);

  Awaitable<Result<void>> load();
  // Called after a record was installed. Before load().
  void on_change(std::function<void(const FunctionRecord&)> listener) { on_change_ = std::move(listener); }

  [[nodiscard]] FunctionPtr function(const Place& place, const std::string& name) const;  // null where there is none
  [[nodiscard]] LayerPtr layer(const Place& place, const std::string& name) const;
  [[nodiscard]] std::vector<FunctionPtr> functions(const Place& place) const;  // by name
  [[nodiscard]] std::vector<LayerPtr> layers(const Place& place) const;
  [[nodiscard]] std::optional<UrlTarget> url(const std::string& id) const;
  // What runs for a version: "$LATEST" or a number; null where there is none.
  [[nodiscard]] TargetPtr target(const Place& place, const std::string& name, const std::string& version) const;
  [[nodiscard]] std::vector<std::string> code_in_use() const;  // hashes of every package that a record names

  // Creates: kExists comes back as `exists`.
  Awaitable<aws::ApiResult<FunctionPtr>> create(FunctionRecord record);
  // The edit may run several times; it must only touch the record it is given. `missing` is the error for no record.
  Awaitable<aws::ApiResult<FunctionPtr>> change(Place place, std::string name, aws::ApiError missing,
                                                FunctionEdit edit);
  Awaitable<aws::ApiResult<void>> erase(Place place, std::string name, aws::ApiError missing);
  // Creates the layer where it is missing.
  Awaitable<aws::ApiResult<LayerPtr>> change_layer(Place place, std::string name, LayerEdit edit);

 private:
  struct InstalledFunction {
    FunctionPtr record;  // null after deletion, so that a late, older write cannot bring it back
    store::Revision revision = 0;
    std::map<std::string, TargetPtr> targets;
  };
  struct InstalledLayer {
    LayerPtr record;
    store::Revision revision = 0;
  };
  struct Seen {
    FunctionPtr record;
    store::Revision revision = 0;
  };

  [[nodiscard]] Seen seen(const std::string& key) const;
  void install(const std::string& key, FunctionPtr record, store::Revision revision);
  void install_layer(const std::string& key, LayerPtr record, store::Revision revision);
  Awaitable<Result<void>> refresh(std::string key);
  Awaitable<Result<void>> refresh_layer(std::string key);
  [[nodiscard]] TargetPtr make_target(const FunctionRecord& record, const VersionRecord& version) const;

  store::KeyValue& store_;
  Invoker& invoker_;
  std::string code_directory_;
  bool loaded_ = false;  // set once, by load()
  std::function<void(const FunctionRecord&)> on_change_;
  mutable std::mutex mutex_;
  std::map<std::string, InstalledFunction> functions_;  // by key
  std::map<std::string, InstalledLayer> layers_;
  std::map<std::string, std::pair<std::string, std::string>> urls_;  // id -> key, qualifier
};

// The tag by which a function's network is narrowed: "none", "outbound", or networks separated by spaces.
inline constexpr std::string_view kNetworkTag = "mayfly:network";
// InvalidParameterValueException where the tag's value is none of the forms.
aws::ApiResult<void> check_tags(const TagList& tags);

}  // namespace mayfly::lambda
