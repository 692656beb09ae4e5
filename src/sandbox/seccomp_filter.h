// Which system calls an instance may make. The lists are data in seccomp_filter.cpp, each group with its reason.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "base/error.h"

namespace mayfly::sandbox {

// Built once by the launcher, as a binary tree of calls; loaded by each child between its set-up and its program.
Result<std::vector<sock_filter>> build_seccomp_filter();

}  // namespace mayfly::sandbox
