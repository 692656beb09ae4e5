// What a REST API's gateway answers itself: statuses, words and error types, and what a customer made of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/exchange.h"

namespace mayfly::gateway {

struct RestAnswer {
  std::string_view type;  // "THROTTLED"; "" for what has no type of its own
  int status = 500;
  std::string_view message;     // "": null
  std::string_view error_type;  // x-amzn-ErrorType
};

// By a type's name; the last resort is an internal error.
const RestAnswer& rest_answer(std::string_view type);
// The type that an answer has of which only the status is known.
std::string_view rest_type(int status);
// Whether a customer may have an answer of this type: "UNAUTHORIZED", "DEFAULT_4XX".
bool is_answer_type(std::string_view type);

std::vector<std::string> answer_types();

// Writes the answer into the exchange. `text` is what to say instead of the type's message.
void answer_as_rest(Exchange& exchange, std::string_view type, const std::string& text);

}  // namespace mayfly::gateway
