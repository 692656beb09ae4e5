// What the authorizer has to know of secrets and parameters: which one a request is about, policies and tags.
#pragma once

#include "app/authorizer.h"
#include "services/parameters/parameters.h"
#include "services/secrets/secrets.h"

namespace mayfly::app {

void add_secret_rights(Authorizer& authorizer, const secrets::Secrets& secrets,
                       const parameters::Parameters& parameters);

}  // namespace mayfly::app
