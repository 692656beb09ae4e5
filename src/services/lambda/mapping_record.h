// An event source mapping as the store holds it, and the table of all of them in memory.
//
// Operation.   Records are immutable and shared; a change writes one with compare-and-set and then replaces it here.
// Concurrency. Any reactor. One mutex, never held across a wait.
// Recovery.    load() reads everything; a record that cannot be read stops the start.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "services/lambda/function_record.h"
#include "store/key_value.h"

namespace mayfly::lambda {

struct MappingRecord {
  Place place;
  std::string uuid;
  std::string function;   // name
  std::string qualifier;  // as it was given, or ""
  bool enabled = true;
  wire::EventSourceMappingConfiguration config;  // as GetEventSourceMapping shows it, without its state
  TagList tags;
};
using MappingPtr = std::shared_ptr<const MappingRecord>;
using MappingEdit = std::function<aws::ApiResult<void>(MappingRecord&)>;

inline constexpr std::string_view kMappingPrefix = "lambda/mapping/";

std::string to_text(const MappingRecord& record);
Result<MappingRecord> mapping_from_text(std::string_view text);
std::string mapping_arn(const Place& place, std::string_view uuid);
// "The resource you requested does not exist."
aws::ApiError mapping_missing();

class MappingTable {
 public:
  // Before load().
  void use(store::KeyValue& store) { store_ = &store; }
  Awaitable<Result<void>> load();
  [[nodiscard]] MappingPtr find(const Place& place, const std::string& uuid) const;  // null where there is none
  [[nodiscard]] std::vector<MappingPtr> all(const Place& place) const;               // by UUID
  [[nodiscard]] std::vector<MappingPtr> all() const;
  Awaitable<aws::ApiResult<MappingPtr>> create(MappingRecord record);
  Awaitable<aws::ApiResult<MappingPtr>> change(Place place, std::string uuid, MappingEdit edit);
  Awaitable<aws::ApiResult<MappingPtr>> erase(Place place, std::string uuid);

 private:
  struct Installed {
    MappingPtr record;
    store::Revision revision = 0;
  };
  [[nodiscard]] Installed seen(const std::string& key) const;
  void install(const std::string& key, MappingPtr record, store::Revision revision);

  store::KeyValue* store_ = nullptr;
  mutable std::mutex mutex_;
  std::map<std::string, Installed> mappings_;  // by key
};

}  // namespace mayfly::lambda
