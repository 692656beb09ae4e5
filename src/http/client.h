// A small HTTP/1.1 client for the command line and tests: blocking, one request a call, streaming answers.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/error.h"
#include "http/message.h"

namespace mayfly::http {

struct ClientRequest {
  std::string url_base;  // "http://127.0.0.1:4566"; https is verified against `ca_file` or the system's store
  RequestHead head;      // Host is set from url_base unless given
  std::string body;
  std::string ca_file;
  std::chrono::nanoseconds timeout = std::chrono::seconds(60);  // for each connect, write and read
  // Asked for each address that a name has, as text, before it is connected to; empty: every address.
  std::function<bool(const std::string& address)> may_connect;
};

// The whole response, at most `limit` bytes of body.
Result<Response> fetch(const ClientRequest& request, std::size_t limit);
// Calls `on_data` for each part of the body as it comes, until it returns false.
Result<ResponseHead> fetch_streaming(const ClientRequest& request,
                                     const std::function<void(const ResponseHead&)>& on_head,
                                     const std::function<bool(std::string_view)>& on_data);

}  // namespace mayfly::http
