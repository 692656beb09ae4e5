// What follows from an event that was delivered or given up: dead letters and destination records, as further requests.
//
// Ids are derived from the event's, so that a crash between the durable hand-over and the acknowledgement makes no
// second letter within the queue's window of deduplication.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "delivery/parcel.h"

namespace mayfly::delivery {

enum class Ending : std::uint8_t { kSuccess, kRetriesExhausted, kAgeExceeded, kRefused };

// Empty where the policy names nobody.
std::vector<Request> followers(const Parcel& parcel, const Progress& progress, Ending ending, SystemTime now);

// Lambda's record of an asynchronous invocation, version 1.0.
std::string destination_record(const Parcel& parcel, const Progress& progress, Ending ending, SystemTime now);
// A UUID that `id` and `purpose` always give.
std::string derived_id(const std::string& id, std::string_view purpose);

}  // namespace mayfly::delivery
