// VatNetwork as the RPC system sees it: message by message, against a channel that a test moves by
// hand.
#include "shoal/rpc/vat_network.h"

#include <sys/socket.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/async-io.h"
#include "kj/timer.h"
#include "shoal/rpc/channel_ends.h"

namespace shoal {
namespace {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;
using Connection = capnp::TwoPartyVatNetworkBase::Connection;
using MaybeIncoming = kj::Maybe<kj::Own<capnp::IncomingRpcMessage>>;
using testing::AllOf;
using testing::HasSubstr;

constexpr uint SLOTS = ChannelOptions::kMinSlots;
constexpr uint MOST_IN_A_TURN = 129;  // 128 messages, and the one that was under way
constexpr uint TOO_MANY = 100'000;    // messages after which a test gives up what it waits for

class ManualClock final: public kj::MonotonicClock {
public:
  kj::TimePoint now() const override { return time; }

  kj::TimePoint time = kj::origin<kj::TimePoint>();
};

kj::Maybe<kj::Own<Connection>> connectTo(VatNetwork& network, Side side) {
  capnp::MallocMessageBuilder message(4);
  auto id = message.initRoot<VatId>();
  id.setSide(side);
  return network.connect(id);
}

class ClientEnd final: private kj::TaskSet::ErrorHandler {
  // A network, its connection, and the other end of its channel.

public:
  explicit ClientEnd(Poller& poller, const ChannelOptions& options = smallestOptions(),
                     capnp::ReaderOptions receiveOptions = capnp::ReaderOptions())
      : ClientEnd(poller, newChannelEnds(options), receiveOptions) {}
  ClientEnd(Poller& poller, ChannelEnds ends, capnp::ReaderOptions receiveOptions)
      : network(
            kj::heap<VatNetwork>(poller, kj::mv(ends.left), Side::CLIENT, receiveOptions, clock)),
        connection(KJ_ASSERT_NONNULL(connectTo(*network, Side::SERVER))),
        peer(kj::mv(ends.right)) {}

  void send(uint64_t value) {
    auto message = connection->newOutgoingMessage(0);
    message->getBody().initAs<test::Echo::PingParams>().setValue(value);
    message->send();
  }

  void sendBytes(uint64_t bytes) {
    auto message = connection->newOutgoingMessage(0);
    message->getBody().initAs<test::Echo::SumParams>().initData(bytes);
    message->send();
  }

  kj::Promise<kj::Maybe<uint64_t>> receive() {
    return connection->receiveIncomingMessage().then(
        [](MaybeIncoming incoming) -> kj::Maybe<uint64_t> {
          KJ_IF_MAYBE (message, incoming) {
            return (*message)->getBody().getAs<test::Echo::PingParams>().getValue();
          }
          return nullptr;
        });
  }

  void keepBusy() {
    // Receives for ever, and there is always another message, until there have been TOO_MANY.
    publish(*peer, 0);
    receiveNext();
  }

  void receiveNext() {
    // As the RPC system does it: each message is a task of its own.
    receiving.add(receive().then([this](kj::Maybe<uint64_t>) {
      if (++received < TOO_MANY) {
        publish(*peer, received);
      }
      receiveNext();
    }));
  }

  void hangUpWithoutAnEnd() { shutdown(peer->doorbell(), SHUT_RDWR); }

