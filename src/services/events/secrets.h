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
// Makes the secret `arn` what the newest record of `key` says: shown with the connection's credentials, left alone
// where they cannot be decrypted now, removed where there are none, or no connection that it is of.
Awaitable<Result<void>> sync_secret(Core& core, std::string key, std::string arn);

}  // namespace mayfly::events
