#include "shoal/rpc/poller.h"

#include <sys/socket.h>

#include "gtest/gtest.h"
#include "kj/async-io.h"
#include "kj/function.h"
#include "kj/thread.h"
#include "kj/timer.h"
#include "shoal/rpc/channel_ends.h"

namespace shoal {
namespace {

constexpr uint MESSAGES_BETWEEN_YIELDS = 128;
constexpr uint TOO_MANY = 100'000;  // messages after which a test gives up what it waits for

const kj::TimePoint NEVER = kj::origin<kj::TimePoint>() + int64_t(kj::maxValue) * kj::NANOSECONDS;

class Reader final: public Poller::Source {
  // Takes one message each time it is served.

public:
  Reader(Poller& poller, kj::Own<Channel> channel): Source(poller, kj::mv(channel)) { wait(); }

  Channel& getChannel() { return *channel; }

  uint messages = 0;
  kj::Function<void()> taken = []() {};  // called after each message
  kj::Maybe<absl::Status> error;

private:
  bool isWaiting() override { return error == nullptr; }
  bool isReady() override { return channel->Readable(); }
  bool arm() override { return channel->ArmForMessage(); }

  void serve() override {
    auto received = channel->TryReceive();
    if (!received.ok()) {
      error = received.status();
    } else if (*received) {
      ++messages;
      handled();
      taken();
    }
  }
};

class Spy final: public Poller::Source {
  // Is never ready, and notes whether it is asked while a timer that has fired is yet to be
  // handled.

public:
  Spy(Poller& poller, kj::Own<Channel> channel, kj::Timer& timer)
      : Source(poller, kj::mv(channel)), timer(timer) {
    wait();
  }

  kj::TimePoint due = NEVER;
  uint looks = 0;
  uint looksWhenDue = 0;

private:
  bool isWaiting() override { return true; }
  bool arm() override { return true; }
  void serve() override {}

  bool isReady() override {
    ++looks;
    if (timer.now() >= due) {
      ++looksWhenDue;
    }
    return false;
  }

  kj::Timer& timer;
};

struct ReadEnd {
  // A Reader, and the peer's end of its channel.

  explicit ReadEnd(Poller& poller, const ChannelOptions& options = smallestOptions())
      : ReadEnd(poller, newChannelEnds(options)) {}
  ReadEnd(Poller& poller, ChannelEnds ends)
      : peer(kj::mv(ends.right)), reader(poller, kj::mv(ends.left)) {}

  void keepBusy() {
    // From now on there is always another message, until there have been TOO_MANY.
    reader.taken = [this]() {
      if (reader.messages < TOO_MANY) {
        publish(*peer, reader.messages);
      }
    };
    publish(*peer, 0);
  }

  kj::Own<Channel> peer;
  Reader reader;
};

ChannelOptions withSpin(absl::Duration spin) {
  ChannelOptions options = smallestOptions();
  options.spin = spin;
  return options;
}

class PollerTest: public testing::Test {
protected:
  PollerTest() = default;
  ~PollerTest() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  kj::Timer& timer() { return io.provider->getTimer(); }

