// Receipt handles: opaque to clients, bound to one queue and one lease. Base64 of version, the queue's generation, the
// second of the receive, and the port's lease token.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/queue.h"

namespace mayfly::sqs {

struct Receipt {
  std::string generation;      // 16 hexadecimal digits
  std::uint32_t received = 0;  // epoch seconds: a message may be invisible for 12 hours from then on
  store::LeaseToken token;
};

std::string receipt_text(const Receipt& receipt);
// nullopt for what receipt_text() never made.
std::optional<Receipt> parse_receipt(std::string_view text);

}  // namespace mayfly::sqs