  ManualClock clock;
  kj::Own<VatNetwork> network;
  kj::Own<Connection> connection;
  uint received = 0;
  kj::TaskSet receiving{*this};
  kj::Own<Channel> peer;  // is gone first, as a channel whose peer does not read ends slowly

private:
  void taskFailed(kj::Exception&& exception) override { ADD_FAILURE() << textOf(exception); }
};

class VatNetworkTest: public testing::Test {
protected:
  VatNetworkTest() = default;
  ~VatNetworkTest() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  kj::Maybe<uint64_t> receive(ClientEnd& end) { return end.receive().wait(io.waitScope); }
  void runUntilIdle() { io.waitScope.poll(); }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  Poller poller{io.unixEventPort};
};

// ---- the connection ----

TEST_F(VatNetworkTest, ConnectsToTheOtherSideAlwaysByTheSameConnection) {
  ClientEnd end(poller);
  auto again = KJ_ASSERT_NONNULL(connectTo(*end.network, Side::SERVER));
  EXPECT_EQ(again.get(), end.connection.get());
}

TEST_F(VatNetworkTest, DoesNotConnectToItsOwnSide) {
  ClientEnd end(poller);
  EXPECT_TRUE(connectTo(*end.network, Side::CLIENT) == nullptr);
}

TEST_F(VatNetworkTest, AServerAcceptsTheOneConnectionAndThenNoMore) {
  ChannelEnds ends = newChannelEnds();
  VatNetwork server(poller, kj::mv(ends.left), Side::SERVER);
  auto accepted = server.accept().wait(io.waitScope);
  EXPECT_EQ(accepted.get(), KJ_ASSERT_NONNULL(connectTo(server, Side::CLIENT)).get());
  auto another = server.accept();
  EXPECT_FALSE(another.poll(io.waitScope));
}

TEST_F(VatNetworkTest, AClientAcceptsNothing) {
  ClientEnd end(poller);
  auto accepted = end.network->accept();
  EXPECT_FALSE(accepted.poll(io.waitScope));
}

TEST_F(VatNetworkTest, KnowsBothSides) {
  ClientEnd end(poller);
  EXPECT_EQ(end.network->getSide(), Side::CLIENT);
  EXPECT_EQ(end.connection->getPeerVatId().getSide(), Side::SERVER);
}

TEST_F(VatNetworkTest, SaysWhenTheLastHolderHasLetGoOfTheConnection) {
  ClientEnd end(poller);
  auto again = connectTo(*end.network, Side::SERVER);
  auto disconnected = end.network->onDisconnect();
  end.connection = nullptr;
  EXPECT_FALSE(disconnected.poll(io.waitScope));
  again = nullptr;
  EXPECT_TRUE(disconnected.poll(io.waitScope));
}

TEST_F(VatNetworkTest, RefusesAChannelThatWouldBlockTheLoop) {
  ChannelOptions options = smallestOptions();
  options.when_full = WhenFull::kBlock;
  ChannelEnds ends = newChannelEnds(options);
  const kj::Exception failure =
      failureOf([&]() { VatNetwork(poller, kj::mv(ends.left), Side::CLIENT); });
  EXPECT_THAT(textOf(failure), HasSubstr("WhenFull::kSpill"));
}

// ---- messages ----

TEST_F(VatNetworkTest, CarriesMessagesBothWaysInOrder) {
  ClientEnd end(poller);
  end.send(1);
  end.send(2);
  EXPECT_EQ(KJ_ASSERT_NONNULL(tryReceive(*end.peer)), 1);
  EXPECT_EQ(KJ_ASSERT_NONNULL(tryReceive(*end.peer)), 2);
  publish(*end.peer, 3);
  publish(*end.peer, 4);
  EXPECT_EQ(KJ_ASSERT_NONNULL(receive(end)), 3);
  EXPECT_EQ(KJ_ASSERT_NONNULL(receive(end)), 4);
}

TEST_F(VatNetworkTest, ReceivesWhatComesWhileItSleeps) {
  ClientEnd end(poller);
  auto received = end.receive();
  EXPECT_FALSE(received.poll(io.waitScope));
  publish(*end.peer, 5);
  EXPECT_EQ(KJ_ASSERT_NONNULL(received.wait(io.waitScope)), 5);
}

TEST_F(VatNetworkTest, CountsTheWordsOfAMessage) {
  ClientEnd end(poller);
  auto message = end.connection->newOutgoingMessage(0);
  message->getBody().initAs<test::Echo::PingParams>().setValue(1);
  EXPECT_EQ(message->sizeInWords(), 2);
  message->send();
  publish(*end.peer, 1);
  auto received = end.connection->receiveIncomingMessage().wait(io.waitScope);
  EXPECT_EQ(KJ_ASSERT_NONNULL(received)->sizeInWords(), 2);
}

TEST_F(VatNetworkTest, AMessageThatIsDroppedUnsentGivesItsBlocksBack) {
  ClientEnd end(poller);
  {
    auto message = end.connection->newOutgoingMessage(0);
    message->getBody().initAs<test::Echo::SumParams>().initData(16 << 10);
    EXPECT_GT(end.network->getChannel().stats().blocks_claimed, 0);
  }
  end.connection->newOutgoingMessage(0);  // what was dropped is collected at the next claim
  EXPECT_EQ(end.network->getChannel().stats().blocks_claimed, 0);
  EXPECT_TRUE(tryReceive(*end.peer) == nullptr);
}

TEST_F(VatNetworkTest, AMessageCanBeReadAndDroppedAfterTheNetworkIsGone) {
  ClientEnd end(poller);
  auto unsent = end.connection->newOutgoingMessage(0);
  unsent->getBody().initAs<test::Echo::SumParams>().initData(16 << 10);
  OutgoingMessage out = end.peer->Claim();
  out.InitRoot<test::Echo::SumParams>().initData(16 << 10)[0] = 7;
  ASSERT_TRUE(end.peer->Publish(std::move(out)).ok());
  auto received = end.connection->receiveIncomingMessage().wait(io.waitScope);
  end.connection = nullptr;
  end.network = nullptr;
  end.peer = nullptr;
  auto data = KJ_ASSERT_NONNULL(received)->getBody().getAs<test::Echo::SumParams>().getData();
  EXPECT_EQ(data.size(), 16 << 10);
  EXPECT_EQ(data[0], 7);
}

TEST_F(VatNetworkTest, HoldsAnIncomingMessageToItsReaderOptions) {
  ClientEnd end(poller, smallestOptions(), {.traversalLimitInWords = 100, .nestingLimit = 64});
  OutgoingMessage out = end.peer->Claim();
  out.InitRoot<test::Echo::SumParams>().initData(8 * 60);
  ASSERT_TRUE(end.peer->Publish(std::move(out)).ok());
  auto received = end.connection->receiveIncomingMessage().wait(io.waitScope);
  auto& message = *KJ_ASSERT_NONNULL(received);
  EXPECT_EQ(message.getBody().getAs<test::Echo::SumParams>().getData().size(), 8 * 60);
  const kj::Exception failure =
      failureOf([&]() { message.getBody().getAs<test::Echo::SumParams>().getData(); });
  EXPECT_THAT(textOf(failure), HasSubstr("traversal limit"));
}

TEST_F(VatNetworkTest, RefusesAMessageAboveItsReaderOptions) {
  // Of which the channel was not told, and so the peer was not either.
  ClientEnd end(poller, smallestOptions(), {.traversalLimitInWords = 100, .nestingLimit = 64});
  OutgoingMessage out = end.peer->Claim();
  out.InitRoot<test::Echo::SumParams>().initData(8 * 100);
  ASSERT_TRUE(end.peer->Publish(std::move(out)).ok());
  const kj::Exception failure =
      failureOf([&]() { end.connection->receiveIncomingMessage().wait(io.waitScope); });
  EXPECT_THAT(textOf(failure), AllOf(HasSubstr("ReaderOptions::traversalLimitInWords"),
                                     HasSubstr("= 100"), HasSubstr("forRpc()")));
}

TEST_F(VatNetworkTest, RefusesToSendAMessageAboveTheTraversalLimitAndLivesOn) {
  ChannelOptions peers = smallestOptions();
  peers.reader = capnp::ReaderOptions{.traversalLimitInWords = 100, .nestingLimit = 64};
  ClientEnd end(poller, newChannelEnds(smallestOptions(), peers), capnp::ReaderOptions());
  const kj::Exception failure = failureOf([&]() { end.sendBytes(8 * 100); });
  EXPECT_THAT(textOf(failure), AllOf(HasSubstr("ReaderOptions::traversalLimitInWords"),
                                     HasSubstr("what that accepts, 100,")));
  end.send(1);
  EXPECT_EQ(KJ_ASSERT_NONNULL(tryReceive(*end.peer)), 1);
}

TEST_F(VatNetworkTest, RefusesToSendAMessageAboveTheChannelsLimitAndLivesOn) {
  ChannelOptions options = smallestOptions();
  options.max_message_words = 100;
  ClientEnd end(poller, options);
  const kj::Exception failure = failureOf([&]() { end.sendBytes(8 * 100); });
  EXPECT_THAT(textOf(failure), HasSubstr("max_message_words, 100"));
  end.send(1);
  EXPECT_EQ(KJ_ASSERT_NONNULL(tryReceive(*end.peer)), 1);
}

// ---- what waits ----

TEST_F(VatNetworkTest, FlushesWhatWaitsWhileNobodyReceives) {
  ClientEnd end(poller);
  for (uint i = 0; i < 3 * SLOTS; ++i) {
    end.send(i);
  }
  EXPECT_EQ(end.network->getCurrentQueueCount(), 2 * SLOTS);
  for (uint i = 0; i < 3 * SLOTS; ++i) {
    ASSERT_EQ(KJ_ASSERT_NONNULL(tryReceive(*end.peer)), i);
    runUntilIdle();
  }
  EXPECT_EQ(end.network->getCurrentQueueCount(), 0);
}

TEST_F(VatNetworkTest, CountsTheBytesAndMessagesThatWait) {
  ClientEnd end(poller);
  for (uint i = 0; i < SLOTS; ++i) {
    end.send(i);
  }
  EXPECT_EQ(end.network->getCurrentQueueSize(), 0);
  EXPECT_EQ(end.network->getCurrentQueueCount(), 0);
  end.send(1);
  end.send(2);
  EXPECT_EQ(end.network->getCurrentQueueSize(), 2 * 2 * sizeof(capnp::word));
  EXPECT_EQ(end.network->getCurrentQueueCount(), 2);
}

TEST_F(VatNetworkTest, SaysHowLongMessagesHaveBeenWaiting) {
  ClientEnd end(poller);
  for (uint i = 0; i < SLOTS; ++i) {
    end.send(i);
  }
  end.clock.time += 1 * kj::SECONDS;
  EXPECT_EQ(end.network->getOutgoingMessageWaitTime(), 0 * kj::SECONDS);
  end.send(1);
  end.clock.time += 2 * kj::SECONDS;
  end.send(2);
  end.clock.time += 3 * kj::SECONDS;
  EXPECT_EQ(end.network->getOutgoingMessageWaitTime(), 5 * kj::SECONDS);
  tryReceive(*end.peer);
  tryReceive(*end.peer);
  runUntilIdle();
  EXPECT_EQ(end.network->getOutgoingMessageWaitTime(), 0 * kj::SECONDS);
}

TEST_F(VatNetworkTest, EndsTheConnectionWhenTooMuchWaitsAndNamesTheLimit) {
  ChannelOptions options = smallestOptions();
  options.max_pending_bytes = 100'000;
  ClientEnd end(poller, options);
  auto received = end.receive();
  EXPECT_FALSE(received.poll(io.waitScope));
  end.sendBytes(90'000);
  end.sendBytes(90'000);
  const kj::Exception now = failureOf([&]() { received.wait(io.waitScope); });
  const kj::Exception later = failureOf([&]() { receive(end); });
  EXPECT_EQ(now.getType(), kj::Exception::Type::OVERLOADED);
  EXPECT_THAT(textOf(now), HasSubstr("max_pending_bytes, 100000"));
  EXPECT_EQ(textOf(later), textOf(now));
  const kj::Exception shutdown =
      failureOf([&]() { end.connection->shutdown().wait(io.waitScope); });
  EXPECT_EQ(textOf(shutdown), textOf(now));
}

TEST_F(VatNetworkTest, AStreamHasHalfOfTheOutboxInFlight) {
  ClientEnd end(poller);
  auto stream = end.connection->newStream();
  auto sendKilobyte = [&]() {
    auto message = end.connection->newOutgoingMessage(0);
    message->getBody().initAs<test::Echo::SumParams>().initData(1000);
    return stream->send(kj::mv(message), kj::NEVER_DONE).poll(io.waitScope);
  };
  uint inFlight = 1;
  while (sendKilobyte() && inFlight < 100) {
    ++inFlight;
  }
  EXPECT_NEAR(inFlight, ChannelOptions::kMinSlabBytes / 2 / 1024, 1);
}

// ---- the end ----

TEST_F(VatNetworkTest, ShutdownDeliversWhatIsQueuedAndThenTheEnd) {
  ClientEnd end(poller);
  for (uint i = 0; i < 2 * SLOTS; ++i) {
    end.send(i);
  }
  auto done = end.connection->shutdown();
  EXPECT_FALSE(done.poll(io.waitScope));
  for (uint i = 0; i < 2 * SLOTS; ++i) {
    ASSERT_EQ(KJ_ASSERT_NONNULL(tryReceive(*end.peer)), i);
    runUntilIdle();
  }
  done.wait(io.waitScope);
  EXPECT_FALSE(end.peer->TryReceive().ok());
  EXPECT_TRUE(end.peer->ended_by_peer());
}

TEST_F(VatNetworkTest, ShutdownWithNothingQueuedIsDoneAtOnce) {
  ClientEnd end(poller);
  end.send(1);
  EXPECT_TRUE(end.connection->shutdown().poll(io.waitScope));
}

TEST_F(VatNetworkTest, HearsOfADeathBehindManyPackets) {
  ClientEnd end(poller);
  auto received = end.receive();
  EXPECT_FALSE(received.poll(io.waitScope));
  for (uint i = 0; i < 100; ++i) {
    ASSERT_EQ(::send(end.peer->socket(), "!", 1, MSG_NOSIGNAL), 1);
  }
  end.hangUpWithoutAnEnd();
  auto lost = io.provider->getTimer().afterDelay(20 * kj::SECONDS).then([]() {
    return kj::Maybe<uint64_t>(nullptr);
  });
  EXPECT_EQ(failureOf([&]() { received.exclusiveJoin(kj::mv(lost)).wait(io.waitScope); }).getType(),
            kj::Exception::Type::DISCONNECTED);
}

TEST_F(VatNetworkTest, ShutdownFailsWhenThePeerGoesWhileItDelivers) {
  ClientEnd end(poller);
  for (uint i = 0; i < 2 * SLOTS; ++i) {
    end.send(i);
  }
  auto done = end.connection->shutdown();
  EXPECT_FALSE(done.poll(io.waitScope));
  end.hangUpWithoutAnEnd();
  EXPECT_EQ(failureOf([&]() { done.wait(io.waitScope); }).getType(),
            kj::Exception::Type::DISCONNECTED);
}

TEST_F(VatNetworkTest, ReadsACleanEndAfterAllThatCameBefore) {
  ClientEnd end(poller);
  publish(*end.peer, 1);
  end.peer = nullptr;
  EXPECT_EQ(KJ_ASSERT_NONNULL(receive(end)), 1);
  EXPECT_TRUE(receive(end) == nullptr);
  EXPECT_TRUE(receive(end) == nullptr);
}

TEST_F(VatNetworkTest, AHangUpWithoutAnEndIsAFailureAfterAllThatCameBefore) {
  ClientEnd end(poller);
  publish(*end.peer, 1);
  end.hangUpWithoutAnEnd();
  EXPECT_EQ(KJ_ASSERT_NONNULL(receive(end)), 1);
  EXPECT_EQ(failureOf([&]() { receive(end); }).getType(), kj::Exception::Type::DISCONNECTED);
  EXPECT_EQ(failureOf([&]() { receive(end); }).getType(), kj::Exception::Type::DISCONNECTED);
}

TEST_F(VatNetworkTest, HearsOfAHangUpWhileItSleeps) {
  ClientEnd end(poller);
  auto received = end.receive();
  EXPECT_FALSE(received.poll(io.waitScope));
  end.hangUpWithoutAnEnd();
  EXPECT_EQ(failureOf([&]() { received.wait(io.waitScope); }).getType(),
            kj::Exception::Type::DISCONNECTED);
}

TEST_F(VatNetworkTest, SendingToAPeerThatIsGoneIsSilent) {
  ClientEnd end(poller);
  end.hangUpWithoutAnEnd();
  failureOf([&]() { receive(end); });
  end.send(1);
  end.sendBytes(16 << 10);
  EXPECT_EQ(end.network->getCurrentQueueCount(), 0);
  EXPECT_EQ(failureOf([&]() { receive(end); }).getType(), kj::Exception::Type::DISCONNECTED);
}

TEST_F(VatNetworkTest, StopsFlushingToAPeerThatIsGone) {
  ClientEnd end(poller);
  for (uint i = 0; i < 2 * SLOTS; ++i) {
    end.send(i);
  }
  runUntilIdle();
  end.hangUpWithoutAnEnd();
  runUntilIdle();  // would not return from looking for ever at what can't be sent
  EXPECT_EQ(failureOf([&]() { receive(end); }).getType(), kj::Exception::Type::DISCONNECTED);
}

// ---- beside others in the loop ----

TEST_F(VatNetworkTest, ServesTimersWhileItsRingIsNeverEmpty) {
  ClientEnd end(poller);
  end.keepBusy();
  uint last = 0;
  for (int i = 0; i < 10; ++i) {
    io.provider->getTimer().afterDelay(0 * kj::NANOSECONDS).wait(io.waitScope);
    EXPECT_LE(end.received - last, MOST_IN_A_TURN);
    last = end.received;
  }
  EXPECT_GT(end.received, MOST_IN_A_TURN);
}

TEST_F(VatNetworkTest, ServesADescriptorWhileItsRingIsNeverEmpty) {
  ClientEnd end(poller);
  auto pipe = io.provider->newOneWayPipe();
  kj::byte buffer[1];
  auto read = pipe.in->read(buffer, 1);
  end.keepBusy();
  auto written = pipe.out->write("x", 1);
  read.wait(io.waitScope);
  EXPECT_LE(end.received, MOST_IN_A_TURN);
}

TEST_F(VatNetworkTest, SharesTheLoopFairlyWithAnother) {
  ClientEnd first(poller);
  ClientEnd second(poller);
  first.keepBusy();
  second.keepBusy();
  while (first.received < 10'000) {
    io.provider->getTimer().afterDelay(0 * kj::NANOSECONDS).wait(io.waitScope);
  }
  EXPECT_NEAR(second.received, first.received, 2);
}

TEST_F(VatNetworkTest, TwoThatWaitAtOnceBothGetTheirMessages) {
  ClientEnd first(poller);
  ClientEnd second(poller);
  auto atFirst = first.receive().eagerlyEvaluate(nullptr);
  auto atSecond = second.receive().eagerlyEvaluate(nullptr);
  publish(*first.peer, 1);
  EXPECT_EQ(KJ_ASSERT_NONNULL(atFirst.wait(io.waitScope)), 1);
  publish(*second.peer, 2);
  EXPECT_EQ(KJ_ASSERT_NONNULL(atSecond.wait(io.waitScope)), 2);
}

}  // namespace
}  // namespace shoal
