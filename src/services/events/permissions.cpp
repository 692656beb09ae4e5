// PutPermission and RemovePermission: the statements of a bus' resource policy.
#include <fmt/core.h>

#include <algorithm>

#include "identity/policy_document.h"
#include "services/events/core.h"
#include "services/events/policy.h"

namespace mayfly::events {
namespace {

constexpr std::size_t kMostPolicyBytes = 10'240;

aws::ApiResult<json::object> statement_of(const wire::PutPermissionRequest& request, const BusRecord& bus) {
  const auto principal = request.Principal.value_or("");
  if (principal.empty() || !request.StatementId)
    return refuse_validation("Parameter(s) Principal and StatementId or Policy must be specified.");
  json::object statement;
  statement["Sid"] = *request.StatementId;
  statement["Effect"] = "Allow";
  if (principal == "*") {
    statement["Principal"] = "*";
  } else {
    statement["Principal"] = json::object{{"AWS", fmt::format("arn:aws:iam::{}:root", principal)}};
  }
  statement["Action"] = request.Action.value_or("events:PutEvents");
  statement["Resource"] = bus.arn();
  if (request.Condition) {
    statement["Condition"] =
        json::object{{request.Condition->Type.value_or(""),
                      json::object{{request.Condition->Key.value_or(""), request.Condition->Value.value_or("")}}}};
  }
  return statement;
}

// A whole policy in place of the statements.
aws::ApiResult<json::array> statements_of(const std::string& text) {
  auto policy = parse_json(text);
  const auto* statements = policy ? find(*policy, "Statement") : nullptr;
  if (statements == nullptr || !(statements->is_array() || statements->is_object()))
    return refuse_validation("Parameter Policy is not valid. Reason: it is no policy document.");
  // What is stored takes part in every decision about the bus, so it must be a policy.
  const auto read = identity::Policy::parse(text, identity::PolicyKind::kResource, identity::Policy::kLongest);
  if (!read) return refuse_validation(fmt::format("Parameter Policy is not valid. Reason: {}", read.error().message));
  if (statements->is_object()) return json::array{*statements};
  return statements->get_array();
}

bool has_id(const json::value& statement, std::string_view id) { return get_string(statement, "Sid") == id; }

Awaitable<aws::ApiResult<aws::Empty>> put_permission(Core& core, const aws::CallContext& context,
                                                     wire::PutPermissionRequest request) {
  auto bus = co_await claim_bus(core, core.place(context), request.EventBusName.value_or(""));
  if (!bus) co_return std::unexpected(std::move(bus.error()));
  BusTable::Edit edit = [&request, &core](BusRecord& record) -> aws::ApiResult<void> {
    if (request.Policy) {
      auto statements = statements_of(*request.Policy);
      if (!statements) return std::unexpected(std::move(statements.error()));
      record.statements = std::move(*statements);
    } else {
      auto statement = statement_of(request, record);
      if (!statement) return std::unexpected(std::move(statement.error()));
      auto& all = record.statements;
      const auto same =
          std::find_if(all.begin(), all.end(), [&](const auto& one) { return has_id(one, *request.StatementId); });
      if (same == all.end()) {
        all.push_back(std::move(*statement));
      } else {
        *same = std::move(*statement);
      }
    }
    record.modified = core.now();
    if (policy_text(record).value_or("").size() > kMostPolicyBytes)
      return refuse(wire::errors::PolicyLengthExceededException, "The policy is longer than 10240 bytes.");
    return {};
  };
  auto missing = bus_missing((*bus)->name);
  auto changed = co_await core.buses.change((*bus)->key(), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::Empty();
}

Awaitable<aws::ApiResult<aws::Empty>> remove_permission(Core& core, const aws::CallContext& context,
                                                        wire::RemovePermissionRequest request) {
  auto bus = co_await claim_bus(core, core.place(context), request.EventBusName.value_or(""));
  if (!bus) co_return std::unexpected(std::move(bus.error()));
  BusTable::Edit edit = [&request, &core](BusRecord& record) -> aws::ApiResult<void> {
    if (request.RemoveAllPermissions.value_or(false)) {
      record.statements.clear();
    } else {
      auto& all = record.statements;
      const auto id = request.StatementId.value_or("");
      const auto same = std::find_if(all.begin(), all.end(), [&](const auto& one) { return has_id(one, id); });
      if (same == all.end())
        return refuse(wire::errors::ResourceNotFoundException, "Statement with the provided id does not exist.");
      all.erase(same);
    }
    record.modified = core.now();
    return {};
  };
  auto missing = bus_missing((*bus)->name);
  auto changed = co_await core.buses.change((*bus)->key(), std::move(missing), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::Empty();
}

}  // namespace

std::optional<std::string> policy_text(const BusRecord& bus) {
  if (bus.statements.empty()) return std::nullopt;
  json::object policy;
  policy["Version"] = "2012-10-17";
  policy["Statement"] = bus.statements;
  return to_json(policy);
}

void bind_permissions(aws::Service& service, Core& core) {
  bind<wire::PutPermission>(service, core, put_permission);
  bind<wire::RemovePermission>(service, core, remove_permission);
}

}  // namespace mayfly::events
