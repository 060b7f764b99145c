#include "shoal/transport/shm_listener.h"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/packet.h"
#include "shoal/transport/shm_connect.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr absl::StatusCode kAlreadyExists = absl::StatusCode::kAlreadyExists;
constexpr absl::StatusCode kDeadlineExceeded = absl::StatusCode::kDeadlineExceeded;
constexpr absl::StatusCode kInvalidArgument = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kUnavailable = absl::StatusCode::kUnavailable;

// How long a test that has failed lasts.
constexpr absl::Duration kPatience = absl::Seconds(20);

ChannelOptions SmallOptions() {
  return {.slots = 16, .loans = 16, .slab_bytes = 64 << 10, .connect_timeout = kPatience};
}

ChannelOptions ImpatientOptions() {
  ChannelOptions options = SmallOptions();
  options.connect_timeout = absl::ZeroDuration();
  return options;
}

// Process ids are no distinction: tests in different pid namespaces share the names.
Address FreshAddress() {
  std::random_device random;
  return Address::Parse("shm:test/" + std::to_string(random()) + std::to_string(random())).value();
}

class ShmListenerTest : public testing::Test {
 protected:
  void ListenWith(const ChannelOptions& options) {
    listener_.reset();
    listener_ = ShmListener::Listen(address_, options).value();
  }

  // A client that has knocked, and greets once it was let in.
  ClientHandshake Knocking() { return TryConnect(address_, SmallOptions()).value(); }

  // A client that has greeted and has no answer yet.
  ClientHandshake Greeted() {
    ClientHandshake client = Knocking();
    ShmListener::Turn turn = listener_->TakeTurn().value();
    while (turn.next == ShmListener::Turn::Next::kTurn) {
      EXPECT_EQ(turn.channel, nullptr);
      turn = listener_->TakeTurn().value();
    }
    EXPECT_EQ(client.Finish().value(), nullptr);
    return client;
  }

  // A client that says nothing.
  UniqueFd Silent() { return DialOnce(address_.socket_name()).value(); }

  // The channel of a client that has greeted.
  absl::StatusOr<std::unique_ptr<Channel>> AcceptNow() {
    return listener_->Accept(absl::ZeroDuration());
  }

  const Address address_ = FreshAddress();
  std::unique_ptr<ShmListener> listener_;

 private:
  void SetUp() override { ListenWith(SmallOptions()); }
};

TEST_F(ShmListenerTest, AcceptsAClient) {
  ClientHandshake client = Greeted();
  EXPECT_THAT(AcceptNow(), Succeeds());
  EXPECT_NE(client.Finish().value(), nullptr);
}

TEST_F(ShmListenerTest, KnowsItsAddressAsTheUserWroteIt) {
  EXPECT_EQ(listener_->address(), address_.text());
}

TEST_F(ShmListenerTest, AcceptsClientsInTheOrderInWhichTheyGreeted) {
  ClientHandshake first = Knocking();
  ClientHandshake second = Knocking();
  EXPECT_THAT(AcceptNow(), Fails(kDeadlineExceeded, ""));
  ASSERT_EQ(first.Finish().value(), nullptr);
  ASSERT_EQ(second.Finish().value(), nullptr);
  const auto accepted = AcceptNow();
  ASSERT_THAT(accepted, Succeeds());
  EXPECT_NE(first.Finish().value(), nullptr);
  EXPECT_EQ(second.Finish().value(), nullptr);
  EXPECT_THAT(AcceptNow(), Succeeds());
  EXPECT_NE(second.Finish().value(), nullptr);
}

TEST_F(ShmListenerTest, GivesUpAtItsDeadlineAndSaysWhere) {
  EXPECT_THAT(AcceptNow(), Fails(kDeadlineExceeded, "no client connected to " + address_.text()));
  EXPECT_THAT(listener_->Accept(absl::Milliseconds(1)), Fails(kDeadlineExceeded, "within 1ms"));
}

TEST_F(ShmListenerTest, WaitsForAClient) {
  std::jthread client(
      [this] { EXPECT_THAT(Connect(address_.text(), SmallOptions()), Succeeds()); });
  EXPECT_THAT(listener_->Accept(kPatience), Succeeds());
}

TEST_F(ShmListenerTest, LetsNobodyWaitForASilentClient) {
  const UniqueFd silent = Silent();
  ClientHandshake client = Greeted();
  EXPECT_THAT(AcceptNow(), Succeeds());
  EXPECT_NE(client.Finish().value(), nullptr);
}

