// Descriptors run out where RPC's event loops are at work.

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "capnp/rpc.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/async-io.h"
#include "kj/exception.h"
#include "shoal/rpc/channels.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/poller.h"
#include "shoal/rpc/vat.h"
#include "shoal/rpc/vat_network.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo.capnp.h"
#include "shoal/transport/test_process.h"

namespace shoal {
namespace {

using testing::HasSubstr;

// An RLIMIT_NOFILE of another process at which it can open nothing more.
rlim_t LowestFreeDescriptor(pid_t pid) {
  rlim_t fd = 0;
  while (std::filesystem::exists(std::filesystem::symlink_status("/proc/" + std::to_string(pid) +
                                                                 "/fd/" + std::to_string(fd)))) {
    ++fd;
  }
  return fd;
}

// Sets the limit of descriptors of a running process, and what it was before when this goes.
class LimitOf {
 public:
  LimitOf(pid_t pid, rlim_t value) : pid_(pid) {
    EXPECT_EQ(prlimit(pid_, RLIMIT_NOFILE, nullptr, &before_), 0);
    const rlimit lowered = {.rlim_cur = value, .rlim_max = before_.rlim_max};
    EXPECT_EQ(prlimit(pid_, RLIMIT_NOFILE, &lowered, nullptr), 0);
  }
  LimitOf(const LimitOf&) = delete;
  LimitOf& operator=(const LimitOf&) = delete;
  ~LimitOf() { EXPECT_EQ(prlimit(pid_, RLIMIT_NOFILE, &before_, nullptr), 0); }

 private:
  const pid_t pid_;
  rlimit before_;
};

struct Caller {
  explicit Caller(const std::string& address)
      : client(address.c_str(), 0, capnp::ReaderOptions(),
               ChannelOptions{.connect_timeout = absl::InfiniteDuration()}) {}

  capnp::RemotePromise<test::Echo::PingResults> Call(uint64_t value) {
    auto request = echo.pingRequest();
    request.setValue(value);
    return request.send();
  }

  uint64_t Ping(uint64_t value) { return Call(value).wait(client.getWaitScope()).getValue(); }

  RpcClient client;
  test::Echo::Client echo = client.getMain<test::Echo>();
};

class RpcExhaustion : public testing::TestWithParam<std::string> {
 protected:
  RpcExhaustion() : address(GetParam()), server({"tests/echo_process", address.text()}) {
    server_address = server.ReadLine();
  }

  UniqueAddress address;
  ChildProcess server;
  std::string server_address;
};

TEST_P(RpcExhaustion, OfAServersDescriptorsLeavesItsClientsServedAndLetsOthersInLater) {
  Caller first(server_address);
  EXPECT_EQ(first.Ping(1), 1);
  auto limit = std::make_unique<LimitOf>(server.pid(), LowestFreeDescriptor(server.pid()));
  Caller second(server_address);
  auto call = second.Call(2);
  for (uint64_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(first.Ping(i), i);
  }
  EXPECT_FALSE(call.poll(second.client.getWaitScope()));
  limit.reset();
  EXPECT_EQ(call.wait(second.client.getWaitScope()).getValue(), 2);
  EXPECT_EQ(first.Ping(3), 3);
}

TEST_P(RpcExhaustion, OfAClientsDescriptorsFailsItsCallsAndNamesTheReason) {
  Caller first(server_address);
  EXPECT_EQ(first.Ping(1), 1);
  const size_t before = OpenDescriptors();
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    const kj::Maybe<kj::Exception> failure = kj::runCatchingExceptions([&] {
      Caller second(server_address);
      second.Ping(2);
    });
    KJ_IF_MAYBE (exception, failure) {
      EXPECT_THAT(exception->getDescription().cStr(), HasSubstr("Too many open files"));
    } else {
      ADD_FAILURE() << "a call without a descriptor returned";
    }
    EXPECT_EQ(first.Ping(3), 3);
  }
  EXPECT_EQ(OpenDescriptors(), before);
  Caller third(server_address);
  EXPECT_EQ(third.Ping(4), 4);
}

// A client that sees its channel.
struct ChannelCaller {
  explicit ChannelCaller(const std::string& address)
      : network(poller,
                connectChannel(io.unixEventPort, address.c_str(), forRpc({})).wait(io.waitScope),
                capnp::rpc::twoparty::Side::CLIENT),
        rpc_system(capnp::makeRpcClient(network)) {}

  capnp::RemotePromise<test::Echo::FillResults> Fill(uint64_t bytes, uint8_t value) {
    auto request = echo.fillRequest();
    request.setBytes(bytes);
    request.setValue(value);
    return request.send();
  }

  void RunUntilAMessageWaitsForADescriptor() {
    Channel& channel = network.getChannel();
    while (!channel.short_of_descriptors() || !channel.Readable()) {
      io.provider->getTimer().afterDelay(1 * kj::MILLISECONDS).wait(io.waitScope);
    }
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  Poller poller{io.unixEventPort};
  VatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc_system;
  test::Echo::Client echo = bootstrapServer(rpc_system).castAs<test::Echo>();
};

class ShmRpcExhaustion : public testing::Test {
 protected:
  ShmRpcExhaustion() { server.ReadLine(); }

  UniqueAddress address{"shm"};
  ChildProcess server{{"tests/echo_process", address.text()}};
};

TEST_F(ShmRpcExhaustion, OfAClientsDescriptorsHasAnAnswerInANewSlabWaitUntilThereAreSome) {
  constexpr uint64_t kMoreThanASlab = 4 << 20;
  ChannelCaller caller(address.text());
  EXPECT_EQ(caller.Fill(1, 7).wait(caller.io.waitScope).getData()[0], 7);
  auto limit = std::make_unique<LoweredLimit>(RLIMIT_NOFILE, 3);
  auto answer = caller.Fill(kMoreThanASlab, 8);
  caller.RunUntilAMessageWaitsForADescriptor();
  // Comes back only when the loop has nothing more to do: it sleeps between two tries.
  EXPECT_FALSE(answer.poll(caller.io.waitScope));
  limit.reset();
  auto data = answer.wait(caller.io.waitScope).getData();
  EXPECT_EQ(data.size(), kMoreThanASlab);
  EXPECT_EQ(data[kMoreThanASlab - 1], 8);
  EXPECT_EQ(caller.Fill(1, 9).wait(caller.io.waitScope).getData()[0], 9);
}

INSTANTIATE_TEST_SUITE_P(Over, RpcExhaustion, testing::Values("shm", "unix", "tcp"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace shoal
