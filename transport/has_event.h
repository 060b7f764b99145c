// A look at a descriptor, without waiting.
#pragma once

#include <poll.h>

namespace shoal {

// Whether `fd` has one of `events`, POLLIN or POLLOUT for example, or is hung up. A system call.
inline bool HasEvent(int fd, short events = POLLIN) {
  pollfd polled = {.fd = fd, .events = events, .revents = 0};
  return poll(&polled, 1, 0) > 0;
}

}  // namespace shoal
