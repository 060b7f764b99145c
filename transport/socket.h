// The socket of a connection, AF_UNIX, and how two processes get one.
#pragma once

#include <sys/socket.h>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "shoal/transport/address.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// Why SOCK_SEQPACKET, the type unless another is asked for: packets keep their boundaries,
// descriptors and credentials arrive with the packet that they were sent with, and a foreign
// program, which uses a stream, cannot even connect.
//
// Every socket made here is non-blocking and close-on-exec; those of packets have SO_PASSCRED, so
// that the kernel stamps each packet with its sender. A socket that listens or was dialled takes no
// descriptors until AllowDescriptors(). All functions can be called from any thread, and a signal
// interrupts none of them. All can also fail with SystemError(), for example kResourceExhausted
// when there are no descriptors left.

// Two sockets connected with each other.
absl::StatusOr<std::pair<UniqueFd, UniqueFd>> SocketPair();

// A socket bound to `name` that waits for connections.
//
// A path's socket file has `mode` from the beginning, or what the umask leaves, and stays when the
// listener is closed. The next ListenOn() finds it stale, as no process has it open, and reclaims
// it. For that alone it holds flock() on the directory, so that of servers that start at once one
// wins; it waits at most 1 s for that lock.
//
// kAlreadyExists: a server lives there; the text names it and its process. It sees a connection
// that ends at once. kInvalidArgument: the path is something else than a socket, which is never
// removed, or its directory is missing. kPermissionDenied: with both user ids. kUnavailable: the
// file is stale, and another process keeps the directory locked.
absl::StatusOr<UniqueFd> ListenOn(const SocketName& name, int type = SOCK_SEQPACKET,
                                  std::optional<mode_t> mode = S_IRUSR | S_IWUSR);

// A socket connected to the listener on `name`; tried once. What is sent before it is accepted
// waits there.
//
// kUnavailable: nobody listens there, maybe not yet, or too many wait there already.
// kInvalidArgument: at the path is a foreign socket, that is of another kind, or a file that is no
// socket. (An abstract name is another one for each kind of socket, so there nobody listens.)
// kPermissionDenied: with both user ids.
absl::StatusOr<UniqueFd> DialOnce(const SocketName& name, int type = SOCK_SEQPACKET);

// The next connection that waits at `listener`; empty when none does.
absl::StatusOr<std::optional<UniqueFd>> AcceptOnce(int listener);

// Lets the peer of a connected socket send descriptors. Before, its attempts fail with EPERM, and
// nothing that it sends can make closing this socket block: the kernel releases descriptors that
// were never received in the thread that closes the socket or reads without room for them, and the
// release of a lingering TCP socket, or of a file whose dirty pages only a FUSE daemon can take,
// waits. Kernels before 6.16 have no such switch (SO_PASSRIGHTS), and there every socket takes
// descriptors.
void AllowDescriptors(int fd);

// Who is at the other end of a connected socket, with the user and group effective then: in a
// dialled one who called ListenOn(), in an accepted one who called DialOnce(), in a pair who called
// SocketPair(). The process id is 0 if this process cannot see that one.
absl::StatusOr<ucred> PeerCredentials(int fd);

// "pid 4711, uid 1000", the way errors name a process.
std::string Describe(const ucred& process);

// Blocks until reading `fd`, or accepting from it, would not: there is a packet, a connection, or
// the peer's end. With a deadline that has passed it looks once.
//
// kDeadlineExceeded: nothing came. kInvalidArgument: `fd` is not open.
absl::Status WaitReadable(int fd, const Deadline& deadline);

}  // namespace shoal
