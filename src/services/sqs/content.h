// What a message may hold, and the digests of it that clients verify.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/sqs/errors.h"
#include "services/sqs/sqs.h"

namespace mayfly::sqs {

// UTF-8 of #x9 | #xA | #xD | #x20-#xD7FF | #xE000-#xFFFD | #x10000-#x10FFFF.
bool has_only_allowed_characters(std::string_view text);
// 1 to 128 letters, digits and punctuation: group and deduplication ids.
bool is_group_id(std::string_view text);
aws::ApiResult<void> check_attributes(const std::vector<MessageAttribute>& attributes);
// Bytes that count towards the limits: the text, and each attribute's name, type and value.
std::size_t counted_bytes(std::string_view text, const std::vector<MessageAttribute>& attributes);

// The documented form: of each attribute, by name, the name, the type, one byte for the kind of value, the value; each
// with its length before it. 32 hexadecimal digits, "" where there is no attribute.
std::string attributes_md5(std::vector<MessageAttribute> attributes);

std::vector<MessageAttribute> from_wire(std::vector<std::pair<std::string, wire::MessageAttributeValue>> attributes);
std::vector<std::pair<std::string, wire::MessageAttributeValue>> to_wire(std::vector<MessageAttribute> attributes);

}  // namespace mayfly::sqs
