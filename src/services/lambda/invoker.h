// What the service asks of dispatch. An interface of a few calls, so that the service's tests need no sandbox.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "dispatch/dispatcher.h"

namespace mayfly::lambda {

class Invoker {
 public:
  virtual ~Invoker() = default;
  // As the members of dispatch::Dispatcher of the same names.
  virtual Awaitable<Result<dispatch::Outcome>> invoke(std::shared_ptr<const dispatch::Target> target,
                                                      dispatch::Invocation invocation) = 0;
  virtual void expect(const dispatch::Target&) {}
  virtual void drain(const std::string& function_arn, const std::string& version,
                     const std::string& keep_generation) = 0;
  virtual void set_reserved_concurrency(const std::string& function_arn, std::optional<std::uint32_t> limit) = 0;
  virtual void set_provisioned(const std::shared_ptr<const dispatch::Target>& target, std::uint32_t count) = 0;
  [[nodiscard]] virtual dispatch::ProvisionedState provisioned(const dispatch::Target& target) const = 0;
  virtual void set_snap_start(const std::shared_ptr<const dispatch::Target>& target,
                              dispatch::SnapshotOrigin origin) = 0;
  [[nodiscard]] virtual dispatch::SnapshotState snapshot(const dispatch::Target& target) const = 0;
};

class DispatcherInvoker final : public Invoker {
 public:
  explicit DispatcherInvoker(dispatch::Dispatcher& dispatcher) : dispatcher_(dispatcher) {}
  Awaitable<Result<dispatch::Outcome>> invoke(std::shared_ptr<const dispatch::Target> target,
                                              dispatch::Invocation invocation) override {
    return dispatcher_.invoke(std::move(target), std::move(invocation));
  }
  void expect(const dispatch::Target& target) override { dispatcher_.expect(target); }
  void drain(const std::string& function_arn, const std::string& version, const std::string& keep_generation) override {
    dispatcher_.drain(function_arn, version, keep_generation);
  }
  void set_reserved_concurrency(const std::string& function_arn, std::optional<std::uint32_t> limit) override {
    dispatcher_.set_reserved_concurrency(function_arn, limit);
  }
  void set_provisioned(const std::shared_ptr<const dispatch::Target>& target, std::uint32_t count) override {
    dispatcher_.set_provisioned(target, count);
  }
  [[nodiscard]] dispatch::ProvisionedState provisioned(const dispatch::Target& target) const override {
    return dispatcher_.provisioned(target);
  }
  void set_snap_start(const std::shared_ptr<const dispatch::Target>& target, dispatch::SnapshotOrigin origin) override {
    dispatcher_.set_snap_start(target, origin);
  }
  [[nodiscard]] dispatch::SnapshotState snapshot(const dispatch::Target& target) const override {
    return dispatcher_.snapshot(target);
  }

 private:
  dispatch::Dispatcher& dispatcher_;
};

}  // namespace mayfly::lambda
