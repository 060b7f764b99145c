// A TCP port for a test, which nobody serves unless the test does.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>

#include "shoal/transport/unique_fd.h"

namespace shoal {

// A port of the loopback address that the system gives to nobody else meanwhile. Who connects to it
// is refused, until somebody binds it with SO_REUSEADDR, as servers do, and listens.
class HeldPort {
 public:
  HeldPort() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    const int on = 1;
    if (setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
        getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
      throw std::system_error(errno, std::generic_category(), "holding a port");
    }
    port_ = ntohs(address.sin_port);
  }

  uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  UniqueFd socket_;
  uint16_t port_;
};

}  // namespace shoal
