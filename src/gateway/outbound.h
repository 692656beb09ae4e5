// What the gateway may connect to, and the fetch that keeps to it.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "http/client.h"

namespace mayfly::gateway {

enum class LinkLocal : std::uint8_t { kRefused, kAllowed };

// Link-local addresses and those where clouds answer a machine about itself: whoever reaches them gets its credentials.
bool is_metadata_address(const std::string& address);

// http::fetch, bounded as a whole by the request's timeout once the response has begun, to no metadata address.
Result<http::Response> fetch_outside(Clock& clock, const http::ClientRequest& request, std::size_t limit,
                                     LinkLocal link_local);

}  // namespace mayfly::gateway