TEST_F(ShmListenerTest, DropsAClientThatStaysSilent) {
  ListenWith(ImpatientOptions());
  const UniqueFd silent = Silent();
  EXPECT_THAT(AcceptNow(), Fails(kDeadlineExceeded, ""));
  EXPECT_THAT(ReceivePacket(silent.get(), 1, 0), Fails(kUnavailable, ""));
}

TEST_F(ShmListenerTest, KeepsAClientThatIsSilentUntilItsTimeIsOver) {
  const UniqueFd silent = Silent();
  EXPECT_THAT(AcceptNow(), Fails(kDeadlineExceeded, ""));
  EXPECT_FALSE(ReceivePacket(silent.get(), 1, 0).value().has_value());
}

TEST_F(ShmListenerTest, WakesToDropASilentClientWhileItWaitsForOthers) {
  ChannelOptions options = SmallOptions();
  options.connect_timeout = absl::Milliseconds(1);
  ListenWith(options);
  const UniqueFd silent = Silent();
  std::jthread next([this, &silent] {
    EXPECT_THAT(WaitReadable(silent.get(), Deadline::After(kPatience)), Succeeds());
    // It may be dropped as well, when it does not speak within a millisecond.
    const Deadline lost = Deadline::After(kPatience);
    while (!Connect(address_.text(), SmallOptions()).ok() && !lost.passed()) {
    }
  });
  EXPECT_THAT(listener_->Accept(kPatience), Succeeds());
}

TEST_F(ShmListenerTest, AcceptsAClientBehindMoreSilentOnesThanItHasDescriptorsFor) {
  ChannelOptions options = SmallOptions();
  options.max_greetings = 1000;
  ListenWith(options);
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 20; ++i) {
    silent.push_back(Silent());
  }
  ClientHandshake client = Knocking();
  const LoweredLimit limit(RLIMIT_NOFILE, OpenDescriptors() + 8);
  EXPECT_THAT(AcceptNow(), Fails(kDeadlineExceeded, ""));
  ASSERT_EQ(client.Finish().value(), nullptr);
  EXPECT_THAT(AcceptNow(), Succeeds());
}

TEST_F(ShmListenerTest, DropsTheOldestSilentClientForANewOne) {
  ChannelOptions options = SmallOptions();
  options.max_greetings = 4;
  ListenWith(options);
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 10; ++i) {
    silent.push_back(Silent());
  }
  EXPECT_THAT(AcceptNow(), Fails(kDeadlineExceeded, ""));
  EXPECT_EQ(listener_->stats().silent, 6u);
  EXPECT_TRUE(PeekPacket(silent[5].get(), 1).has_value()) << "it was told";
  EXPECT_FALSE(PeekPacket(silent[6].get(), 1).has_value()) << "it may greet yet";
  ClientHandshake client = Greeted();
  EXPECT_THAT(AcceptNow(), Succeeds());
}

TEST_F(ShmListenerTest, KeepsAQuarterOfItsDescriptorsForSilentClients) {
  const LoweredLimit limit(RLIMIT_NOFILE, 200);
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 60; ++i) {
    silent.push_back(Silent());
  }
  EXPECT_THAT(AcceptNow(), Fails(kDeadlineExceeded, ""));
  EXPECT_EQ(listener_->stats().silent, 10u);
}

TEST_F(ShmListenerTest, TakesInOnlySoManyInATurn) {
  std::vector<UniqueFd> silent;
  for (int i = 0; i < ShmListener::kConnectionsPerTurn + 1; ++i) {
    silent.push_back(Silent());
  }
  ASSERT_THAT(listener_->TakeTurn(), Succeeds());
  pollfd waiting = {.fd = listener_->doorbell(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&waiting, 1, 0), 1) << "one of them is left";
  EXPECT_EQ(listener_->TakeTurn()->next, ShmListener::Turn::Next::kTurn);
  EXPECT_EQ(listener_->TakeTurn()->next, ShmListener::Turn::Next::kWait);
}

TEST_F(ShmListenerTest, CountsThoseThatItRefused) {
  const UniqueFd foreign = Silent();
  constexpr std::string_view kText = "GET / HTTP/1.1";
  ASSERT_THAT(SendPacket(foreign.get(), std::as_bytes(std::span(kText)), {}), Succeeds());
  EXPECT_THAT(AcceptNow(), Fails(kDeadlineExceeded, ""));
  EXPECT_EQ(listener_->stats().refused, 1u);
  EXPECT_NE(listener_->stats().last_refusal.find("does not speak Shoal's"), std::string::npos);
}

