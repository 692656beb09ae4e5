// What the server does about packages that bring known vulnerabilities or credentials along.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace mayfly::app {

// `policy`: off, warn or refuse. `osv`: a folder of OSV documents, or "". Empty where the policy is off; reads the
// folder. kNotFound, kIo.
Result<std::function<Result<void>(std::string_view zip)>> package_policy(const std::string& policy,
                                                                         const std::string& osv);

}  // namespace mayfly::app
