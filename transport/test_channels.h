// Two ends of a channel for tests, and numbered messages between them.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/test_data.capnp.h"

namespace shoal {

inline std::string Text(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

// Two ends, `left` with the options given, `right` too.
struct Pair {
  explicit Pair(const ChannelOptions& options = {}) {
    auto pair = ChannelPair(options);
    EXPECT_TRUE(pair.ok()) << pair.status();
    left = std::move(pair->first);
    right = std::move(pair->second);
  }

  std::unique_ptr<Channel> left;
  std::unique_ptr<Channel> right;
};

// All limits at their lowest, so that a test reaches each soon.
inline ChannelOptions Smallest() {
  ChannelOptions options;
  options.slots = ChannelOptions::kMinSlots;
  options.loans = ChannelOptions::kMinLoans;
  options.slab_bytes = ChannelOptions::kMinSlabBytes;
  options.max_slabs_bytes = ChannelOptions::kMinSlabBytes;
  return options;
}

inline ChannelOptions SmallestThat(WhenFull when_full) {
  ChannelOptions options = Smallest();
  options.when_full = when_full;
  return options;
}

inline OutgoingMessage Numbered(Channel& channel, uint64_t number, size_t bytes = 0) {
  OutgoingMessage message = channel.Claim();
  auto blob = message.InitRoot<test::Blob>();
  blob.setNumber(number);
  auto data = blob.initData(static_cast<capnp::uint>(bytes));
  std::fill(data.begin(), data.end(), static_cast<uint8_t>(number));
  return message;
}

inline absl::Status Send(Channel& channel, uint64_t number, size_t bytes = 0) {
  return channel.Publish(Numbered(channel, number, bytes));
}

inline void ExpectNumbered(IncomingMessage& message, uint64_t number, size_t bytes = 0) {
  const auto blob = message.Root<test::Blob>();
  EXPECT_EQ(blob.getNumber(), number);
  const auto data = blob.getData();
  ASSERT_EQ(data.size(), bytes);
  EXPECT_EQ(std::count(data.begin(), data.end(), static_cast<uint8_t>(number)), bytes);
}

inline void ExpectNext(Channel& channel, uint64_t number, size_t bytes = 0) {
  auto message = channel.Receive();
  ASSERT_TRUE(message.ok()) << message.status();
  ExpectNumbered(*message, number, bytes);
}

// What `client()`, which `listener` does not let in, returns. It runs in a thread of its own.
template <typename Client>
auto HeardBy(Client client, Listener& listener) {
  decltype(client()) heard;
  std::atomic<bool> done = false;
  std::thread thread([&] {
    heard = client();
    done = true;
  });
  while (!done) {
    EXPECT_TRUE(absl::IsDeadlineExceeded(listener.Accept(absl::Milliseconds(10)).status()));
  }
  thread.join();
  return heard;
}

// Publishes small messages until the ring has no room.
inline uint64_t Fill(Channel& channel) {
  uint64_t number = 0;
  while (Send(channel, number).ok()) {
    ++number;
  }
  return number;
}

}  // namespace shoal
