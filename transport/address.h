// Where a server is reached, as its user writes it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace shoal {

// What a Unix socket is bound to.
struct SocketName {
  enum class Kind {
    kAbstract,  // a name that no file has; it ends with the socket
    kPath,      // a file in the file system
  };

  Kind kind = Kind::kAbstract;
  std::string name;  // the abstract name without its leading NUL, or the path; at most 107 bytes
  std::string text;  // the address that the user wrote, for errors
};

// An address of one of these forms:
//
//   shm:NAME       a channel over shared memory, of this user's; any text, compared byte by byte
//   shm:NAME@USER  the same of another user, who is a user name, or a number and then a user id
//   shm:/PATH      a channel over shared memory that is met through a socket file, as between
//                  containers
//   unix:PATH      Cap'n Proto's stream over a Unix socket
//   HOST:PORT      Cap'n Proto's stream over TCP; *:PORT and [IPV6]:PORT too
//
// The last '@' counts, so who wants one in his NAME adds @USER. The PORT can be left out where
// there is a default one.
//
// A value: copied freely, read from any thread.
class Address {
 public:
  enum class Kind { kShmName, kShmPath, kUnix, kTcp };

  // kInvalidArgument: the text has none of the forms, its USER does not exist, or its PATH is too
  // long for a socket; the error says which. Looking up a USER by name reads the user database,
  // which may ask the network.
  static absl::StatusOr<Address> Parse(std::string_view text);

  Kind kind() const { return kind_; }

  // What Parse() was given.
  const std::string& text() const { return socket_name_.text; }

  // All kinds but kTcp: what the server's socket is bound to. For kShmName "shoal/UID/NAME", or,
  // when that is too long for a socket, "shoal/UID#" and 32 hexadecimal digits of the 128-bit
  // FNV-1a hash of NAME, the same in every process. For kTcp its name is empty, which no socket can
  // be bound to.
  const SocketName& socket_name() const { return socket_name_; }

  // kShmName: the effective user id that the server should have. Other kinds: empty.
  std::optional<uid_t> user() const { return user_; }

  // kTcp: a host name, "*" or an IP address, which has no brackets. Other kinds: empty.
  const std::string& host() const { return host_; }

  // kTcp: the port, if the text has one. Other kinds: empty.
  std::optional<uint16_t> port() const { return port_; }

 private:
  explicit Address(std::string_view text);
  absl::Status ParseShmName(std::string_view name);
  absl::Status ParsePath(Kind kind, std::string_view path);
  absl::Status ParseTcp(std::string_view host_and_port);
  absl::Status ParseHost(std::string_view host);
  absl::Status ParseIpv6(std::string_view address);
  absl::Status ParsePort(std::string_view port);
  absl::Status Error(std::string_view what) const;

  Kind kind_ = Kind::kTcp;
  SocketName socket_name_;
  std::optional<uid_t> user_;
  std::string host_;
  std::optional<uint16_t> port_;
};

}  // namespace shoal
