// One call in CloudTrail's record form: who, what, when, from where, and what came of it. Never a secret: what the
// service's model calls sensitive, and what is known to be, is replaced before anything of it is kept.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "aws/api.h"
#include "aws/model.h"
#include "base/clock.h"
#include "base/json.h"

namespace mayfly::audit {

// A structure as it may be kept: members in CloudTrail's spelling, without blobs and secrets, long texts cut.
json::object shown_document(const aws::ShapeModel* shape, const json::object& document);

// Calls that move data and not settings (Invoke, SendMessage, PutEvents): only their refusals are recorded.
bool is_data_call(std::string_view service, std::string_view operation);
bool is_read_only(std::string_view operation);

struct Made {
  std::string id;  // eventID
  std::string text;
};
// `response` is null where it failed, `error` where it did not.
Made make_record(const aws::CallContext& context, const aws::ServiceModel& service,
                 const aws::OperationModel& operation, json::object request, const json::object* response,
                 const aws::ApiError* error, SystemTime now);

}  // namespace mayfly::audit
