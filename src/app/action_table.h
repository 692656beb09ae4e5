// What each operation is called in policies and which resource it is about, as in the service authorization reference.
// An operation that is not in the table is for the account's root user alone.
//
// The resource is a template over the request: {region} and {account} of the call, {Member} or {Member|default} of the
// request, and a few names that take more than a member: see fill_resource() in authorizer.cpp.
#pragma once

#include <string_view>

namespace mayfly::app {

struct ActionEntry {
  std::string_view service;  // signing name
  std::string_view operation;
  std::string_view action;
  std::string_view resource;
};
const ActionEntry* find_action(std::string_view service, std::string_view operation);  // null where there is none

}  // namespace mayfly::app
