// The daemon's own rights and limits: what it takes before the launcher is forked, and gives up once it is.
#pragma once

#include "base/error.h"

namespace mayfly::app {

// Before any thread exists, because capabilities belong to threads. Afterwards this process and everything it starts
// has no capability but the binding of low ports, and cannot gain any.
Result<void> drop_privileges();

// As many open files as the machine allows this user: connections and instances need some each, and the usual limit
// (1,024) is meant for programs that call select(). Functions have a limit of their own. Before the launcher is forked.
Result<void> raise_open_file_limit();

}  // namespace mayfly::app
