// Fuzz entry: bytes of a stored message and of a receipt handle. What opens is sealed again and opens to the same.
#include "base/error.h"
#include "services/sqs/envelope.h"
#include "services/sqs/receipt.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);  // SAFETY: char may alias.
  if (const auto opened = mayfly::sqs::open(bytes)) {
    const auto text = bytes.substr(opened->text_at);
    const auto again = mayfly::sqs::open(mayfly::sqs::seal(opened->envelope, text));
    MAYFLY_ASSERT(again && again->envelope.attributes.size() == opened->envelope.attributes.size());
    MAYFLY_ASSERT(again->envelope.sender_id == opened->envelope.sender_id);
  }
  if (const auto receipt = mayfly::sqs::parse_receipt(bytes)) {
    MAYFLY_ASSERT(mayfly::sqs::parse_receipt(mayfly::sqs::receipt_text(*receipt)));
  }
  return 0;
}
