// Clients of one server that want all of it, or stop reading, beside one that just wants its
// answers.

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "shoal/rpc/client.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo.capnp.h"
#include "shoal/tests/echo_options.h"

namespace shoal {
namespace {

class RpcManyClients : public testing::TestWithParam<std::string> {
 protected:
  RpcManyClients() = default;
  ~RpcManyClients() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  static capnp::RemotePromise<test::Echo::FillResults> Fill(test::Echo::Client echo,
                                                            uint64_t bytes) {
    auto request = echo.fillRequest();
    request.setBytes(bytes);
    return request.send();
  }

  static uint64_t Ping(RpcClient& client, test::Echo::Client& echo, uint64_t value) {
    auto request = echo.pingRequest();
    request.setValue(value);
    return request.send().wait(client.getWaitScope()).getValue();
  }

  void ExpectAThousandAnswers() {
    RpcClient client(server_);
    auto echo = client.getMain<test::Echo>();
    for (uint64_t i = 0; i < 1000; ++i) {
      ASSERT_EQ(Ping(client, echo, i), i);
    }
  }

  const UniqueAddress address_{GetParam()};
  ChildProcess process_{{"tests/echo_process", address_.text()}};
  const std::string line_ = process_.ReadLine();
  const kj::StringPtr server_ = line_.c_str();
};

INSTANTIATE_TEST_SUITE_P(Over, RpcManyClients, testing::Values("shm", "unix", "tcp"),
                         [](const auto& info) { return info.param; });

TEST_P(RpcManyClients, OneThatNeverWaitsForItsAnswersStarvesNobody) {
  std::atomic<bool> stop = false;
  std::promise<void> flooding;
  std::thread flood([&] {
    RpcClient client(server_);
    auto echo = client.getMain<test::Echo>();
    for (uint64_t rounds = 0; !stop; ++rounds) {
      std::vector<capnp::RemotePromise<test::Echo::PingResults>> calls;
      for (uint64_t i = 0; i < 512; ++i) {
        auto request = echo.pingRequest();
        request.setValue(i);
        calls.push_back(request.send());
      }
      for (uint64_t i = 0; i < 512; ++i) {
        ASSERT_EQ(calls[i].wait(client.getWaitScope()).getValue(), i);
      }
      if (rounds == 0) {
        flooding.set_value();
      }
    }
  });
  flooding.get_future().wait();
  ExpectAThousandAnswers();
  stop = true;
  flood.join();
}

TEST_P(RpcManyClients, OneThatStopsReadingHoldsUpNobody) {
  std::promise<void> stalled;
  std::promise<void> done;
  std::thread stall([&] {
    ChannelOptions options;
    options.linger = absl::ZeroDuration();
    RpcClient client(server_, 0, capnp::ReaderOptions(), options);
    auto echo = client.getMain<test::Echo>();
    Ping(client, echo, 1);
    std::vector<capnp::RemotePromise<test::Echo::FillResults>> calls;
    for (int i = 0; i < 100; ++i) {
      calls.push_back(Fill(echo, 1 << 20));
    }
    calls[0].wait(client.getWaitScope());  // the others are asked for; nobody reads the answers now
    stalled.set_value();
    done.get_future().wait();
  });
  stalled.get_future().wait();
  ExpectAThousandAnswers();
  done.set_value();
  stall.join();
  ExpectAThousandAnswers();
}

TEST_P(RpcManyClients, OneThatHoldsThousandsOfAnswersHoldsUpNobody) {
  std::promise<void> holding;
  std::promise<void> done;
  std::thread hold([&] {
    RpcClient client(server_);
    auto echo = client.getMain<test::Echo>();
    std::vector<capnp::RemotePromise<test::Echo::FillResults>> calls;
    std::vector<capnp::Response<test::Echo::FillResults>> held;
    for (int i = 0; i < 5000; ++i) {
      calls.push_back(Fill(echo, 1000));
    }
    for (auto& call : calls) {
      held.push_back(call.wait(client.getWaitScope()));
    }
    holding.set_value();
    done.get_future().wait();
  });
  holding.get_future().wait();
  ExpectAThousandAnswers();
  done.set_value();
  hold.join();
}

TEST_P(RpcManyClients, OneThatIsKilledWhileItIsAnsweredHoldsUpNobody) {
  for (int i = 0; i < 5; ++i) {
    ChildProcess client({"tests/echo_client_process", line_});
    EXPECT_EQ(client.ReadLine(), "calling");
    client.Kill();
    ExpectAThousandAnswers();
  }
}

}  // namespace
}  // namespace shoal
