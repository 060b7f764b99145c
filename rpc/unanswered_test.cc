#include "shoal/rpc/unanswered.h"

#include "capnp/message.h"
#include "capnp/rpc.capnp.h"
#include "gtest/gtest.h"

namespace shoal {
namespace {

class UnansweredTest: public testing::Test {
protected:
  ~UnansweredTest() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  using Init = void (*)(capnp::rpc::Message::Builder);

  void receive(Init init) { unanswered.received(build(init)); }
  void send(Init init) { unanswered.sent(build(init)); }

  static void call(capnp::rpc::Message::Builder message) { message.initCall(); }
  static void bootstrap(capnp::rpc::Message::Builder message) { message.initBootstrap(); }
  static void finish(capnp::rpc::Message::Builder message) { message.initFinish(); }
  static void answer(capnp::rpc::Message::Builder message) { message.initReturn(); }

  Unanswered unanswered;

private:
  capnp::AnyPointer::Reader build(Init init) {
    builder = kj::heap<capnp::MallocMessageBuilder>();
    init(builder->initRoot<capnp::rpc::Message>());
    return builder->getRoot<capnp::AnyPointer>();
  }

  kj::Own<capnp::MallocMessageBuilder> builder;
};

TEST_F(UnansweredTest, AreNoneToBeginWith) {
  EXPECT_TRUE(unanswered.none());
}

TEST_F(UnansweredTest, AreCallsUntilTheyReturn) {
  receive(call);
  receive(call);
  send(answer);
  EXPECT_FALSE(unanswered.none());
  send(answer);
  EXPECT_TRUE(unanswered.none());
}

TEST_F(UnansweredTest, AreBootstrapsUntilTheyReturn) {
  receive(bootstrap);
  EXPECT_FALSE(unanswered.none());
  send(answer);
  EXPECT_TRUE(unanswered.none());
}

TEST_F(UnansweredTest, AreNoMessagesThatAskNothing) {
  receive(finish);
  receive(answer);
  EXPECT_TRUE(unanswered.none());
}

TEST_F(UnansweredTest, AreNoCallsOfOurOwn) {
  send(call);
  EXPECT_TRUE(unanswered.none());
}

TEST_F(UnansweredTest, AreStillCountedAfterAReturnThatNobodyAskedFor) {
  send(answer);
  receive(call);
  EXPECT_FALSE(unanswered.none());
}

}  // namespace
}  // namespace shoal
