// Numbers for Prometheus, through prometheus-cpp. Fed by outcomes only.
#pragma once

#include <memory>
#include <string>

namespace mayfly::dispatch {
struct Outcome;
struct Target;
}  // namespace mayfly::dispatch

namespace mayfly::observe {

class Metrics {
 public:
  Metrics();
  ~Metrics();
  void record(const dispatch::Target& target, const dispatch::Outcome& outcome);
  void record_throttle(const dispatch::Target& target, const std::string& reason);
  void set_concurrent_executions(double value);
  void set_instances(const std::string& state, double value);  // starting, idle, busy, draining
  // What became of an attempt to deliver an event: delivered, failed, throttled, dead, dropped. `service`: of its
  // target.
  void record_delivery(const std::string& service, const std::string& outcome);
  // Events that wait for delivery, and lanes whose breaker is not closed.
  void set_deliveries(double waiting, double breakers_open);
  void forget_function(const std::string& function_name);
  [[nodiscard]] std::string exposition() const;  // text format 0.0.4

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::observe
