#include "shoal/rpc/channels.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/async-io.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/tests/child_process.h"
#include "shoal/transport/shm_connect.h"

namespace shoal {
namespace {

using testing::HasSubstr;

sockaddr_un socketAddress(const SocketName& name) {
  // Of an abstract name; its length is that of the whole structure less what is unused.
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  name.name.copy(address.sun_path + 1, sizeof(address.sun_path) - 1);
  return address;
}

kj::AutoCloseFd foreignSocket() {
  return kj::AutoCloseFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
}

class ChannelsTest: public testing::Test {
protected:
  ChannelsTest() { options.connect_timeout = absl::InfiniteDuration(); }
  ~ChannelsTest() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  kj::StringPtr text() { return address.text().c_str(); }

  kj::Promise<kj::Own<Channel>> connect() {
    return connectChannel(io.unixEventPort, text(), options);
  }

  void listen() {
    receiver = kj::heap<ChannelReceiver>(io.unixEventPort, text(), options);
    listening =
        receiver->listen([this](kj::Own<Channel> channel) { accepted.add(kj::mv(channel)); })
            .eagerlyEvaluate([](kj::Exception&& exception) { ADD_FAILURE() << textOf(exception); });
  }

  kj::AutoCloseFd connectInSilence() {
    // A client that never greets.
    auto client = foreignSocket();
    const sockaddr_un to = socketAddress(ParseShmAddress(address.text())->socket_name());
    EXPECT_EQ(::connect(client, reinterpret_cast<const sockaddr*>(&to), nameLength()), 0);
    return client;
  }

  kj::AutoCloseFd listenInSilence() {
    // A server that never accepts.
    auto server = foreignSocket();
    const sockaddr_un at = socketAddress(ParseShmAddress(address.text())->socket_name());
    EXPECT_EQ(bind(server, reinterpret_cast<const sockaddr*>(&at), nameLength()), 0);
    EXPECT_EQ(::listen(server, 10), 0);
    return server;
  }

  absl::StatusOr<std::unique_ptr<Channel>> acceptAlong(Listener& listener) {
    // While the loop's client greets. Its answer waits for the loop to run again.
    auto accepted = listener.Accept(absl::ZeroDuration());
    if (accepted.ok()) {
      return accepted;  // before Linux 6.16 it need not wait to be let in
    }
    io.waitScope.poll();
    return listener.Accept();
  }

