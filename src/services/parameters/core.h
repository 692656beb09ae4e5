// What every topic of the service works with. Operations are free coroutines, one file for each topic, bound to the
// service in bind_<topic>().
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aws/api.h"
#include "aws/gen/ssm.h"
#include "services/operation.h"
#include "services/parameters/parameters.h"
#include "services/parameters/records.h"
#include "services/record_table.h"

namespace mayfly::parameters {

namespace wire = aws::ssm;
using Table = services::RecordTable<Parameter>;
using Edit = Table::Edit;

struct Core {
  Core(store::KeyValue& store, const vault::Vault& vault_in, BlockingPool& pool_in, Clock& clock_in,
       ParametersSettings settings_in)
      : vault(vault_in), pool(pool_in), clock(clock_in), settings(std::move(settings_in)), parameters(store) {}

  const vault::Vault& vault;
  BlockingPool& pool;
  Clock& clock;
  ParametersSettings settings;
  Table parameters;

  [[nodiscard]] Place place(const aws::CallContext& context) const;
};

using services::bind;

void bind_changes(aws::Service& service, Core& core);
void bind_reads(aws::Service& service, Core& core);
void bind_lists(aws::Service& service, Core& core);
void bind_labels(aws::Service& service, Core& core);
void bind_tags(aws::Service& service, Core& core);

using services::refuse;
[[nodiscard]] std::unexpected<aws::ApiError> refuse_value(std::string message);  // ValidationException
aws::ApiError parameter_missing();
aws::ApiError version_missing(std::string_view name, std::string_view selector);

// A name or an ARN of a request, and what stands behind its colon: a version's number or a label.
struct Named {
  Place place;
  std::string name;
  std::string selector;
};
Named parse_name(const Core& core, const aws::CallContext& context, std::string_view text);
// Null where there is none. An ARN does not say whether the name began with a slash; both are looked for.
ParameterPtr find(const Core& core, const Named& named);
// The value of a version as a reader gets it: what is sealed stays so without `decrypted`.
aws::ApiResult<std::string> value_of(const Core& core, const Parameter& parameter, const Version& version,
                                     bool decrypted);
aws::ApiResult<void> set_tags(Parameter& parameter, const std::vector<wire::Tag>& tags);

template <typename T>
std::optional<T> some(T value) {
  return value.empty() ? std::nullopt : std::optional<T>(std::move(value));
}

}  // namespace mayfly::parameters
