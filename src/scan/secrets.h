// Credentials that lie in the files of a package. Only forms that are unmistakable are looked for: keys whose issuers
// gave them a form of their own, and private keys.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly::scan {

inline constexpr std::size_t kMostSecretsOfAFile = 20;

struct SecretFinding {
  std::string kind;      // "AWS access key"
  std::string file;      // from the package's root
  std::size_t line = 0;  // from 1
  std::string excerpt;   // its first characters and dots: what is found is never repeated
};

// Nothing in binary files. The example keys of AWS's documentation are none.
std::vector<SecretFinding> find_secrets(std::string_view file, std::string_view text);

}  // namespace mayfly::scan