  socklen_t nameLength() {
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 +
                                  ParseShmAddress(address.text())->socket_name().name.size());
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  UniqueAddress address{"shm"};
  ChannelOptions options = smallestOptions();
  kj::Own<ChannelReceiver> receiver;
  kj::Promise<void> listening = nullptr;
  kj::Vector<kj::Own<Channel>> accepted;
};

TEST_F(ChannelsTest, AClientAndAServerExchangeMessages) {
  listen();
  auto client = connect().wait(io.waitScope);
  publish(*client, 1);
  ASSERT_EQ(accepted.size(), 1);
  EXPECT_EQ(KJ_ASSERT_NONNULL(tryReceive(*accepted[0])), 1);
  publish(*accepted[0], 2);
  EXPECT_EQ(KJ_ASSERT_NONNULL(tryReceive(*client)), 2);
}

TEST_F(ChannelsTest, AServerThatRunsOutOfDescriptorsAcceptsAgainWhenThereAreSome) {
  listen();
  auto client = connect();  // it has dialled and greeted when this returns
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  io.waitScope.poll();
  EXPECT_EQ(accepted.size(), 0);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  client.wait(io.waitScope);
  EXPECT_EQ(accepted.size(), 1);
}

TEST_F(ChannelsTest, AClientWaitsForItsServerToCome) {
  auto connecting = connect();
  EXPECT_FALSE(connecting.poll(io.waitScope));
  listen();
  connecting.wait(io.waitScope);
}

TEST_F(ChannelsTest, AClientThatWaitsForEverWaitsForItsServer) {
  options.connect_timeout = absl::InfiniteDuration();
  auto connecting = connect();
  EXPECT_FALSE(connecting.poll(io.waitScope));
  listen();
  connecting.wait(io.waitScope);
}

TEST_F(ChannelsTest, AClientWhoseServerDoesNotComeInTimeIsDisconnectedAndToldTheAddress) {
  options.connect_timeout = absl::Milliseconds(5);
  const kj::Exception failure = failureOf([&]() { connect().wait(io.waitScope); });
  EXPECT_EQ(failure.getType(), kj::Exception::Type::DISCONNECTED);
  EXPECT_THAT(textOf(failure), HasSubstr(address.text()));
}

TEST_F(ChannelsTest, AClientWhoseServerDoesNotAnswerInTimeIsDisconnectedAndToldTheAddress) {
  auto silent = listenInSilence();
  options.connect_timeout = absl::Milliseconds(5);
  const kj::Exception failure = failureOf([&]() { connect().wait(io.waitScope); });
  EXPECT_EQ(failure.getType(), kj::Exception::Type::DISCONNECTED);
  EXPECT_THAT(textOf(failure), HasSubstr(address.text()));
  EXPECT_THAT(textOf(failure), HasSubstr("5ms"));
}

TEST_F(ChannelsTest, AServerHasItsTimeToAnswerAlsoWhenTheLoopHasNotRunForLonger) {
  auto server = listenInSilence();
  options.connect_timeout = absl::Milliseconds(10);
  auto& clock = kj::systemPreciseMonotonicClock();
  const kj::TimePoint elsewhereUntil = clock.now() + 20 * kj::MILLISECONDS;
  while (clock.now() < elsewhereUntil) {
  }
  const kj::TimePoint begin = clock.now();
  failureOf([&]() { connect().wait(io.waitScope); });
  EXPECT_GE((clock.now() - begin) / kj::MICROSECONDS, 10'000);
}

TEST_F(ChannelsTest, AServerThatAnswersInTimeIsHeardAlsoWhenTheLoopHasNotRunForLonger) {
  const auto listener = Listen(address.text(), options);
  ASSERT_TRUE(listener.ok()) << listener.status();
  options.connect_timeout = absl::Milliseconds(10);
  auto connecting = connect();
  const auto server = acceptAlong(**listener);
  ASSERT_TRUE(server.ok()) << server.status();
  auto& clock = kj::systemPreciseMonotonicClock();
  const kj::TimePoint elsewhereUntil = clock.now() + 20 * kj::MILLISECONDS;
  while (clock.now() < elsewhereUntil) {
  }
  publish(*connecting.wait(io.waitScope), 1);
  EXPECT_EQ(KJ_ASSERT_NONNULL(tryReceive(**server)), 1);
}

TEST_F(ChannelsTest, AChannelThatNobodyTakesIsClosed) {
  const auto listener = Listen(address.text(), options);
  ASSERT_TRUE(listener.ok()) << listener.status();
  auto connecting = connect();
  const auto server = acceptAlong(**listener);
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_TRUE(connecting.poll(io.waitScope));
  connecting = nullptr;
  EXPECT_EQ((*server)->Receive().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ChannelsTest, AClientThatGivesUpWaitingLeavesNothingBehind) {
  { auto abandoned = connect(); }
  listen();
  connect().wait(io.waitScope);
  EXPECT_EQ(accepted.size(), 1);
}

TEST_F(ChannelsTest, ASilentClientHoldsUpNobody) {
  listen();
  auto silent = connectInSilence();
  connect().wait(io.waitScope);
  EXPECT_EQ(accepted.size(), 1);
}

TEST_F(ChannelsTest, ASilentClientIsDroppedAtTheDeadline) {
  options.connect_timeout = absl::Milliseconds(5);
  listen();
  auto silent = io.lowLevelProvider->wrapInputFd(connectInSilence());
  kj::byte buffer[1];
  EXPECT_EQ(silent->tryRead(buffer, 1, 1).wait(io.waitScope), 0);
  EXPECT_EQ(accepted.size(), 0);
}

TEST_F(ChannelsTest, AClientThatDoesNotSpeakTheProtocolEndsNothingButItself) {
  listen();
  auto foreign = connectInSilence();
  EXPECT_EQ(send(foreign, "hello", 5, 0), 5);
  connect().wait(io.waitScope);
  EXPECT_EQ(accepted.size(), 1);
}

TEST_F(ChannelsTest, AClientThatLeavesBeforeItGreetsEndsNothingButItself) {
  listen();
  { auto gone = connectInSilence(); }
  connect().wait(io.waitScope);
  EXPECT_EQ(accepted.size(), 1);
}

class Log final: public kj::ExceptionCallback {
  // What is logged.

public:
  void logMessage(kj::LogSeverity, const char*, int, int, kj::String&& text) override {
    lines.add(kj::mv(text));
  }

  kj::Vector<kj::String> lines;
};

TEST_F(ChannelsTest, ClientsThatAreNotLetInAreLoggedOnceASecond) {
  listen();
  Log log;
  for (int i = 0; i < 20; ++i) {
    auto foreign = connectInSilence();
    EXPECT_EQ(send(foreign, "hello", 5, 0), 5);
    connect().wait(io.waitScope);
  }
  ASSERT_EQ(log.lines.size(), 1);
  EXPECT_THAT(log.lines[0].cStr(), HasSubstr("clients were not let in"));
  EXPECT_THAT(log.lines[0].cStr(), HasSubstr(address.text()));
  EXPECT_THAT(log.lines[0].cStr(), HasSubstr("does not speak Shoal's protocol"));
}

TEST_F(ChannelsTest, HundredsOfClientsComeInAtOnce) {
  constexpr uint CLIENTS = 200;
  listen();
  kj::Vector<kj::Promise<kj::Own<Channel>>> connecting;
  for (uint i = 0; i < CLIENTS; ++i) {
    connecting.add(connect());
  }
  auto clients = kj::joinPromises(connecting.releaseAsArray()).wait(io.waitScope);
  for (auto& client: clients) {
    publish(*client, 1);
  }
  ASSERT_EQ(accepted.size(), CLIENTS);
  for (auto& channel: accepted) {
    EXPECT_EQ(KJ_ASSERT_NONNULL(tryReceive(*channel)), 1);
  }
}

TEST_F(ChannelsTest, AnAddressThatIsInUseIsRefused) {
  listen();
  const kj::Exception failure =
      failureOf([&]() { ChannelReceiver(io.unixEventPort, text(), options); });
  EXPECT_THAT(textOf(failure), HasSubstr(address.text()));
}

TEST_F(ChannelsTest, AnAddressThatIsNotOfSharedMemoryIsRefused) {
  EXPECT_THAT(
      textOf(failureOf([&]() { ChannelReceiver(io.unixEventPort, "127.0.0.1:80", options); })),
      HasSubstr("127.0.0.1:80 is not an address of shared memory"));
  EXPECT_THAT(textOf(failureOf([&]() {
                connectChannel(io.unixEventPort, "127.0.0.1:80", options).wait(io.waitScope);
              })),
              HasSubstr("127.0.0.1:80 is not an address of shared memory"));
}

TEST_F(ChannelsTest, AnOptionThatIsNotAllowedIsRefused) {
  options.slots = 3;
  EXPECT_THAT(textOf(failureOf([&]() { listen(); })), HasSubstr("ChannelOptions::slots"));
  EXPECT_THAT(textOf(failureOf([&]() { connect().wait(io.waitScope); })),
              HasSubstr("ChannelOptions::slots"));
}

TEST_F(ChannelsTest, AcceptsNobodyAnyMoreOnceThePromiseIsDropped) {
  listen();
  connect().wait(io.waitScope);
  listening = nullptr;
  auto late = connect();
  EXPECT_FALSE(late.poll(io.waitScope));
  EXPECT_EQ(accepted.size(), 1);
}

}  // namespace
}  // namespace shoal
