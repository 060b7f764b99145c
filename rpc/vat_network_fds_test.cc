// Descriptors of capabilities, between two VatNetworks in one event loop.

#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "capnp/rpc.h"
#include "gtest/gtest.h"
#include "kj/async-io.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/vat.h"
#include "shoal/rpc/vat_network.h"
#include "shoal/transport/test_process.h"

namespace shoal {
namespace {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

class FileServer final: public test::Echo::Server {
  // Has a descriptor, of a file whose content is a number; each child has the next number.

public:
  explicit FileServer(uint64_t number): number(number), file(memfd_create("file", MFD_CLOEXEC)) {
    EXPECT_EQ(pwrite(file, &number, sizeof(number), 0), sizeof(number));
  }

  kj::Maybe<int> getFd() override { return file.get(); }

protected:
  kj::Promise<void> child(ChildContext context) override {
    context.getResults().setChild(kj::heap<FileServer>(number + ++children));
    return kj::READY_NOW;
  }

  kj::Promise<void> callBack(CallBackContext context) override {
    // The number in the target's file.
    auto target = context.getParams().getTarget();
    auto getting = target.getFd();
    return getting.then([context, target](kj::Maybe<int> fd) mutable {
      uint64_t found = 0;
      EXPECT_EQ(pread(KJ_ASSERT_NONNULL(fd), &found, sizeof(found), 0), sizeof(found));
      context.getResults().setValue(found);
    });
  }

private:
  const uint64_t number;
  uint64_t children = 0;
  const kj::AutoCloseFd file;
};

class VatNetworkFds: public testing::Test {
protected:
  VatNetworkFds() = default;
  ~VatNetworkFds() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  void TearDown() override {
    client = nullptr;
    server->network.onDisconnect().wait(io.waitScope);
    server = nullptr;
    EXPECT_EQ(OpenDescriptors(), before);
  }

  test::Echo::Client connect(uint maxFds, ChannelOptions options = smallestOptions()) {
    options.max_fds_per_message = maxFds;
    ChannelEnds ends = newChannelEnds(options);
    client = kj::heap<End>(poller, kj::mv(ends.left), Side::CLIENT, nullptr);
    server = kj::heap<End>(poller, kj::mv(ends.right), Side::SERVER,
                           capnp::Capability::Client(kj::heap<FileServer>(0)));
    return bootstrapServer(client->rpcSystem).castAs<test::Echo>();
  }

  uint64_t numberIn(capnp::Capability::Client capability) {
    uint64_t number = UINT64_MAX;
    KJ_IF_MAYBE (fd, capability.getFd().wait(io.waitScope)) {
      EXPECT_EQ(pread(*fd, &number, sizeof(number), 0), sizeof(number));
    }
    return number;
  }

  struct End {
    End(Poller& poller, kj::Own<Channel> channel, Side side, capnp::Capability::Client bootstrap)
        : network(poller, kj::mv(channel), side),
          rpcSystem(capnp::makeRpcServer(network, kj::mv(bootstrap))) {}
    VatNetwork network;
    capnp::RpcSystem<VatId> rpcSystem;
  };

  kj::AsyncIoContext io = kj::setupAsyncIo();
  Poller poller{io.unixEventPort};
  const size_t before = OpenDescriptors();
  kj::Own<End> server;
  kj::Own<End> client;
};

TEST_F(VatNetworkFds, ComeWithTheCapabilityThatHasThem) {
  auto file = connect(1);
  EXPECT_EQ(numberIn(file), 0);
}

TEST_F(VatNetworkFds, StayWithTheirCapabilitiesWhenManyAreOnTheWay) {
  auto file = connect(1);
  constexpr uint64_t CALLS = 300;
  std::vector<capnp::RemotePromise<test::Echo::ChildResults>> calls;
  for (uint64_t i = 0; i < CALLS; ++i) {
    calls.push_back(file.childRequest().send());
  }
  for (uint64_t i = 0; i < CALLS; ++i) {
    ASSERT_EQ(numberIn(calls[i].wait(io.waitScope).getChild()), i + 1);
  }
}

TEST_F(VatNetworkFds, GoWithParametersToo) {
  auto file = connect(1);
  auto request = file.callBackRequest();
  request.setTarget(kj::heap<FileServer>(77));
  EXPECT_EQ(request.send().wait(io.waitScope).getValue(), 77);
}

TEST_F(VatNetworkFds, BeyondWhatThePeerTakesStayAway) {
  auto file = connect(0);
  EXPECT_EQ(numberIn(file), UINT64_MAX);
}

TEST_F(VatNetworkFds, AreClosedWhenTheConnectionEndsBeforeTheyAreReceived) {
  auto file = connect(1);
  numberIn(file);
  std::vector<capnp::RemotePromise<test::Echo::ChildResults>> calls;
  for (int i = 0; i < 300; ++i) {
    calls.push_back(file.childRequest().send());
  }
  calls[0].wait(io.waitScope);
}

}  // namespace
}  // namespace shoal
