// Audit: every control-plane call and every denial is recorded, and CloudTrail's LookupEvents reads what was.
//
// Operation.   The protocol engine asks begin() before an operation runs and calls end() when it has. What changed
//              something is durable in the trail before its answer is sent; what only read, and what was refused, is
//              written with the next batch.
// Concurrency. Any reactor.
// Limits.      Those of the trail; a text of 1,024 characters, a request and a response of 32 KiB each.
#pragma once

#include <memory>

#include "aws/api.h"
#include "services/audit/trail.h"

namespace mayfly::audit {

class Audit final : public aws::Auditor {
 public:
  Audit(store::Stream& stream, Clock& clock, TrailSettings settings);
  ~Audit() override;
  Audit(const Audit&) = delete;
  Audit& operator=(const Audit&) = delete;

  [[nodiscard]] aws::Service& service();
  [[nodiscard]] Trail& trail();

  [[nodiscard]] std::optional<json::object> begin(const aws::ServiceModel& service,
                                                  const aws::OperationModel& operation,
                                                  const json::object& request) const override;
  Awaitable<void> end(const aws::CallContext& context, const aws::ServiceModel& service,
                      const aws::OperationModel& operation, json::object request, const json::object* response,
                      const aws::ApiError* error) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mayfly::audit
