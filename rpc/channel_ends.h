#pragma once
// What the tests of this package share: both ends of a channel in one thread, without a handshake,
// and the text of failures.

#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "kj/exception.h"
#include "shoal/rpc/channels.h"
#include "shoal/tests/echo.capnp.h"
#include "shoal/tests/echo_options.h"
#include "shoal/transport/channel.h"

namespace shoal {

struct ChannelEnds {
  kj::Own<Channel> left;
  kj::Own<Channel> right;
};

inline ChannelOptions smallestOptions() {
  // The smallest outbox that is allowed, as RPC needs it: 16 slots, 64 KiB.
  ChannelOptions options = EchoOptions("smallest");
  options.when_full = WhenFull::kSpill;
  return options;
}

inline ChannelEnds newChannelEnds(const ChannelOptions& left, const ChannelOptions& right) {
  auto pair = ChannelPair(left, right);
  EXPECT_TRUE(pair.ok()) << pair.status();
  return {toOwn(std::move(pair->first)), toOwn(std::move(pair->second))};
}

inline ChannelEnds newChannelEnds(const ChannelOptions& options = smallestOptions()) {
  return newChannelEnds(options, options);
}

inline void publish(Channel& channel, uint64_t value) {
  OutgoingMessage message = channel.Claim();
  message.InitRoot<test::Echo::PingParams>().setValue(value);
  const absl::Status published = channel.Publish(std::move(message));
  EXPECT_TRUE(published.ok()) << published;
}

inline kj::Maybe<uint64_t> tryReceive(Channel& channel) {
  // What publish() was given at the other end.
  auto received = channel.TryReceive();
  EXPECT_TRUE(received.ok()) << received.status();
  if (!received.ok() || !*received) {
    return nullptr;
  }
  return (*received)->Root<test::Echo::PingParams>().getValue();
}

template <typename Func>
kj::Exception failureOf(Func&& func) {
  // What `func` throws. When it throws nothing the test fails.
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions(kj::fwd<Func>(func))) {
    return kj::mv(*exception);
  }
  ADD_FAILURE() << "nothing was thrown";
  return KJ_EXCEPTION(UNIMPLEMENTED, "nothing was thrown");
}

inline std::string textOf(const kj::Exception& exception) {
  return exception.getDescription().cStr();
}

}  // namespace shoal
