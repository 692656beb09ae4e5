// The build information that Go's linker leaves in a program: its Go version and the modules it was built of.
#pragma once

#include <string_view>
#include <vector>

#include "scan/component.h"

namespace mayfly::scan {

// Empty where the bytes are no Go program, or one of before Go 1.18, whose information can only be read by running its
// pointers. Source: debug/buildinfo of Go's library.
std::vector<Component> go_components(std::string_view program, std::string_view found_in);

}  // namespace mayfly::scan
