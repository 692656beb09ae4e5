// Greets whoever the event names. A real function would read its event with a JSON library; this one stays without
// dependencies and gives the event back as it came.
#include <cstdio>

#include "lambda_runtime.h"

int main() {
  return lambda::run([](const lambda::Request& request) {
    std::printf("invocation %s has %lld ms\n", request.request_id.c_str(), request.remaining_ms());
    return lambda::Answer::ok("{\"message\":\"Hello from C++!\",\"event\":" + request.payload +
                              ",\"request_id\":" + lambda::quote(request.request_id) +
                              ",\"remaining_ms\":" + std::to_string(request.remaining_ms()) + "}");
  });
}
