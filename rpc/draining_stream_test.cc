#include "shoal/rpc/draining_stream.h"

#include "capnp/message.h"
#include "capnp/rpc.capnp.h"
#include "gtest/gtest.h"
#include "kj/async-io.h"

namespace shoal {
namespace {

using capnp::rpc::Message;

class DrainingStreamTest: public testing::Test {
protected:
  DrainingStreamTest() {
    auto pipe = io.provider->newTwoWayPipe();
    peer = kj::mv(pipe.ends[0]);
    stream = kj::heap<DrainingStream>(kj::mv(pipe.ends[1]));
  }
  ~DrainingStreamTest() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  void peerCalls() {
    capnp::MallocMessageBuilder message;
    message.initRoot<Message>().initCall();
    capnp::writeMessage(*peer, message).wait(io.waitScope);
  }

  void answer() {
    capnp::MallocMessageBuilder message;
    message.initRoot<Message>().initReturn();
    stream->writeMessage(nullptr, message.getSegmentsForOutput()).wait(io.waitScope);
  }

  kj::Promise<bool> reads() {
    // Whether there was a message, and not the end.
    return stream->tryReadMessage(nullptr, capnp::ReaderOptions(), nullptr).then([](auto message) {
      return message != nullptr;
    });
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  kj::Own<kj::AsyncIoStream> peer;
  kj::Own<DrainingStream> stream;
};

TEST_F(DrainingStreamTest, EndsAtOnceWhenNothingWasAsked) {
  auto read = reads();
  EXPECT_FALSE(read.poll(io.waitScope));
  stream->drain();
  EXPECT_FALSE(read.wait(io.waitScope));
}

TEST_F(DrainingStreamTest, EndsOnceWhatWasAskedIsAnswered) {
  peerCalls();
  EXPECT_TRUE(reads().wait(io.waitScope));
  auto read = reads();
  stream->drain();
  EXPECT_FALSE(read.poll(io.waitScope));
  answer();
  EXPECT_FALSE(read.wait(io.waitScope));
}

TEST_F(DrainingStreamTest, HandsOnWhatItHasReadBeforeItEnds) {
  peerCalls();
  auto read = reads();
  stream->drain();
  EXPECT_TRUE(read.wait(io.waitScope));
  auto next = reads();
  EXPECT_FALSE(next.poll(io.waitScope));
  answer();
  EXPECT_FALSE(next.wait(io.waitScope));
}

TEST_F(DrainingStreamTest, ReadsWhatHasComeBeforeItDrained) {
  peerCalls();
  stream->drain();
  EXPECT_TRUE(reads().wait(io.waitScope));
}

TEST_F(DrainingStreamTest, LastsUntilThePeerHasEndedOnceItDrains) {
  stream->drain();
  auto end = stream->end();
  EXPECT_FALSE(end.poll(io.waitScope));
  peerCalls();
  EXPECT_FALSE(end.poll(io.waitScope));
  peer->shutdownWrite();
  end.wait(io.waitScope);
}

TEST_F(DrainingStreamTest, EndsWithoutThePeerUnlessItDrains) {
  auto end = stream->end();
  end.wait(io.waitScope);
  EXPECT_EQ(peer->readAllBytes().wait(io.waitScope).size(), 0u);
}

}  // namespace
}  // namespace shoal
