// What a connection's parameters look like to those who ask: names, never what is secret about them.
#pragma once

#include "services/events/records.h"

namespace mayfly::events {

// Of the stored CreateConnectionAuthRequestParameters; ValidationException where they do not fit the type.
aws::ApiResult<void> check_parameters(const std::string& authorization_type,
                                      const wire::CreateConnectionAuthRequestParameters& parameters);
wire::ConnectionAuthResponseParameters shown_parameters(const ConnectionRecord& connection);

}  // namespace mayfly::events
