// Which Shoal this is.
#pragma once

#include <string_view>

namespace shoal {

// The version of the library, the same as in MODULE.bazel, by the rules of https://semver.org. It
// says nothing of the protocol: two sides connect if they speak the same version of that.
inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace shoal