  void runUntilIdle() {
    // Until the poller has parked, unless it spins for ever.
    io.waitScope.poll();
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  Poller poller{io.unixEventPort};
};

TEST_F(PollerTest, ServesAMessageThatIsThereAlready) {
  ReadEnd end(poller);
  publish(*end.peer, 1);
  runUntilIdle();
  EXPECT_EQ(end.reader.messages, 1);
}

TEST_F(PollerTest, ServesAMessageThatComesWhileItIsParked) {
  ReadEnd end(poller);
  runUntilIdle();
  publish(*end.peer, 1);
  runUntilIdle();
  publish(*end.peer, 2);
  runUntilIdle();
  EXPECT_EQ(end.reader.messages, 2);
}

TEST_F(PollerTest, IsRungOnlyWhenItIsParked) {
  ReadEnd end(poller);
  runUntilIdle();
  publish(*end.peer, 1);
  publish(*end.peer, 2);
  publish(*end.peer, 3);
  char rings[4];
  EXPECT_EQ(recv(end.reader.getChannel().doorbell(), rings, sizeof(rings), MSG_DONTWAIT), 1);
  EXPECT_EQ(recv(end.reader.getChannel().doorbell(), rings, sizeof(rings), MSG_DONTWAIT), -1);
}

TEST_F(PollerTest, FiresATimerWhileARingIsNeverEmpty) {
  ReadEnd end(poller);
  end.keepBusy();
  timer().afterDelay(1 * kj::MILLISECONDS).wait(io.waitScope);
  EXPECT_LT(end.reader.messages, TOO_MANY);
}

TEST_F(PollerTest, LooksAtTimersOnceInSoManyMessages) {
  ReadEnd end(poller);
  end.keepBusy();
  uint last = 0;
  for (int i = 0; i < 10; ++i) {
    timer().afterDelay(0 * kj::NANOSECONDS).wait(io.waitScope);
    EXPECT_LE(end.reader.messages - last, MESSAGES_BETWEEN_YIELDS + 1);
    last = end.reader.messages;
  }
  EXPECT_GT(last, MESSAGES_BETWEEN_YIELDS);
}

TEST_F(PollerTest, LooksAtOtherDescriptorsOnceInSoManyMessages) {
  ReadEnd end(poller);
  auto pipe = io.provider->newOneWayPipe();
  kj::byte buffer[1];
  auto read = pipe.in->read(buffer, 1);
  end.keepBusy();
  auto written = pipe.out->write("x", 1);
  read.wait(io.waitScope);
  EXPECT_LE(end.reader.messages, 2 * MESSAGES_BETWEEN_YIELDS);
}

TEST_F(PollerTest, LetsOtherUsersOfEvalLastRunWhileARingIsNeverEmpty) {
  ReadEnd end(poller);
  end.keepBusy();
  kj::evalLast([]() {}).wait(io.waitScope);
  EXPECT_LE(end.reader.messages, 2 * MESSAGES_BETWEEN_YIELDS);
}

TEST_F(PollerTest, AlternatesBetweenTwoRingsThatAreNeverEmpty) {
  ReadEnd first(poller);
  ReadEnd second(poller);
  first.keepBusy();
  second.keepBusy();
  timer().afterDelay(1 * kj::MILLISECONDS).wait(io.waitScope);
  EXPECT_GT(first.reader.messages, 0);
  EXPECT_EQ(first.reader.messages, second.reader.messages);
}

TEST_F(PollerTest, LooksAtIdleSourcesNowAndThenWhileARingIsNeverEmpty) {
  ReadEnd busy(poller);
  kj::Vector<kj::Own<Spy>> spies;
  for (int i = 0; i < 20; ++i) {
    spies.add(kj::heap<Spy>(poller, newChannelEnds(smallestOptions()).left, timer()));
  }
  busy.keepBusy();
  while (busy.reader.messages < 2000) {
    timer().afterDelay(0 * kj::SECONDS).wait(io.waitScope);
  }
  const uint messages = busy.reader.messages;
  int lookedAtEachTime = 0;
  for (auto& spy: spies) {
    EXPECT_GT(spy->looks, messages / 32);
    lookedAtEachTime += spy->looks > messages / 4 ? 1 : 0;
  }
  EXPECT_LE(lookedAtEachTime, 3);
}

TEST_F(PollerTest, ServesAllThatWereIdleWhileARingIsNeverEmpty) {
  ReadEnd busy(poller);
  kj::Vector<kj::Own<ReadEnd>> others;
  for (int i = 0; i < 20; ++i) {
    others.add(kj::heap<ReadEnd>(poller));
  }
  busy.keepBusy();
  while (busy.reader.messages < 200) {
    timer().afterDelay(0 * kj::SECONDS).wait(io.waitScope);
  }
  const uint before = busy.reader.messages;
  uint unserved = others.size();
  uint last = 0;
  for (auto& other: others) {
    other->reader.taken = [&]() {
      --unserved;
      last = busy.reader.messages;
    };
    publish(*other->peer, 1);
  }
  while (unserved > 0 && busy.reader.messages < TOO_MANY) {
    timer().afterDelay(0 * kj::SECONDS).wait(io.waitScope);
  }
  EXPECT_EQ(unserved, 0);
  EXPECT_LE(last - before, 32);
}

TEST_F(PollerTest, SeesAMessageOfAConnectionThatJoinsWhileItIsParked) {
  ReadEnd first(poller);
  runUntilIdle();
  ChannelEnds ends = newChannelEnds();
  publish(*ends.right, 1);
  ReadEnd second(poller, kj::mv(ends));
  runUntilIdle();
  EXPECT_EQ(second.reader.messages, 1);
}

TEST_F(PollerTest, IsRungByAConnectionThatJoinedWhileItWasParked) {
  ReadEnd first(poller);
  runUntilIdle();
  ReadEnd second(poller);
  runUntilIdle();
  publish(*second.peer, 1);
  runUntilIdle();
  publish(*first.peer, 1);
  runUntilIdle();
  EXPECT_EQ(first.reader.messages, 1);
  EXPECT_EQ(second.reader.messages, 1);
}

TEST_F(PollerTest, GoesOnWithTheOthersWhenAConnectionLeaves) {
  ReadEnd first(poller);
  {
    ReadEnd second(poller);
    publish(*second.peer, 1);
    runUntilIdle();
  }
  publish(*first.peer, 1);
  runUntilIdle();
  EXPECT_EQ(first.reader.messages, 1);
}

TEST_F(PollerTest, HearsOfAPeerThatHangsUpWhileItIsParked) {
  ReadEnd end(poller);
  runUntilIdle();
  shutdown(end.peer->doorbell(), SHUT_RDWR);
  runUntilIdle();
  EXPECT_TRUE(end.reader.error != nullptr);
}

TEST_F(PollerTest, GivesIdleMemoryBackWhileItIsParked) {
  ChannelOptions options = withSpin(absl::ZeroDuration());
  options.max_slabs_bytes = 64 << 20;
  options.slab_idle_time = absl::Milliseconds(4);
  ReadEnd end(poller, options);
  Channel& channel = end.reader.getChannel();
  {
    OutgoingMessage large = channel.Claim(1 << 20);
    large.InitRoot<test::Echo::SumParams>().initData(4 << 20);
    ASSERT_TRUE(channel.Publish(std::move(large)).ok());
    ASSERT_TRUE(end.peer->TryReceive()->has_value());
  }
  runUntilIdle();
  while (channel.stats().slabs > 1) {
    timer().afterDelay(1 * kj::MILLISECONDS).wait(io.waitScope);
  }
  EXPECT_EQ(channel.stats().slabs_bytes, options.slab_bytes);
}

TEST_F(PollerTest, WithNoSpinItParksAtOnceAndIsRung) {
  ReadEnd end(poller, withSpin(absl::ZeroDuration()));
  runUntilIdle();
  publish(*end.peer, 1);
  runUntilIdle();
  EXPECT_EQ(end.reader.messages, 1);
  EXPECT_GE(end.reader.getChannel().stats().parks, 1);
}

TEST_F(PollerTest, WithAnEndlessSpinItNeverParks) {
  ReadEnd end(poller, withSpin(absl::InfiniteDuration()));
  timer().afterDelay(10 * kj::MILLISECONDS).wait(io.waitScope);
  publish(*end.peer, 1);
  timer().afterDelay(1 * kj::MILLISECONDS).wait(io.waitScope);
  EXPECT_EQ(end.reader.messages, 1);
  EXPECT_EQ(end.reader.getChannel().stats().parks, 0);
}

TEST_F(PollerTest, WithAnEndlessSpinItHearsOfAPeerThatHangsUp) {
  ReadEnd end(poller, withSpin(absl::InfiniteDuration()));
  shutdown(end.peer->doorbell(), SHUT_RDWR);
  while (end.reader.error == nullptr) {
    timer().afterDelay(1 * kj::MILLISECONDS).wait(io.waitScope);
  }
}

TEST_F(PollerTest, WithAnEndlessSpinOtherUsersOfEvalLastRun) {
  ReadEnd end(poller, withSpin(absl::InfiniteDuration()));
  kj::evalLast([]() {}).wait(io.waitScope);
}

TEST_F(PollerTest, SpinsOnlyWhenTheLoopHasNothingElseToDo) {
  Spy spy(poller, newChannelEnds(withSpin(absl::InfiniteDuration())).left, timer());
  for (int i = 0; i < 3; ++i) {
    spy.due = timer().now() + 1 * kj::MILLISECONDS;
    timer().atTime(spy.due).wait(io.waitScope);
    spy.due = NEVER;
  }
  EXPECT_GT(spy.looks, 0);
  EXPECT_EQ(spy.looksWhenDue, 0);
}

struct Left {
  // A source that was destroyed with more to deliver than the ring has room for.

