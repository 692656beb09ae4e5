// The envelope: how an SQS message lies in the port. A short binary head of everything that is not the text, then the
// text, so that neither a send nor a receive touches the text more than once.
//
//   byte 0     version, 1
//   fields     tag byte, length (4 bytes, big endian), content; in any order
//   byte 0     end of the fields
//   the rest   the text
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "services/sqs/sqs.h"

namespace mayfly::sqs {

struct Envelope {
  std::string md5;  // of the text, 16 raw bytes
  std::vector<MessageAttribute> attributes;
  std::string sender_id;
  std::string trace_header;
  // Of a message that came from another queue: how often it was received there, which queue that was, and the
  // deduplication id it was sent with. The port is not given that id again: a dead letter must not be swallowed because
  // another of the same id came within the window.
  std::uint32_t receives_before = 0;
  std::string source_arn;
  std::string dedupe_id;
};

// `text` behind the head of `envelope`.
std::string seal(const Envelope& envelope, std::string_view text);

struct Opened {
  Envelope envelope;
  std::size_t text_at = 0;  // where the text begins
};
// kCorrupt where the bytes are no envelope.
Result<Opened> open(std::string_view bytes);

}  // namespace mayfly::sqs
