#include "shoal/rpc/vat.h"

#include "capnp/rpc.h"
#include "gtest/gtest.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/context.h"
#include "shoal/tests/echo_server.h"

namespace shoal {
namespace {

using capnp::rpc::twoparty::Side;

uint64_t pingThrough(RpcContext& context, Vat clientVat, Vat serverVat) {
  auto server =
      capnp::makeRpcServer(*serverVat.network, capnp::Capability::Client(kj::heap<EchoServer>()));
  auto client = capnp::makeRpcClient(*clientVat.network);
  auto request = bootstrapServer(client).castAs<test::Echo>().pingRequest();
  request.setValue(7);
  return request.send().wait(context.getWaitScope()).getValue();
}

TEST(Vat, OnlyShmAddressesLeadToSharedMemory) {
  EXPECT_TRUE(isShmAddress("shm:name"));
  EXPECT_TRUE(isShmAddress("shm:/path"));
  EXPECT_FALSE(isShmAddress("unix:/path"));
  EXPECT_FALSE(isShmAddress("unix:shm:"));
  EXPECT_FALSE(isShmAddress("127.0.0.1:80"));
  EXPECT_FALSE(isShmAddress("shm"));
}

TEST(Vat, OptionsForRpcSpillAndAreOtherwiseTheUsers) {
  ChannelOptions options;
  options.slots = 32;
  options.when_full = WhenFull::kBlock;
  options.connect_timeout = absl::Seconds(7);
  const ChannelOptions forLoop = forRpc(options);
  EXPECT_EQ(forLoop.when_full, WhenFull::kSpill);
  EXPECT_EQ(forLoop.protocol, "capnp-rpc");
  EXPECT_EQ(forLoop.slots, 32);
  EXPECT_EQ(forLoop.connect_timeout, absl::Seconds(7));
}

TEST(Vat, CarriesCallsOverAChannel) {
  auto context = RpcContext::getThreadLocal();
  ChannelEnds ends = newChannelEnds();
  EXPECT_EQ(
      pingThrough(
          *context,
          newVat(context->getPoller(), kj::mv(ends.left), Side::CLIENT, capnp::ReaderOptions()),
          newVat(context->getPoller(), kj::mv(ends.right), Side::SERVER, capnp::ReaderOptions())),
      7);
}

TEST(Vat, CarriesCallsOverAStream) {
  auto context = RpcContext::getThreadLocal();
  auto pipe = context->getIoProvider().newTwoWayPipe();
  EXPECT_EQ(
      pingThrough(*context, newVat(kj::mv(pipe.ends[0]), Side::CLIENT, capnp::ReaderOptions()),
                  newVat(kj::mv(pipe.ends[1]), Side::SERVER, capnp::ReaderOptions())),
      7);
}

TEST(Vat, SaysWhenItsConnectionIsGone) {
  auto context = RpcContext::getThreadLocal();
  ChannelEnds ends = newChannelEnds();
  Vat server =
      newVat(context->getPoller(), kj::mv(ends.right), Side::SERVER, capnp::ReaderOptions());
  auto rpcSystem =
      capnp::makeRpcServer(*server.network, capnp::Capability::Client(kj::heap<EchoServer>()));
  EXPECT_FALSE(server.disconnected.poll(context->getWaitScope()));
  ends.left = nullptr;
  server.disconnected.wait(context->getWaitScope());
}

}  // namespace
}  // namespace shoal
