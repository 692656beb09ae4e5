// The limits of the service, each with its source.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace mayfly::sqs {

// A message with its attributes, and a batch of messages. Raised from 262,144 in August 2025: recorded refusals of that
// month name this number, and the published model's documentation does.
inline constexpr std::size_t kMessageBytes = 1'048'576;
inline constexpr std::size_t kLeastMessageBytes = 1'024;  // of the attribute MaximumMessageSize
inline constexpr std::size_t kBatchEntries = 10;          // recorded: "Maximum number of entries per request are 10."
inline constexpr std::size_t kMessageAttributes = 10;
inline constexpr std::size_t kAttributeNameLength = 256;
inline constexpr std::size_t kBatchIdLength = 80;
inline constexpr std::size_t kQueueNameLength = 80;
inline constexpr std::size_t kGroupIdLength = 128;  // of MessageDeduplicationId, too
inline constexpr std::size_t kQueueTags = 50;
inline constexpr std::size_t kListedQueues = 1'000;
inline constexpr std::size_t kPolicyStatements = 20;  // "A policy is limited to 20 statements and 10 principals"
inline constexpr std::int32_t kReceivedMessages = 10;
inline constexpr std::int32_t kDelaySeconds = 900;
inline constexpr std::int32_t kWaitSeconds = 20;
inline constexpr std::int32_t kVisibilitySeconds = 43'200;  // also of all extensions together, from the receive on
inline constexpr std::int32_t kLeastRetentionSeconds = 60;
inline constexpr std::int32_t kRetentionSeconds = 1'209'600;
inline constexpr std::int32_t kReceiveCount = 1'000;  // of a redrive policy
inline constexpr std::uint32_t kInFlight = 120'000;   // for both kinds of queue
inline constexpr std::chrono::seconds kDedupeWindow{300};
inline constexpr std::chrono::seconds kPurgeInterval{60};
inline constexpr std::chrono::seconds kAttemptWindow{300};  // of a ReceiveRequestAttemptId
inline constexpr std::size_t kAttempts = 4'096;             // remembered at a time, all queues together: Mayfly's own
inline constexpr std::int32_t kMovesPerSecond = 500;        // the largest MaxNumberOfMessagesPerSecond
inline constexpr std::size_t kListedMoves = 10;             // and as many are kept for each queue

}  // namespace mayfly::sqs
