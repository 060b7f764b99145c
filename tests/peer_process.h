// A channel and the process at its other end, for tests.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"
#include "shoal/transport/channel.h"

namespace shoal {

// A channel to a new process that does `command`, one of channel_process.cc's. The test has that
// program among its data.
struct PeerProcess {
  explicit PeerProcess(const std::string& command, const ChannelOptions& options = {})
      : address("shm"), process({"tests/channel_process", address.text(), command}) {
    EXPECT_EQ(process.ReadLine(), "listening");
    auto connected = Connect(address.text(), options);
    EXPECT_TRUE(connected.ok()) << connected.status();
    channel = *std::move(connected);
  }

  UniqueAddress address;
  ChildProcess process;
  std::unique_ptr<Channel> channel;
};

}  // namespace shoal
