// Tags of queues, and permissions: statements of a queue's policy, each under a label.
#include <fmt/core.h>

#include <algorithm>

#include "base/json.h"
#include "services/sqs/core.h"
#include "services/sqs/limits.h"

namespace mayfly::sqs {
namespace {

constexpr std::string_view kActions[] = {
    "*",           "ChangeMessageVisibility",    "DeleteMessage", "GetQueueAttributes",
    "GetQueueUrl", "ListDeadLetterSourceQueues", "PurgeQueue",    "ReceiveMessage",
    "SendMessage"};

Awaitable<aws::ApiResult<wire::ListQueueTagsResult>> list_tags(Core& core, const aws::CallContext& context,
                                                               wire::ListQueueTagsRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  wire::ListQueueTagsResult out;
  if (!(*queue)->tags.empty()) out.Tags = (*queue)->tags;
  co_return out;
}

Awaitable<aws::ApiResult<aws::Empty>> tag_queue(Core& core, const aws::CallContext& context,
                                                wire::TagQueueRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  if (!request.Tags || request.Tags->empty()) co_return refuse_missing("Tags");
  const auto given = *request.Tags;
  QueueEdit edit = [given](QueueRecord& record) -> aws::ApiResult<void> {
    for (const auto& [key, value] : given) {
      const auto existing = std::ranges::find(record.tags, key, &std::pair<std::string, std::string>::first);
      if (existing != record.tags.end()) {
        existing->second = value;
      } else {
        record.tags.emplace_back(key, value);
      }
    }
    if (record.tags.size() > kQueueTags) {
      return refuse_value(fmt::format("Too many tags added for queue {}.", record.name));
    }
    return {};
  };
  auto changed = co_await core.tables.change((*queue)->place, (*queue)->name, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::Empty();
}

Awaitable<aws::ApiResult<aws::Empty>> untag_queue(Core& core, const aws::CallContext& context,
                                                  wire::UntagQueueRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  if (!request.TagKeys || request.TagKeys->empty()) co_return refuse_missing("TagKeys");
  const auto keys = *request.TagKeys;
  QueueEdit edit = [keys](QueueRecord& record) -> aws::ApiResult<void> {
    std::erase_if(record.tags, [&](const auto& tag) { return std::ranges::find(keys, tag.first) != keys.end(); });
    return {};
  };
  auto changed = co_await core.tables.change((*queue)->place, (*queue)->name, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::Empty();
}

// One value as itself, several as a list.
json::value one_or_list(const std::vector<std::string>& values) {
  if (values.size() == 1) return json::string(values.front());
  json::array out;
  for (const auto& value : values) out.emplace_back(value);
  return out;
}

json::object policy_of(const QueueRecord& record) {
  if (!record.policy.empty()) {
    if (auto parsed = parse_json(record.policy); parsed && parsed->is_object()) return std::move(parsed->get_object());
  }
  return {{"Version", "2008-10-17"},
          {"Id", fmt::format("{}/SQSDefaultPolicy", record.arn())},
          {"Statement", json::array()}};
}

json::array& statements_of(json::object& policy) {
  auto& statements = policy["Statement"];
  if (statements.is_object()) statements = json::array{statements};
  if (!statements.is_array()) statements = json::array();
  return statements.get_array();
}

aws::ApiResult<void> check_permission(const wire::AddPermissionRequest& request) {
  if (!request.Label || request.Label->empty()) return refuse_missing("Label");
  if (!request.AWSAccountIds || request.AWSAccountIds->empty()) return refuse_missing("AWSAccountIds");
  if (!request.Actions || request.Actions->empty()) return refuse_missing("Actions");
  for (const auto& account : *request.AWSAccountIds) {
    const bool digits = std::ranges::all_of(account, [](char c) { return c >= '0' && c <= '9'; });
    if (account.size() != 12 || !digits) {
      return refuse_parameter(fmt::format("[{}]", account), "PrincipalId", "Unable to verify.");
    }
  }
  for (const auto& action : *request.Actions) {
    if (std::ranges::find(kActions, action) == std::end(kActions)) {
      return refuse_parameter("SQS:" + action, "ActionName",
                              "Please refer to the appropriate WSDL for a list of valid actions. ");
    }
  }
  return {};
}

aws::ApiResult<void> add_statement(QueueRecord& record, const wire::AddPermissionRequest& request) {
  auto policy = policy_of(record);
  auto& statements = statements_of(policy);
  for (const auto& statement : statements) {
    if (get_string(statement, "Sid") == *request.Label)
      return refuse_parameter(*request.Label, "Label", "Already exists.");
  }
  if (statements.size() >= kPolicyStatements) {
    return refuse(wire::errors::OverLimit,
                  fmt::format("{} Too many SQS policy statements: {}", record.arn(), statements.size() + 1));
  }
  std::vector<std::string> principals;
  std::vector<std::string> actions;
  for (const auto& account : *request.AWSAccountIds) principals.push_back(fmt::format("arn:aws:iam::{}:root", account));
  std::ranges::reverse(principals);  // recorded: the last one comes first
  for (const auto& action : *request.Actions) actions.push_back("SQS:" + action);
  statements.push_back(json::object{{"Sid", *request.Label},
                                    {"Effect", "Allow"},
                                    {"Principal", json::object{{"AWS", one_or_list(principals)}}},
                                    {"Action", one_or_list(actions)},
                                    {"Resource", record.arn()}});
  record.policy = to_json(policy);
  return {};
}

Awaitable<aws::ApiResult<aws::Empty>> add_permission(Core& core, const aws::CallContext& context,
                                                     wire::AddPermissionRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  if (auto good = check_permission(request); !good) co_return std::unexpected(good.error());
  QueueEdit edit = [request](QueueRecord& record) { return add_statement(record, request); };
  auto changed = co_await core.tables.change((*queue)->place, (*queue)->name, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::Empty();
}

Awaitable<aws::ApiResult<aws::Empty>> remove_permission(Core& core, const aws::CallContext& context,
                                                        wire::RemovePermissionRequest request) {
  const auto queue = find_queue(core, context, request.QueueUrl);
  if (!queue) co_return std::unexpected(queue.error());
  if (!request.Label || request.Label->empty()) co_return refuse_missing("Label");
  const auto label = *request.Label;
  QueueEdit edit = [label](QueueRecord& record) -> aws::ApiResult<void> {
    auto policy = policy_of(record);
    auto& statements = statements_of(policy);
    const auto found =
        std::ranges::find_if(statements, [&](const auto& statement) { return get_string(statement, "Sid") == label; });
    if (found == statements.end()) return refuse_parameter(label, "Label", "can't find label.");
    statements.erase(found);
    record.policy = statements.empty() ? std::string() : to_json(policy);
    return {};
  };
  auto changed = co_await core.tables.change((*queue)->place, (*queue)->name, std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return aws::Empty();
}

}  // namespace

void bind_tags(aws::Service& service, Core& core) {
  bind<wire::ListQueueTags>(service, core, list_tags);
  bind<wire::TagQueue>(service, core, tag_queue);
  bind<wire::UntagQueue>(service, core, untag_queue);
  bind<wire::AddPermission>(service, core, add_permission);
  bind<wire::RemovePermission>(service, core, remove_permission);
}

}  // namespace mayfly::sqs
