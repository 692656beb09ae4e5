// What a connection's parameters look like to those who ask: names, never what is secret about them.
#pragma once

#include "base/async.h"
#include "services/events/records.h"

namespace mayfly::events {

struct Core;

// Of the stored CreateConnectionAuthRequestParameters; ValidationException where they do not fit the type.
aws::ApiResult<void> check_parameters(const std::string& authorization_type,
                                      const wire::CreateConnectionAuthRequestParameters& parameters);
wire::ConnectionAuthResponseParameters shown_parameters(const ConnectionRecord& connection);
// What a connection's secret holds, in the service's form.
std::string secret_value(const ConnectionRecord& connection);
// Puts that where secrets are read; nothing where the connection has no credentials (it is deauthorized, or they cannot
// be decrypted now).
Awaitable<Result<void>> show_secret(Core& core, const ConnectionRecord& connection);

}  // namespace mayfly::events
