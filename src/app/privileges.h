// What the daemon gives up once the launcher, which keeps privileges, is forked.
#pragma once

#include "base/error.h"

namespace mayfly::app {

// Before any thread exists, because capabilities belong to threads. Afterwards this process and everything it starts
// has no capability but the binding of low ports, and cannot gain any.
Result<void> drop_privileges();

}  // namespace mayfly::app
