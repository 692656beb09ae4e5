// Statements of a topic's policy, as AddPermission and RemovePermission change it.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "services/sns/core.h"

namespace mayfly::sns {
namespace {

constexpr std::array<std::string_view, 10> kActions{
    "GetTopicAttributes", "SetTopicAttributes",       "AddPermission", "RemovePermission", "DeleteTopic",
    "Subscribe",          "ListSubscriptionsByTopic", "Publish",       "Receive",          "*"};

json::value policy_of(const TopicRecord& topic) {
  const auto text = topic.attribute("Policy");
  auto policy = parse_json(text.empty() ? default_policy(topic) : std::string(text));
  json::value out = policy && policy->is_object() ? std::move(*policy) : json::value(json::object());
  auto& statements = out.get_object()["Statement"];
  if (!statements.is_array()) statements.emplace_array();
  return out;
}

bool has_label(const json::value& statement, std::string_view label) { return get_string(statement, "Sid") == label; }

json::object statement_of(const TopicRecord& topic, const wire::AddPermissionInput& request) {
  json::array principals;
  for (const auto& account : request.AWSAccountId.value_or(std::vector<std::string>())) {
    principals.emplace_back(fmt::format("arn:aws:iam::{}:root", account));
  }
  json::array actions;
  for (const auto& action : request.ActionName.value_or(std::vector<std::string>())) {
    actions.emplace_back("SNS:" + action);
  }
  // One of a kind stands by itself, as the service writes it.
  const auto single = [](json::array list) {
    return list.size() == 1 ? json::value(std::move(list[0])) : json::value(std::move(list));
  };
  return json::object{{"Sid", request.Label.value_or("")},
                      {"Effect", "Allow"},
                      {"Principal", json::object{{"AWS", single(std::move(principals))}}},
                      {"Action", single(std::move(actions))},
                      {"Resource", topic.arn()}};
}

Awaitable<aws::ApiResult<aws::Empty>> add_permission(Core& core, const aws::CallContext& context,
                                                     wire::AddPermissionInput request) {
  auto found = find_topic(core, context, request.TopicArn, "TopicArn");
  if (!found) co_return std::unexpected(std::move(found.error()));
  for (const auto& action : request.ActionName.value_or(std::vector<std::string>())) {
    if (std::ranges::find(kActions, action) == kActions.end()) {
      co_return refuse_parameter("Policy statement action out of service scope!");
    }
  }
  Table<TopicRecord>::Edit edit = [&request](TopicRecord& topic) -> aws::ApiResult<void> {
    auto policy = policy_of(topic);
    auto& statements = policy.get_object()["Statement"].get_array();
    if (std::ranges::any_of(statements, [&](const auto& s) { return has_label(s, request.Label.value_or("")); })) {
      return refuse_parameter("Statement already exists");
    }
    statements.push_back(statement_of(topic, request));
    topic.attributes["Policy"] = to_json(policy);
    return {};
  };
  auto changed = co_await core.topics.change((*found)->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  if (*changed == nullptr) co_return refuse_topic_missing();
  co_return aws::Empty();
}

Awaitable<aws::ApiResult<aws::Empty>> remove_permission(Core& core, const aws::CallContext& context,
                                                        wire::RemovePermissionInput request) {
  auto found = find_topic(core, context, request.TopicArn, "TopicArn");
  if (!found) co_return std::unexpected(std::move(found.error()));
  Table<TopicRecord>::Edit edit = [&request](TopicRecord& topic) -> aws::ApiResult<void> {
    auto policy = policy_of(topic);
    auto& statements = policy.get_object()["Statement"].get_array();
    json::array kept;
    for (auto& statement : statements) {
      if (!has_label(statement, request.Label.value_or(""))) kept.push_back(std::move(statement));
    }
    statements = std::move(kept);
    topic.attributes["Policy"] = to_json(policy);
    return {};
  };
  auto changed = co_await core.topics.change((*found)->key(), std::move(edit));
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  if (*changed == nullptr) co_return refuse_topic_missing();
  co_return aws::Empty();
}

}  // namespace

void bind_permissions(aws::Service& service, Core& core) {
  bind<wire::AddPermission>(service, core, add_permission);
  bind<wire::RemovePermission>(service, core, remove_permission);
}

}  // namespace mayfly::sns
