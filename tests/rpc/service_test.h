// What the RPC tests of all topics share: a server in another process, and a client of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/exception.h"
#include "shoal/rpc/client.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/rpc/service.capnp.h"
#include "shoal/tests/rpc/service_server.h"
#include "shoal/tests/rpc/setup.h"

namespace shoal {

// A suite is a subclass, instantiated with SHOAL_INSTANTIATE_RPC: its tests are named
// Rpc/SUITE.TEST/SETUP.
class ServiceTest : public testing::TestWithParam<Setup> {
 protected:
  ServiceTest() : ServiceTest(RpcOptions(GetParam().options).slab_bytes) {}

  explicit ServiceTest(size_t slab_bytes)
      : slab_bytes_(slab_bytes),
        address_(GetParam().transport),
        server({"tests/rpc/service_process", address_.text(), GetParam().options,
                std::to_string(slab_bytes)}),
        server_address(server.ReadLine()),
        client(Connect()),
        service(client->getMain<test::Service>()) {}

  ~ServiceTest() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  // One more client, on a connection of its own.
  std::unique_ptr<RpcClient> Connect() const {
    ChannelOptions options = RpcOptions(GetParam().options);
    options.slab_bytes = slab_bytes_;
    return std::make_unique<RpcClient>(server_address.c_str(), 0, capnp::ReaderOptions(), options);
  }

  kj::WaitScope& wait_scope() { return client->getWaitScope(); }

  static auto SendEcho(test::Service::Client service, uint64_t value) {
    auto request = service.echoRequest();
    request.setValue(value);
    return request.send();
  }

  uint64_t Echo(test::Service::Client service, uint64_t value) {
    return SendEcho(service, value).wait(wait_scope()).getValue();
  }
  uint64_t Echo(uint64_t value) { return Echo(service, value); }

  static auto SendPass(test::Waiter::Client waiter, uint64_t gate) {
    auto request = waiter.passRequest();
    request.setGate(gate);
    return request.send();
  }

  auto SendOpen(uint64_t gate) {
    auto request = service.openRequest();
    request.setGate(gate);
    return request.send();
  }

  static auto SendAppend(test::Recorder::Client recorder, uint64_t value,
                         size_t padding_bytes = 0) {
    auto request = recorder.appendRequest();
    request.setValue(value);
    request.initPadding(padding_bytes);
    return request.send().ignoreResult();
  }

  auto Census() { return service.censusRequest().send().wait(wait_scope()); }

  // Whether `condition` comes true while calls go to the server and back, so that both sides do
  // what they have to; the number of calls bounds the wait, and no clock.
  template <typename Condition>
  bool Eventually(Condition condition) {
    for (int i = 0; i < 5'000; ++i) {
      if (condition()) {
        return true;
      }
      Echo(i);
    }
    return false;
  }

  // What `function` throws. When it throws nothing the test fails.
  template <typename Function>
  static kj::Exception FailureOf(Function&& function) {
    KJ_IF_MAYBE (exception, kj::runCatchingExceptions(kj::fwd<Function>(function))) {
      return kj::mv(*exception);
    }
    ADD_FAILURE() << "nothing was thrown";
    return KJ_EXCEPTION(FAILED, "nothing was thrown");
  }

  template <typename Promise>
  kj::Exception FailureOfCall(Promise&& promise) {
    return FailureOf([&] { promise.wait(wait_scope()); });
  }

  static std::string TextOf(const kj::Exception& exception) {
    return exception.getDescription().cStr();
  }

 private:
  const size_t slab_bytes_;
  UniqueAddress address_;

 protected:
  ChildProcess server;
  const std::string server_address;
  std::unique_ptr<RpcClient> client;
  test::Service::Client service;
};

#define SHOAL_INSTANTIATE_RPC(suite)                                                            \
  INSTANTIATE_TEST_SUITE_P(                                                                     \
      Rpc, suite,                                                                               \
      testing::Values(                                                                          \
          Setup{"Shm", "shm"}, Setup{"ShmSmallest", "shm", "smallest"},                         \
          Setup{"ShmUntrusting", "shm", "untrusting"}, Setup{"ShmSleeping", "shm", "sleeping"}, \
          Setup{"ShmSpinning", "shm", "spinning"}, Setup{"Unix", "unix"}, Setup{"Tcp", "tcp"}), \
      [](const testing::TestParamInfo<Setup>& info) { return info.param.name; })

}  // namespace shoal
