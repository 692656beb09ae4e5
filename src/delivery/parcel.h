// What a lane's messages are made of: the parcel (event and policy, as it was accepted) in the body, the progress (what
// attempts have shown so far) in the state.
//
// Form. A body is "<bytes of the head>\n<head, JSON><payload as it came>": payloads are not escaped, because they are
//       the bulk of it. A progress is JSON.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "delivery/delivery.h"

namespace mayfly::delivery {

struct Parcel {
  std::string target;
  std::string via;
  Event event;
  Policy policy;
};

std::string to_text(const Parcel& parcel);
Result<Parcel> parcel_from_text(std::string_view text);

struct Progress {
  std::uint32_t attempts = 0;
  SystemTime first_try{};
  Attempt last;  // of the attempts that counted; a response longer than 64 KiB is left out
};

std::string to_text(const Progress& progress);
// Nothing known where the text is empty or not such a state.
Progress progress_from_text(std::string_view text);

}  // namespace mayfly::delivery
