#pragma once

// The line that a server prints when it listens.

#include <cstdint>
#include <string>
#include <string_view>

namespace shoal::calculator {

// "listening on ADDRESS", where a port that the system chose (of HOST:0, or of HOST alone) stands
// in place of the 0. `port` is what the server's getPort() says: 0 for an address without ports.
std::string ListeningLine(std::string_view address, uint32_t port);

}  // namespace shoal::calculator
