// The policies that AWS manages and functions commonly attach, in what they say of the services that are here: those of
// the widest (PowerUserAccess, ReadOnlyAccess, SecretsManagerReadWrite, the FullAccess ones) are shorter than AWS's.
#pragma once

#include <span>
#include <string_view>

namespace mayfly::iam {

struct AwsPolicy {
  std::string_view name;
  std::string_view path;  // "/" or "/service-role/"
  std::string_view document;
};
std::span<const AwsPolicy> aws_policies();

}  // namespace mayfly::iam
