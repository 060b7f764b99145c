#include "shoal/rpc/context.h"

#include <thread>

#include "capnp/ez-rpc.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/async.h"
#include "shoal/rpc/channel_ends.h"

namespace shoal {
namespace {

using testing::HasSubstr;

TEST(RpcContext, IsTheSameForAllOfAThread) {
  auto first = RpcContext::getThreadLocal();
  auto second = RpcContext::getThreadLocal();
  EXPECT_EQ(first.get(), second.get());
}

TEST(RpcContext, StaysWhileItHasAUser) {
  auto first = RpcContext::getThreadLocal();
  auto second = RpcContext::getThreadLocal();
  first = nullptr;
  EXPECT_EQ(RpcContext::getThreadLocal().get(), second.get());
  EXPECT_EQ(kj::evalLater([]() { return 7; }).wait(second->getWaitScope()), 7);
}

TEST(RpcContext, IsGoneWithItsLastUser) {
  { auto context = RpcContext::getThreadLocal(); }
  kj::AsyncIoContext own = kj::setupAsyncIo();  // throws if the thread still had an event loop
  EXPECT_EQ(kj::evalLater([]() { return 7; }).wait(own.waitScope), 7);
}

TEST(RpcContext, IsMadeAnewAfterThat) {
  { auto context = RpcContext::getThreadLocal(); }
  auto context = RpcContext::getThreadLocal();
  EXPECT_EQ(kj::evalLater([]() { return 7; }).wait(context->getWaitScope()), 7);
}

TEST(RpcContext, EachThreadHasItsOwn) {
  auto context = RpcContext::getThreadLocal();
  std::thread([&]() {
    auto other = RpcContext::getThreadLocal();
    EXPECT_NE(other.get(), context.get());
    EXPECT_EQ(kj::evalLater([]() { return 7; }).wait(other->getWaitScope()), 7);
  }).join();
  EXPECT_EQ(RpcContext::getThreadLocal().get(), context.get());
}

TEST(RpcContext, IsNotToBeUsedInAnotherThread) {
  auto context = RpcContext::getThreadLocal();
  context->requireOwnProcess();
  std::thread([&]() {
    EXPECT_THAT(textOf(failureOf([&]() { context->requireOwnProcess(); })),
                HasSubstr("belongs to the thread that made it"));
  }).join();
}

TEST(RpcContext, IsNotToBeHadInAThreadWithAnEventLoopOfItsOwn) {
  {
    kj::AsyncIoContext own = kj::setupAsyncIo();
    const kj::Exception failure = failureOf([]() { RpcContext::getThreadLocal(); });
    EXPECT_THAT(textOf(failure), HasSubstr("already has an EventLoop"));
    EXPECT_THAT(textOf(failure), HasSubstr("use shoal::RpcClient and shoal::RpcServer for all"));
  }
  RpcContext::getThreadLocal();  // and the attempt has left nothing behind
}

TEST(RpcContext, IsNotToBeHadBesideAnEzRpcClient) {
  {
    capnp::EzRpcClient other("unix:/nonexistent/socket");
    const kj::Exception failure = failureOf([]() { RpcContext::getThreadLocal(); });
    EXPECT_THAT(textOf(failure), HasSubstr("EzRpcClient"));
  }
  RpcContext::getThreadLocal();
}

}  // namespace
}  // namespace shoal
