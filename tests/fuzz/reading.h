// Reading a message that a hostile peer wrote.
#pragma once

#include <cstdint>

#include "capnp/message.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/message.h"

namespace shoal::fuzz {

// The largest message that a victim takes; so small that memory is no matter.
inline constexpr uint64_t kMaxFuzzedWords = 1 << 15;

// What its reader allows; so little that no message takes long.
inline constexpr capnp::ReaderOptions kFuzzedReader = {.traversalLimitInWords = 1 << 15,
                                                       .nestingLimit = 16};

// Follows every pointer, which must end in an exception of Cap'n Proto's at worst, and reads every
// word. Returns a sum of the words and of where the segments end.
uint64_t ReadAll(IncomingMessage& message);

// What one does who is about to sleep until there is something to receive, and then does not.
void AlmostSleep(Channel& channel);

}  // namespace shoal::fuzz
