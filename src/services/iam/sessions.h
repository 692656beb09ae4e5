// What STS's ways to a session have in common.
#pragma once

#include <algorithm>

#include "aws/gen/sts.h"
#include "base/time_format.h"
#include "services/iam/shown.h"

namespace mayfly::iam {

namespace tokens = aws::sts;

inline constexpr std::size_t kSessionPolicyLimit = 2048;
inline constexpr std::int32_t kChainedSeconds = 3600;

inline tokens::Credentials shown(const identity::TemporaryCredentials& given) {
  tokens::Credentials out;
  out.AccessKeyId = given.access_key_id;
  out.SecretAccessKey = given.secret_access_key;
  out.SessionToken = given.session_token;
  out.Expiration = static_cast<double>(static_cast<std::int64_t>(epoch_seconds(given.expires)));
  return out;
}

// Session policies of a request, into the session.
template <typename Request>
aws::ApiResult<void> add_policies(const Core& core, const Request& request, identity::Session& session) {
  constexpr std::size_t kMostArns = 10;
  if (request.Policy) {
    const auto policy = identity::Policy::parse(*request.Policy, identity::PolicyKind::kIdentity, kSessionPolicyLimit);
    if (!policy) {
      const bool large = policy.error().code == ErrorCode::kTooLarge;
      return refuse(
          large ? tokens::errors::PackedPolicyTooLargeException : tokens::errors::MalformedPolicyDocumentException,
          policy.error().message);
    }
    session.policy = *request.Policy;
    session.has_policies = true;
  }
  if (request.PolicyArns) {
    if (request.PolicyArns->size() > kMostArns) {
      return refuse(aws::common_errors::ValidationException, "At most 10 managed session policies can be passed.");
    }
    for (const auto& one : *request.PolicyArns) {
      if (!core.managed(one.arn.value_or(""))) {
        return refuse(aws::common_errors::ValidationException,
                      fmt::format("Policy {} does not exist or is not attachable.", one.arn.value_or("")));
      }
      session.policy_arns.push_back(*one.arn);
    }
    session.has_policies = session.has_policies || !session.policy_arns.empty();
  }
  return {};
}

inline aws::ApiResult<std::chrono::seconds> duration_of(const std::optional<std::int32_t>& asked, std::int32_t most,
                                                        bool chained) {
  const auto seconds = asked.value_or(kChainedSeconds);
  if (chained && seconds > kChainedSeconds) {
    return refuse(aws::common_errors::ValidationException,
                  "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining");
  }
  if (seconds > most) {
    return refuse(aws::common_errors::ValidationException,
                  "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
  }
  return std::chrono::seconds(seconds);
}

}  // namespace mayfly::iam
