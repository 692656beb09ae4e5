// `mayfly serve`: builds the world of real adapters, runs it until a signal, and takes it down in reverse order.
#pragma once

#include "cli/cli.h"

namespace mayfly::app {

// The process's exit code.
int serve(const cli::ServeOptions& options);
std::string settings_help();

}  // namespace mayfly::app
