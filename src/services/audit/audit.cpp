#include "services/audit/audit.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "aws/gen/cloudtrail.h"
#include "base/log.h"
#include "base/time_format.h"
#include "services/audit/record.h"

namespace mayfly::audit {

namespace wire = aws::cloudtrail;

namespace {

constexpr std::size_t kMostResults = 50;
// A page that found less says where to go on, so that one call never reads a whole trail.
constexpr std::size_t kMostLooked = 20'000;

aws::ApiError refused(const aws::ErrorModel& model, std::string message) {
  aws::ApiError error;
  error.model = &model;
  error.message = std::move(message);
  return error;
}

aws::ApiResult<Filter> filter_of(const wire::LookupEventsRequest& request, const aws::CallContext& context) {
  Filter filter;
  filter.account = context.principal.account;
  filter.region = context.region;
  if (request.EventCategory) {
    return std::unexpected(refused(wire::errors::InvalidEventCategoryException, "Insights are not recorded here."));
  }
  if (request.StartTime) filter.from = from_epoch_seconds(*request.StartTime);
  if (request.EndTime) filter.to = from_epoch_seconds(*request.EndTime);
  if (filter.from && filter.to && *filter.from > *filter.to) {
    return std::unexpected(refused(wire::errors::InvalidTimeRangeException, "The start time is after the end time."));
  }
  const auto attributes = request.LookupAttributes.value_or(std::vector<wire::LookupAttribute>());
  if (attributes.size() > 1) {
    return std::unexpected(
        refused(wire::errors::InvalidLookupAttributesException, "You can only specify one lookup attribute."));
  }
  for (const auto& attribute : attributes) {
    const auto key = attribute.AttributeKey.value_or("");
    const auto value = attribute.AttributeValue.value_or("");
    if (key == "EventId") filter.event_id = value;
    if (key == "EventName") filter.event_name = value;
    if (key == "EventSource") filter.event_source = value;
    if (key == "Username") filter.user = value;
    if (key == "AccessKeyId") filter.access_key_id = value;
    if (key == "ResourceName") filter.resource_name = value;
    if (key == "ReadOnly") filter.read_only = value == "true";
    if (key == "ResourceType") {
      return std::unexpected(refused(wire::errors::InvalidLookupAttributesException,
                                     "ResourceType is not supported: types of resources are not recorded."));
    }
  }
  return filter;
}

wire::Event event_of(const json::value& record) {
  wire::Event out;
  out.EventId = std::string(get_string(record, "eventID"));
  out.EventName = std::string(get_string(record, "eventName"));
  out.ReadOnly = get_bool(record, "readOnly", false) ? "true" : "false";
  if (const auto time = parse_iso8601(get_string(record, "eventTime"))) out.EventTime = epoch_seconds(*time);
  out.EventSource = std::string(get_string(record, "eventSource"));
  if (const auto* who = find(record, "userIdentity")) {
    out.AccessKeyId = std::string(get_string(*who, "accessKeyId"));
    const auto arn = get_string(*who, "arn");
    out.Username = std::string(get_string(*who, "userName", arn.substr(arn.find_last_of("/:") + 1)));
  }
  out.Resources.emplace();
  out.CloudTrailEvent = to_json(record);
  return out;
}

}  // namespace

struct Audit::Impl {
  Impl(store::Stream& stream, Clock& clock_in, TrailSettings settings)
      : clock(clock_in), trail(stream, clock_in, settings) {}
  Awaitable<aws::ApiResult<wire::LookupEventsResponse>> lookup(const aws::CallContext& context,
                                                               wire::LookupEventsRequest request);
  Clock& clock;
  Trail trail;
  aws::Service service{wire::service()};
};

Awaitable<aws::ApiResult<wire::LookupEventsResponse>> Audit::Impl::lookup(const aws::CallContext& context,
                                                                          wire::LookupEventsRequest request) {
  auto filter = filter_of(request, context);
  if (!filter) co_return std::unexpected(std::move(filter.error()));
  std::uint64_t before = 0;
  if (request.NextToken) {
    const auto& token = *request.NextToken;
    const auto [end, ec] = std::from_chars(token.data(), token.data() + token.size(), before);
    if (ec != std::errc() || end != token.data() + token.size() || before == 0) {
      co_return std::unexpected(refused(wire::errors::InvalidNextTokenException, "The token is not valid."));
    }
  }
  const auto limit =
      std::min(kMostResults, static_cast<std::size_t>(request.MaxResults.value_or(static_cast<int>(kMostResults))));
  auto page = co_await trail.read(std::move(*filter), before, limit, kMostLooked);
  if (!page) {
    log(Level::kError, "the audit trail could not be read", {{"error", page.error().message}});
    co_return std::unexpected(refused(aws::common_errors::InternalFailure, "The trail could not be read."));
  }
  wire::LookupEventsResponse out;
  out.Events.emplace();
  for (const auto& found : page->found) out.Events->push_back(event_of(found.record));
  if (page->next != 0) out.NextToken = std::to_string(page->next);
  co_return out;
}

Audit::Audit(store::Stream& stream, Clock& clock, TrailSettings settings)
    : impl_(std::make_unique<Impl>(stream, clock, settings)) {
  impl_->service.bind<wire::LookupEvents>(
      [impl = impl_.get()](const aws::CallContext& context, wire::LookupEventsRequest request) {
        return impl->lookup(context, std::move(request));
      });
}

Audit::~Audit() = default;

aws::Service& Audit::service() { return impl_->service; }

Trail& Audit::trail() { return impl_->trail; }

std::optional<json::object> Audit::begin(const aws::ServiceModel& service, const aws::OperationModel& operation,
                                         const json::object& request) const {
  if (is_data_call(service.signing_name, operation.name)) return std::nullopt;
  return shown_document(operation.input, request);
}

Awaitable<void> Audit::end(const aws::CallContext& context, const aws::ServiceModel& service,
                           const aws::OperationModel& operation, json::object request, const json::object* response,
                           const aws::ApiError* error) {
  auto made = make_record(context, service, operation, std::move(request), response, error, impl_->clock.now());
  const bool changed = error == nullptr && !is_read_only(operation.name);
  const auto wait = changed ? Trail::Wait::kUntilDurable : Trail::Wait::kNo;
  co_await impl_->trail.record(std::move(made.text), wait);
}

}  // namespace mayfly::audit
