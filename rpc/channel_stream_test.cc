#include "shoal/rpc/channel_stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "capnp/rpc-twoparty.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/async-io.h"
#include "kj/timer.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/tests/echo_server.h"
#include "shoal/transport/test_process.h"

namespace shoal {
namespace {

using testing::HasSubstr;

kj::Array<kj::byte> bytesOf(size_t size, uint seed = 0) {
  // No two places of some megabytes look alike.
  auto bytes = kj::heapArray<kj::byte>(size);
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<kj::byte>((i * 2654435761u + seed) >> 13);
  }
  return bytes;
}

kj::ArrayPtr<const kj::byte> text(kj::StringPtr string) {
  return string.asBytes();
}

class ChannelStreamTest: public testing::TestWithParam<std::string> {
protected:
  ChannelStreamTest() { connect(); }
  ~ChannelStreamTest() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  void connect() {
    ChannelOptions options = EchoOptions(GetParam());
    options.when_full = WhenFull::kSpill;
    options.max_fds_per_message = 3;
    ChannelEnds ends = newChannelEnds(options);
    left = kj::heap<ChannelStream>(poller, *io.lowLevelProvider, kj::mv(ends.left));
    rightChannel = ends.right.get();
    right = kj::heap<ChannelStream>(poller, *io.lowLevelProvider, kj::mv(ends.right));
  }

  std::string read(size_t minBytes, size_t maxBytes) {
    std::string bytes(maxBytes, '\0');
    bytes.resize(right->tryRead(&bytes[0], minBytes, maxBytes).wait(io.waitScope));
    return bytes;
  }

