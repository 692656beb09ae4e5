// Rules with a schedule: when each is due, and the event that it then sends to its targets.
//
// Operation.   One coroutine sleeps until the next rule is due, hands its event over to delivery, and writes down the
//              time that was served. A crash between the two sends the event again under the same dedupe key, which
//              delivery recognises.
// Concurrency. sync() from any thread; the rest on the reactor given to start(). The clock on the wall may be set: it
// is
//              looked at again once a minute at the latest.
// Recovery.    The time last served lies beside the rule's record. Of the times missed while no server ran, the last is
//              served at start, once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/async.h"
#include "base/clock.h"
#include "schedule/schedule.h"
#include "services/events/matcher.h"
#include "store/key_value.h"

namespace mayfly::events {

class Timetable {
 public:
  // Sends a rule's event for a time that is due. Tried again a little later where it fails.
  using Fire = std::function<Awaitable<Result<void>>(RulePtr rule, SystemTime due)>;

  Timetable(store::KeyValue& store, Clock& clock, const RuleTable& rules, Fire fire);

  // Reads what was served. Before the rules are loaded.
  Awaitable<Result<void>> load();
  void sync(const std::string& key);  // the hook of the rules
  void start(Reactor& reactor);
  Awaitable<void> stop();
  // The rule is gone: so is what it served.
  Awaitable<void> forget(std::string key);

  // Everything due at `now` or before has been handed over: for clocks that are advanced.
  [[nodiscard]] bool is_settled(SystemTime now) const;
  // When a rule is due next; nullopt where it is not in the timetable.
  [[nodiscard]] std::optional<SystemTime> next_of(const std::string& key) const;

 private:
  struct Entry {
    std::string expression;
    SystemTime anchor;
    std::optional<schedule::Schedule> schedule;
    SystemTime due;
  };

  Awaitable<void> run();
  Awaitable<void> serve(std::string key, SystemTime due);
  void plan(const std::string& key, Entry& entry, SystemTime after);
  void drop(const std::string& key);
  [[nodiscard]] std::optional<std::pair<SystemTime, std::string>> first() const;

  store::KeyValue& store_;
  Clock& clock_;
  const RuleTable& rules_;
  Fire fire_;
  Scope scope_{"events timetable"};
  Signal changed_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;                // by the rule's key
  std::set<std::pair<SystemTime, std::string>> queue_;  // when, which
  std::map<std::string, SystemTime> served_;            // read at start, until the rule is seen
  bool starting_ = true;                                // rules that are seen now may have missed times
};

}  // namespace mayfly::events
