// Many clients of one server.

#include "shoal/tests/rpc/service_test.h"

namespace shoal {
namespace {

constexpr uint64_t kClients = 300;

// Of either process for each connection: sockets, and regions of both ends.
constexpr rlim_t kDescriptorsPerClient = 10;

// The smallest slabs, because 300 connections would fill 5 GB with those of the usual size.
class Crowd : public ServiceTest {
 protected:
  Crowd() : ServiceTest(ChannelOptions::kMinSlabBytes) {}
};

TEST_P(Crowd, EachOfThreeHundredClientsGetsItsOwnAnswers) {
  ASSERT_GE(RaiseDescriptorLimit(), kClients * kDescriptorsPerClient)
      << "this process may not have the descriptors that the test needs (ulimit -Hn)";
  std::vector<std::unique_ptr<RpcClient>> clients;
  std::vector<test::Service::Client> children;
  for (uint64_t i = 0; i < kClients; ++i) {
    clients.push_back(Connect());
    children.push_back(
        clients.back()->getMain<test::Service>().makeChildRequest().send().getChild());
  }
  for (uint64_t round = 0; round < 3; ++round) {
    std::vector<capnp::RemotePromise<test::Echoed>> calls;
    for (uint64_t i = 0; i < kClients; ++i) {
      calls.push_back(SendEcho(children[i], round * kClients + i));
    }
    for (uint64_t i = 0; i < kClients; ++i) {
      ASSERT_EQ(calls[i].wait(wait_scope()).getValue(), round * kClients + i);
    }
  }
  EXPECT_EQ(Census().getChildren(), kClients);
  children.clear();
  clients.clear();
  EXPECT_TRUE(Eventually([&] { return Census().getChildren() == 0; }));
}

SHOAL_INSTANTIATE_RPC(Crowd);

}  // namespace
}  // namespace shoal
