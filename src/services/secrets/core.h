// What every topic of the service works with. Operations are free coroutines, one file for each topic, bound to the
// service in bind_<topic>().
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aws/api.h"
#include "services/operation.h"
#include "services/record_table.h"
#include "services/secrets/records.h"
#include "services/secrets/secrets.h"

namespace mayfly::secrets {

using Table = services::RecordTable<Secret>;
using Edit = Table::Edit;

inline constexpr double kDay = 86'400;  // seconds
inline constexpr std::size_t kDefaultPage = 100;

struct Core {
  Core(store::KeyValue& store, const vault::Vault& vault_in, Clock& clock_in, RotationFunctions functions_in,
       SecretsSettings settings_in)
      : vault(vault_in),
        clock(clock_in),
        functions(std::move(functions_in)),
        settings(std::move(settings_in)),
        secrets(store) {}

  const vault::Vault& vault;
  Clock& clock;
  RotationFunctions functions;
  SecretsSettings settings;
  Table secrets;
  Signal changed;  // something may be due earlier than before

  [[nodiscard]] double now() const;
  [[nodiscard]] Place place(const aws::CallContext& context) const;
};

using services::bind;

void bind_changes(aws::Service& service, Core& core);
void bind_deletion(aws::Service& service, Core& core);
void bind_reads(aws::Service& service, Core& core);
void bind_lists(aws::Service& service, Core& core);
void bind_stages(aws::Service& service, Core& core);
void bind_policies(aws::Service& service, Core& core);
void bind_tags(aws::Service& service, Core& core);
void bind_rotation(aws::Service& service, Core& core);
void bind_passwords(aws::Service& service, Core& core);

using services::refuse;
[[nodiscard]] std::unexpected<aws::ApiError> refuse_parameter(std::string message);
[[nodiscard]] std::unexpected<aws::ApiError> refuse_request(std::string message);
// A setting that this server would not carry out.
[[nodiscard]] std::unexpected<aws::ApiError> refuse_unsupported(std::string_view setting);
aws::ApiError secret_missing();
aws::ApiError marked_for_deletion();
// Of a change that only the owning service makes; nothing where a secret has none.
aws::ApiResult<void> check_not_owned(const Secret& secret);
// "events!connection/..": such names are not for users, who could stand in a service's way with them.
bool is_of_a_service(std::string_view name);

// --- names.cpp
aws::ApiResult<void> check_name(std::string_view name);
// Region, account and name of "arn:aws:secretsmanager:<region>:<account>:secret:<name>".
struct NamedByArn {
  Place place;
  std::string_view name;
};
std::optional<NamedByArn> parse_arn(std::string_view arn);
// A name, an ARN, or an ARN without its last six characters. Null where there is none.
SecretPtr find_named(const Core& core, const Place& place, std::string_view secret_id);
// The same for a request: ValidationException for what is no name, ResourceNotFoundException.
aws::ApiResult<SecretPtr> find_secret(const Core& core, const aws::CallContext& context,
                                      const std::optional<std::string>& secret_id);
// And InvalidRequestException where it waits for its deletion.
aws::ApiResult<SecretPtr> find_live(const Core& core, const aws::CallContext& context,
                                    const std::optional<std::string>& secret_id);
// Values of another account's secrets are not readable, for all are under the default key, as at AWS.
aws::ApiResult<void> check_same_account(const Secret& secret, const aws::CallContext& context);
// Changes a secret that is not waiting for its deletion.
Awaitable<aws::ApiResult<SecretPtr>> change_live(Core& core, std::string key, Edit edit);

// --- values
struct NewValue {
  ValueKind kind = ValueKind::kNone;
  std::string bytes;
  [[nodiscard]] bool any() const { return kind != ValueKind::kNone; }
};
aws::ApiResult<NewValue> new_value(std::optional<std::string>& text, std::optional<std::string>& bytes);
std::string new_version_id(const std::optional<std::string>& token);
aws::ApiResult<vault::ClearText> open_value(const Core& core, const Secret& secret, const Version& version);
std::vector<wire::Tag> shown_tags(const Secret& secret);
aws::ApiResult<void> set_tags(Secret& secret, const std::vector<wire::Tag>& tags);

template <typename T>
std::optional<T> some(T value) {
  return value.empty() ? std::nullopt : std::optional<T>(std::move(value));
}
inline std::optional<double> some_time(double seconds) {
  return seconds == 0 ? std::nullopt : std::optional<double>(seconds);
}

// --- changes.cpp
Version make_version(const Core& core, const Secret& secret, std::string id, const NewValue& value);
// Adds a version, or fills the empty one that a rotation has made for it; then moves the stages.
aws::ApiResult<void> put_version(Secret& secret, const Version& version, const std::vector<std::string>& stages);
bool same_value(const Core& core, const Secret& secret, const Version& version, const NewValue& value);

// --- owned.cpp: as Secrets::put_owned and remove_owned.
Awaitable<Result<void>> put_owned(Core& core, std::string owner, std::string arn, std::string value);
Awaitable<Result<void>> remove_owned(Core& core, std::string owner, std::string arn);

// --- lists.cpp
// Whether a secret passes a list's filters.
bool matches(const Secret& secret, const std::vector<wire::Filter>& filters);

// --- rotation.cpp
// When a secret is rotated next after `from`; 0 where never. InvalidParameterException for rules that say no time.
aws::ApiResult<double> next_rotation(const wire::RotationRulesType& rules, double from);
// The earliest time at which something is due: a rotation or a deletion; 0 where there is none.
double due_time(const Secret& secret);
// Carries out what is due for one secret at this time.
Awaitable<void> carry_out(Core& core, std::string key);

}  // namespace mayfly::secrets
