// A function that does nothing: what an invocation costs besides the function.
#include "../../../examples/hello-cpp/lambda_runtime.h"

int main() {
  return lambda::run([](const lambda::Request&) { return lambda::Answer::ok("null"); });
}
