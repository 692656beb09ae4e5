// Services that have a role of their own in each account: its name and the policy attached to it, as documented.
#pragma once

#include <string_view>

namespace mayfly::iam {

struct LinkedService {
  std::string_view service;
  std::string_view role;
  std::string_view policy;
};
const LinkedService* find_linked_service(std::string_view service);  // null where it is not known

}  // namespace mayfly::iam
