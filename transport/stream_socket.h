// Stream sockets: `unix:PATH` and `HOST:PORT`.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "shoal/transport/address.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// Every socket made here is non-blocking and close-on-exec; over TCP it sends at once
// (TCP_NODELAY). Any thread; a signal interrupts none of them. `address` is of Kind::kUnix or
// Kind::kTcp.

// A socket that waits for connections. A socket file has the mode that the process's umask leaves,
// and is reclaimed when it is stale, as ListenOn() does. A host name that stands for several
// addresses is bound at the first that can be; "*" is all of this machine's, by IPv6 and IPv4.
//
// kAlreadyExists: a live server has the address. kInvalidArgument: no socket can be there, the name
// is not known, or the port is missing.
absl::StatusOr<UniqueFd> ListenStream(const Address& address);

// A socket connected to a server; each address that a host name stands for is tried once.
// kInvalidArgument: the host is "*", or the port 0. kUnavailable: nobody listens there (yet).
// kDeadlineExceeded: nobody answered.
absl::StatusOr<UniqueFd> DialStream(const Address& address, const Deadline& deadline);

// "127.0.0.1:4711", "[::1]:4711", or `otherwise` for a socket that has no such address: this end's,
// and the other one's.
std::string LocalName(int fd, const std::string& otherwise);
std::string RemoteName(int fd, const std::string& otherwise);

}  // namespace shoal