  kj::Exception::Type typeOfFailure(kj::Promise<void> promise) {
    return failureOf([&]() { promise.wait(io.waitScope); }).getType();
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  Poller poller{io.unixEventPort};
  kj::Own<ChannelStream> left;
  kj::Own<ChannelStream> right;
  Channel* rightChannel;  // belongs to `right`
};

INSTANTIATE_TEST_SUITE_P(With, ChannelStreamTest, testing::Values("default", "smallest"),
                         [](auto& info) { return info.param; });

TEST_P(ChannelStreamTest, CarriesBytes) {
  left->write("hello", 5).wait(io.waitScope);
  EXPECT_EQ(read(5, 5), "hello");
}

TEST_P(ChannelStreamTest, WaitsForAsManyBytesAsAreWantedAtLeast) {
  auto reading = kj::heapArray<char>(8);
  auto read = right->tryRead(reading.begin(), 4, 8);
  left->write("abc", 3).wait(io.waitScope);
  EXPECT_FALSE(read.poll(io.waitScope));
  left->write("defghijk", 8).wait(io.waitScope);
  EXPECT_EQ(read.wait(io.waitScope), 8);
  EXPECT_EQ(std::string(reading.begin(), 8), "abcdefgh");
  EXPECT_EQ(this->read(1, 100), "ijk");
}

TEST_P(ChannelStreamTest, JoinsThePiecesOfAWrite) {
  const kj::ArrayPtr<const kj::byte> pieces[] = {text("one"), text(""), text("two"), text("three")};
  left->write(pieces).wait(io.waitScope);
  EXPECT_EQ(read(11, 100), "onetwothree");
}

TEST_P(ChannelStreamTest, CarriesMuchMoreThanTheOutboxHolds) {
  const auto sent = bytesOf(20 << 20);
  auto received = kj::heapArray<kj::byte>(sent.size());
  auto writing = left->write(sent.begin(), sent.size());
  right->read(received.begin(), received.size()).wait(io.waitScope);
  writing.wait(io.waitScope);
  EXPECT_TRUE(received == sent);
}

TEST_P(ChannelStreamTest, AWriteWaitsForAReaderThatDoesNotRead) {
  const auto sent = bytesOf(20 << 20);
  auto writing = left->write(sent.begin(), sent.size());
  EXPECT_FALSE(writing.poll(io.waitScope));
}

TEST_P(ChannelStreamTest, IsReadByteByByteWhereverThePollerWantsItsTurn) {
  // Each message is read in two halves, and no ring is looked at between them.
  for (const size_t writes: {127, 128, 129, 1000}) {
    connect();
    auto writing = kj::Promise<void>(kj::READY_NOW);
    for (size_t i = 0; i < writes; ++i) {
      writing = writing.then([this]() { return left->write("ab", 2); });
    }
    writing = writing.eagerlyEvaluate(nullptr);
    writing.poll(io.waitScope);
    std::string received;
    kj::Function<kj::Promise<void>()> readOn = [&]() -> kj::Promise<void> {
      auto byte = kj::heap<char>();
      auto reading = right->tryRead(byte.get(), 1, 1);
      return reading.then([&, byte = kj::mv(byte)](size_t) -> kj::Promise<void> {
        received += *byte;
        return received.size() < 2 * writes ? readOn() : kj::READY_NOW;
      });
    };
    readOn().wait(io.waitScope);
    writing.wait(io.waitScope);
    EXPECT_EQ(std::count(received.begin(), received.end(), 'b'), writes);
  }
}

TEST_P(ChannelStreamTest, ADroppedReadWritesNothingAndLosesNothing) {
  auto buffer = kj::heapArray<char>(8);
  { auto dropped = right->tryRead(buffer.begin(), 8, 8); }
  buffer = nullptr;
  left->write("abc", 3).wait(io.waitScope);
  EXPECT_EQ(read(3, 8), "abc");
}

TEST_P(ChannelStreamTest, EndsWhenTheWriterShutsDownAndGoesOnTheOtherWay) {
  left->write("last", 4).wait(io.waitScope);
  left->shutdownWrite();
  EXPECT_EQ(read(10, 10), "last");
  EXPECT_EQ(read(1, 10), "");
  right->write("answer", 6).wait(io.waitScope);
  char answer[6];
  left->read(answer, 6).wait(io.waitScope);
  EXPECT_EQ(std::string(answer, 6), "answer");
}

TEST_P(ChannelStreamTest, AnEndThatFindsNoRoomComesAfterAllThatWasWritten) {
  const auto sent = bytesOf(1 << 20);
  auto writing = left->write(sent.begin(), sent.size());
  left->shutdownWrite();
  auto all = right->readAllBytes();
  EXPECT_TRUE(all.wait(io.waitScope).size() <= sent.size());
  writing.then([]() {}, [](kj::Exception&&) {}).wait(io.waitScope);
}

TEST_P(ChannelStreamTest, EndsWhenTheWriterIsGoneOnceAllIsRead) {
  left->write("last", 4).wait(io.waitScope);
  left = nullptr;
  EXPECT_EQ(read(4, 4), "last");
  EXPECT_EQ(read(1, 10), "");
}

TEST_P(ChannelStreamTest, APeerThatDiesIsADisconnection) {
  char byte;
  auto reading = right->read(&byte, 1);
  shutdown(KJ_ASSERT_NONNULL(left->getFd()), SHUT_RDWR);
  EXPECT_EQ(typeOfFailure(kj::mv(reading)), kj::Exception::Type::DISCONNECTED);
  EXPECT_EQ(typeOfFailure(right->write("x", 1)), kj::Exception::Type::DISCONNECTED);
}

TEST_P(ChannelStreamTest, AWriteThatWaitsFailsWhenThePeerGoes) {
  const auto sent = bytesOf(20 << 20);
  auto writing = left->write(sent.begin(), sent.size());
  ASSERT_FALSE(writing.poll(io.waitScope));
  right = nullptr;
  EXPECT_EQ(typeOfFailure(kj::mv(writing)), kj::Exception::Type::DISCONNECTED);
}

TEST_P(ChannelStreamTest, TellsTheWriterOfAPeerThatGoesWhileMessagesAreUnread) {
  right->write("unread", 6).wait(io.waitScope);
  auto disconnected = left->whenWriteDisconnected();
  EXPECT_FALSE(disconnected.poll(io.waitScope));
  right = nullptr;
  disconnected.wait(io.waitScope);
  left->whenWriteDisconnected().wait(io.waitScope);
}

TEST_P(ChannelStreamTest, TellsTheWriterWhenTheReaderAborts) {
  auto disconnected = left->whenWriteDisconnected();
  ASSERT_FALSE(disconnected.poll(io.waitScope));
  const auto sent = bytesOf(20 << 20);
  auto writing = left->write(sent.begin(), sent.size());
  EXPECT_FALSE(writing.poll(io.waitScope));
  right->abortRead();
  disconnected.wait(io.waitScope);
  EXPECT_EQ(typeOfFailure(kj::mv(writing)), kj::Exception::Type::DISCONNECTED);
  EXPECT_EQ(typeOfFailure(left->write("x", 1)), kj::Exception::Type::DISCONNECTED);
  EXPECT_EQ(read(1, 10), "");
}

TEST_P(ChannelStreamTest, CarriesDescriptorsWithTheBytesTheyCameWith) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const kj::AutoCloseFd readEnd(ends[0]);
  kj::AutoCloseFd writeEnd(ends[1]);
  const int fds[] = {writeEnd.get()};
  left->write("before", 6).wait(io.waitScope);
  left->writeWithFds(text("with"), nullptr, kj::arrayPtr(fds, 1)).wait(io.waitScope);
  writeEnd = nullptr;
  char bytes[10];
  kj::AutoCloseFd received[2];
  const auto result = right->tryReadWithFds(bytes, 10, 10, received, 2).wait(io.waitScope);
  EXPECT_EQ(result.byteCount, 10);
  ASSERT_EQ(result.capCount, 1);
  EXPECT_EQ(::write(received[0], "x", 1), 1);
  EXPECT_EQ(::read(readEnd, bytes, 1), 1);
}

TEST_P(ChannelStreamTest, GivesDescriptorsToTheReadOfTheirFirstByteOrToNone) {
  const int fds[] = {STDIN_FILENO};
  left->writeWithFds(text("with"), nullptr, kj::arrayPtr(fds, 1)).wait(io.waitScope);
  EXPECT_EQ(read(1, 1), "w");
  char bytes[3];
  kj::AutoCloseFd late;
  const auto result = right->tryReadWithFds(bytes, 3, 3, &late, 1).wait(io.waitScope);
  EXPECT_EQ(result.byteCount, 3);
  EXPECT_EQ(result.capCount, 0);
}

TEST_P(ChannelStreamTest, GoesOnOnceThisProcessCanHaveTheDescriptorsThatCome) {
  const int fds[] = {STDIN_FILENO};
  left->write("before", 6).wait(io.waitScope);
  left->writeWithFds(text("with"), nullptr, kj::arrayPtr(fds, 1)).wait(io.waitScope);
  char bytes[10];
  kj::AutoCloseFd received;
  auto limit = kj::heap<LoweredLimit>(RLIMIT_NOFILE, 3);
  auto reading = right->tryReadWithFds(bytes, 10, 10, &received, 1);
  // Comes back only when the loop has nothing more to do: it sleeps between two tries.
  EXPECT_FALSE(reading.poll(io.waitScope));
  limit = nullptr;
  const auto result = reading.wait(io.waitScope);
  EXPECT_EQ(result.byteCount, 10);
  EXPECT_EQ(result.capCount, 1);
}

TEST_P(ChannelStreamTest, DiscardsDescriptorsOnceThisProcessCanHaveThem) {
  const int fds[] = {STDIN_FILENO};
  left->writeWithFds(text("with"), nullptr, kj::arrayPtr(fds, 1)).wait(io.waitScope);
  left->shutdownWrite();
  auto limit = kj::heap<LoweredLimit>(RLIMIT_NOFILE, 3);
  right->abortRead();
  io.waitScope.poll();
  EXPECT_TRUE(rightChannel->Readable());
  limit = nullptr;
  while (!rightChannel->ended_by_peer()) {
    io.provider->getTimer().afterDelay(1 * kj::MILLISECONDS).wait(io.waitScope);
  }
}

TEST_P(ChannelStreamTest, ClosesDescriptorsThatTheReaderDoesNotWant) {
  const size_t before = OpenDescriptors();
  left->sendFd(STDIN_FILENO).wait(io.waitScope);
  read(1, 1);
  left->sendFd(STDIN_FILENO).wait(io.waitScope);
  right = nullptr;
  left = nullptr;
  connect();
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_P(ChannelStreamTest, CarriesStreams) {
  auto pipe = io.provider->newCapabilityPipe();
  left->sendStream(kj::mv(pipe.ends[0])).wait(io.waitScope);
  auto received = right->receiveStream().wait(io.waitScope);
  received->write("through", 7).wait(io.waitScope);
  char bytes[7];
  pipe.ends[1]->read(bytes, 7).wait(io.waitScope);
  EXPECT_EQ(std::string(bytes, 7), "through");
}

TEST_P(ChannelStreamTest, RefusesToSendAStreamOverSharedMemory) {
  EXPECT_THAT(textOf(failureOf([&]() { left->sendStream(kj::mv(right)).wait(io.waitScope); })),
              HasSubstr("cannot be sent"));
}

TEST_P(ChannelStreamTest, HasTheSocketsOptions) {
  struct ucred credentials;
  uint length = sizeof(credentials);
  left->getsockopt(SOL_SOCKET, SO_PEERCRED, &credentials, &length);
  EXPECT_EQ(credentials.pid, getpid());
  const int on = 1;
  left->setsockopt(IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  EXPECT_EQ(
      failureOf([&]() { left->setsockopt(SOL_SOCKET, SO_SNDBUF, &on, sizeof(on)); }).getType(),
      kj::Exception::Type::UNIMPLEMENTED);
}

TEST_P(ChannelStreamTest, CarriesTheStockTwoPartyNetwork) {
  capnp::TwoPartyServer server(kj::heap<EchoServer>());
  auto serving = server.accept(*right);
  capnp::TwoPartyClient client(*left);
  auto echo = client.bootstrap().castAs<test::Echo>();
  auto request = echo.fillRequest();
  request.setBytes(3 << 20);
  request.setValue(7);
  EXPECT_EQ(request.send().wait(io.waitScope).getData().size(), 3 << 20);
}

}  // namespace
}  // namespace shoal
