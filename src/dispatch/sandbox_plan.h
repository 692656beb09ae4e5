// How a Target becomes a SandboxSpec: mounts, limits in Lambda's proportions, and Lambda's documented environment.
#pragma once

#include <string>

#include "dispatch/dispatcher.h"
#include "dispatch/invocation.h"
#include "sandbox/runtimes.h"
#include "sandbox/spec.h"

namespace mayfly::dispatch {

inline constexpr std::uint16_t kRuntimeApiPort = 9001;

// Thousandths of a CPU: a function has one whole CPU at 1,769 MB (AWS Lambda developer guide, "Configure memory").
std::uint32_t cpu_milli(std::uint32_t memory_mb);
// Names that the platform sets itself: a function's own variables never replace them, and the API refuses them.
bool is_reserved_variable(const std::string& name);
// Whether a runtime that was started without this variable has missed it: interpreters and the C library read some only
// once. A function that sets one gets a process of its own from the start.
bool is_read_at_start(const std::string& name);

// Whether compiled code of the function may be kept for its next instances: not where a variable changes the compiler.
bool may_keep_code(const Target& target);

sandbox::SandboxSpec make_spec(const Target& target, const sandbox::RuntimePlan& plan,
                               const DispatcherSettings& settings, const sandbox::SandboxId& id,
                               const std::string& log_stream);

}  // namespace mayfly::dispatch
