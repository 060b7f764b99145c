// A stream socket whose other end is a channel, for tests of what is not Shoal's.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/socket_channel.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

struct ChannelAndSocket {
  explicit ChannelAndSocket(const ChannelOptions& options = {}) {
    int fds[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    socket = UniqueFd(fds[1]);
    EXPECT_EQ(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    const Peer peer = {.address = "unix:test", .pid = getpid(), .uid = getuid()};
    channel = SocketChannel::Create(UniqueFd(fds[0]), peer, options).value();
  }

  std::unique_ptr<Channel> channel;
  UniqueFd socket;
};

}  // namespace shoal
