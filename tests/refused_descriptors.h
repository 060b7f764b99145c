// A security module that lets this process receive no descriptor, as the kernel shows it.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

// To be included by one file of a test: it stands in for libc's recvmsg() in the whole program.

namespace shoal {

inline std::atomic<bool> descriptors_are_refused = false;

// Every descriptor that comes while it lives is dropped, and the message marked as cut short: what
// the kernel does when security_file_receive() says no.
struct RefusedDescriptors {
  RefusedDescriptors() { descriptors_are_refused = true; }
  RefusedDescriptors(const RefusedDescriptors&) = delete;
  RefusedDescriptors& operator=(const RefusedDescriptors&) = delete;
  ~RefusedDescriptors() { descriptors_are_refused = false; }
};

inline void DropDescriptors(msghdr& message) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    for (size_t i = 0; i < (part->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      close(fd);
    }
    message.msg_controllen =
        reinterpret_cast<char*>(part) - static_cast<char*>(message.msg_control);
    message.msg_flags |= MSG_CTRUNC;
    return;
  }
}

}  // namespace shoal

extern "C" ssize_t recvmsg(int fd, msghdr* message, int flags) {
  const ssize_t received = syscall(SYS_recvmsg, fd, message, flags);
  if (received >= 0 && shoal::descriptors_are_refused) {
    shoal::DropDescriptors(*message);
  }
  return received;
}
