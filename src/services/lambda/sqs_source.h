// Event source mappings read from SQS queues in this process.
#pragma once

#include <memory>

#include "services/lambda/event_source.h"

namespace mayfly::sqs {
class Sqs;
struct Message;
}  // namespace mayfly::sqs

namespace mayfly::lambda {

// `sqs` outlives what is made here.
std::unique_ptr<EventSources> sqs_sources(sqs::Sqs& sqs);
// A message as Lambda's event has it, JSON.
std::string sqs_record(const sqs::Message& message, const std::string& arn, const std::string& region);

}  // namespace mayfly::lambda
