// The managed runtimes' clients, as files inside the binary.
#pragma once

#include <array>
#include <string_view>

namespace mayfly::sandbox {

struct ClientFile {
  std::string_view name;  // in the client directory
  std::string_view content;
};

inline constexpr std::size_t kClientFileCount = 12;
const std::array<ClientFile, kClientFileCount>& client_files();

}  // namespace mayfly::sandbox