  explicit Left(Poller& poller, absl::Duration linger) {
    ChannelOptions options = smallestOptions();
    options.linger = linger;
    ReadEnd end(poller, options);
    peer = kj::mv(end.peer);
    for (uint64_t i = 0; i < MESSAGES; ++i) {
      publish(end.reader.getChannel(), i);
    }
    EXPECT_GT(end.reader.getChannel().pending_messages(), 0);
  }

  static constexpr uint64_t MESSAGES = 100;
  kj::Own<Channel> peer;
};

TEST_F(PollerTest, DeliversInTheBackgroundWhatASourceLeftBehind) {
  Left left(poller, absl::InfiniteDuration());
  for (uint64_t i = 0; i < Left::MESSAGES; ++i) {
    runUntilIdle();
    ASSERT_EQ(KJ_ASSERT_NONNULL(tryReceive(*left.peer)), i);
  }
  runUntilIdle();
  EXPECT_FALSE(left.peer->TryReceive().ok());
  EXPECT_TRUE(left.peer->ended_by_peer());
}

TEST_F(PollerTest, GivesUpWhatASourceLeftBehindWhenItHasLingered) {
  Left left(poller, absl::Milliseconds(5));
  while (!left.peer->hung_up()) {
    timer().afterDelay(1 * kj::MILLISECONDS).wait(io.waitScope);
    left.peer->DrainDoorbell();
  }
  uint64_t received = 0;
  while (left.peer->TryReceive().ok()) {
    ++received;
  }
  EXPECT_LT(received, Left::MESSAGES);
  EXPECT_FALSE(left.peer->ended_by_peer());
}

TEST_F(PollerTest, LetsGoOfWhatASourceLeftBehindWhenItsPeerDies) {
  Left left(poller, absl::InfiniteDuration());
  left.peer = nullptr;
  runUntilIdle();
}

TEST(Poller, DeliversWhatASourceLeftBehindBeforeItIsGoneItself) {
  kj::AsyncIoContext io = kj::setupAsyncIo();
  kj::Own<Poller> poller = kj::heap<Poller>(io.unixEventPort);
  Left left(*poller, absl::InfiniteDuration());
  uint64_t received = 0;
  {
    kj::Thread reader([&]() {
      while (true) {
        auto message = left.peer->Receive();
        if (!message.ok()) {
          break;
        }
        ++received;
      }
    });
    poller = nullptr;
  }
  EXPECT_EQ(received, Left::MESSAGES);
  EXPECT_TRUE(left.peer->ended_by_peer());
}

}  // namespace
}  // namespace shoal