TEST_F(ShmListenerTest, RefusesANameOfAnotherUser) {
  const Address address = Address::Parse("shm:test@" + std::to_string(geteuid() + 1)).value();
  EXPECT_THAT(ShmListener::Listen(address, SmallOptions()),
              Fails(kInvalidArgument, "whose clients refuse a server of user id"));
}

TEST_F(ShmListenerTest, LeavesAForeignClientBehind) {
  const UniqueFd foreign = Silent();
  constexpr std::string_view kText = "GET / HTTP/1.1";
  ASSERT_THAT(SendPacket(foreign.get(), std::as_bytes(std::span(kText)), {}), Succeeds());
  ClientHandshake client = Greeted();
  EXPECT_THAT(AcceptNow(), Succeeds());
  EXPECT_NE(client.Finish().value(), nullptr);
  EXPECT_TRUE(ReceivePacket(foreign.get(), 4096, 0).value().has_value()) << "it was told why";
  EXPECT_THAT(ReceivePacket(foreign.get(), 4096, 0), Fails(kUnavailable, ""));
}

TEST_F(ShmListenerTest, ForgetsAClientThatWentAway) {
  const size_t before = OpenDescriptors();
  Silent();
  Greeted();
  EXPECT_THAT(AcceptNow(), Fails(kDeadlineExceeded, ""));
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(ShmListenerTest, IsNotWokenByTheClientsThatItHasAccepted) {
  std::unique_ptr<Channel> server;
  {
    ClientHandshake client = Greeted();
    server = AcceptNow().value();
    ASSERT_NE(client.Finish().value(), nullptr);
  }  // it is gone, and whoever has the channel has yet to see that
  pollfd doorbell = {.fd = listener_->doorbell(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&doorbell, 1, 0), 0);
}

TEST_F(ShmListenerTest, AcceptsAThousandClientsThatLeaveAtOnce) {
  const size_t before = OpenDescriptors();
  std::jthread clients([this] {
    for (int i = 0; i < 1000; ++i) {
      ASSERT_THAT(Connect(address_.text(), SmallOptions()), Succeeds());
    }
  });
  for (int i = 0; i < 1000; ++i) {
    ASSERT_THAT(listener_->Accept(kPatience), Succeeds());
  }
  clients.join();
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(ShmListenerTest, AcceptsManyClientsThatComeAtOnce) {
  std::vector<ClientHandshake> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(Knocking());
  }
  EXPECT_THAT(AcceptNow(), Fails(kDeadlineExceeded, ""));
  for (ClientHandshake& client : clients) {
    ASSERT_EQ(client.Finish().value(), nullptr);
  }
  std::vector<std::unique_ptr<Channel>> channels;
  for (int i = 0; i < 100; ++i) {
    channels.push_back(AcceptNow().value());
  }
  for (ClientHandshake& client : clients) {
    EXPECT_NE(client.Finish().value(), nullptr);
  }
  EXPECT_THAT(AcceptNow(), Fails(kDeadlineExceeded, ""));
}

TEST_F(ShmListenerTest, KeepsItsAddressFromASecondListener) {
  EXPECT_THAT(ShmListener::Listen(address_, SmallOptions()),
              Fails(kAlreadyExists, "is already served by pid " + std::to_string(getpid())));
}

TEST_F(ShmListenerTest, IsNotDisturbedByASecondListener) {
  ASSERT_THAT(ShmListener::Listen(address_, SmallOptions()), Fails(kAlreadyExists, ""));
  ClientHandshake client = Greeted();
  EXPECT_THAT(AcceptNow(), Succeeds());
}

TEST_F(ShmListenerTest, LeavesItsAddressToTheNext) {
  listener_.reset();
  EXPECT_THAT(ShmListener::Listen(address_, SmallOptions()), Succeeds());
}

TEST_F(ShmListenerTest, TakesTurnsForEventLoops) {
  EXPECT_EQ(listener_->TakeTurn()->next, ShmListener::Turn::Next::kWait);
  ClientHandshake client = Greeted();
  EXPECT_THAT(WaitReadable(listener_->doorbell(), Deadline::After(absl::ZeroDuration())),
              Succeeds());
  EXPECT_NE(listener_->TakeTurn()->channel, nullptr);
  EXPECT_NE(client.Finish().value(), nullptr);
}

TEST(Listen, RefusesOptionsThatAreNotAllowed) {
  EXPECT_THAT(Listen("shm:test", {.slots = 3}), Fails(kInvalidArgument, "slots is 3"));
}

}  // namespace
}  // namespace shoal
