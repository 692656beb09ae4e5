// The event source mappings of this server: their records, the sources they can read from, and a poller for each that
// is enabled.
//
// Concurrency. Any reactor; one mutex guards the pollers, never held across a wait. Sources are added before load().
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "services/lambda/event_source.h"
#include "services/lambda/mapping_record.h"

namespace mayfly::lambda {

struct Core;
class Poller;

class Mappings {
 public:
  Mappings();
  ~Mappings();
  Mappings(const Mappings&) = delete;
  Mappings& operator=(const Mappings&) = delete;

  void add_sources(std::string service, std::unique_ptr<EventSources> sources, Reactors& reactors);
  // Null where no service here has what the ARN names.
  [[nodiscard]] const EventSources* sources_of(std::string_view arn) const;

  void start_all(Core& core);
  void stop_all();
  // Brings what runs in line with the record: a poller with its settings, or none.
  void apply(Core& core, const MappingRecord& record);
  void end(const MappingRecord& record);
  // "Enabled", "Disabled", or "Disabling" while batches of a disabled one are still under way.
  [[nodiscard]] std::string state_of(const MappingRecord& record) const;
  // How its last batch ended; nullopt where none has since it was made, changed, or the server started.
  [[nodiscard]] std::optional<std::string> last_result_of(const MappingRecord& record) const;

  MappingTable table;

 private:
  std::map<std::string, std::unique_ptr<EventSources>, std::less<>> sources_;  // by service
  Reactors* reactors_ = nullptr;
  mutable std::mutex mutex_;
  bool stopping_ = false;
  std::map<std::string, std::shared_ptr<Poller>> pollers_;  // by UUID
};

}  // namespace mayfly::lambda
