// Clients that outlive their server's process.

#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kj/timer.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/held_port.h"

namespace shoal {
namespace {

class ClientReconnect: public testing::TestWithParam<std::string> {
protected:
  ClientReconnect() { serve(); }
  ~ClientReconnect() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  void serve() {
    process.emplace(std::vector<std::string>{"tests/echo_process", connectTo, "default"});
    connectTo = process->ReadLine();
  }

  void restart() {
    kill();
    serve();
  }

  void kill() {
    process->Kill();
    process.reset();
    if (GetParam() == "unix") {
      std::remove(connectTo.substr(strlen("unix:")).c_str());  // a killed server leaves its file
    }
  }

  RpcClientOptions reconnecting() {
    RpcClientOptions options;
    options.reconnect = true;
    options.reconnectDelay = 1 * kj::MILLISECONDS;
    options.maxReconnectDelay = 4 * kj::MILLISECONDS;
    options.channel.connect_timeout = absl::Seconds(20);
    return options;
  }

  static uint64_t ping(test::Echo::Client echo, uint64_t value, kj::WaitScope& waitScope) {
    auto request = echo.pingRequest();
    request.setValue(value);
    return request.send().wait(waitScope).getValue();
  }

  const UniqueAddress address{GetParam()};
  const HeldPort port;  // so that nobody else gets it while no server is there
  std::string connectTo = GetParam() == "tcp" ? port.address() : address.text();
  std::optional<ChildProcess> process;
};

INSTANTIATE_TEST_SUITE_P(Over, ClientReconnect, testing::Values("shm", "unix", "tcp"),
                         [](auto& info) { return info.param; });

TEST_P(ClientReconnect, CallsTheServersSuccessorAfterOneCallHasFailed) {
  RpcClient client(connectTo.c_str(), 0u, capnp::ReaderOptions(), reconnecting());
  auto& waitScope = client.getWaitScope();
  auto echo = client.getMain<test::Echo>();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ping(echo, i, waitScope), i);
    auto pending = echo.neverRequest().send();
    restart();
    EXPECT_EQ(failureOf([&]() { pending.wait(waitScope); }).getType(),
              kj::Exception::Type::DISCONNECTED);
    EXPECT_EQ(ping(echo, 10 + i, waitScope), 10 + i);
  }
}

TEST_P(ClientReconnect, WhatCameThroughTheOldConnectionStaysBroken) {
  RpcClient client(connectTo.c_str(), 0u, capnp::ReaderOptions(), reconnecting());
  auto& waitScope = client.getWaitScope();
  auto echo = client.getMain<test::Echo>();
  auto child = echo.childRequest().send().wait(waitScope).getChild();
  EXPECT_EQ(ping(child, 1, waitScope), 1);
  restart();
  failureOf([&]() { ping(echo, 2, waitScope); });
  EXPECT_EQ(ping(echo, 3, waitScope), 3);
  EXPECT_EQ(failureOf([&]() { ping(child, 4, waitScope); }).getType(),
            kj::Exception::Type::DISCONNECTED);
}

TEST_P(ClientReconnect, GoesOnTryingWhileNobodyIsThere) {
  RpcClient client(connectTo.c_str(), 0u, capnp::ReaderOptions(), reconnecting());
  auto& waitScope = client.getWaitScope();
  auto echo = client.getMain<test::Echo>();
  ping(echo, 1, waitScope);
  kill();
  failureOf([&]() { ping(echo, 2, waitScope); });
  if (GetParam() == "shm") {
    // The next call waits for a server, until ChannelOptions::connect_timeout.
    auto request = echo.pingRequest();
    request.setValue(3);
    auto waiting = request.send();
    EXPECT_FALSE(waiting.poll(waitScope));
    serve();
    EXPECT_EQ(waiting.wait(waitScope).getValue(), 3);
    return;
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(failureOf([&]() { ping(echo, 3, waitScope); }).getType(),
              kj::Exception::Type::DISCONNECTED);
  }
  serve();
  EXPECT_EQ(ping(echo, 4, waitScope), 4);
}

TEST_P(ClientReconnect, KeepsTypesOfExceptionsAndPipelines) {
  RpcClient client(connectTo.c_str(), 0u, capnp::ReaderOptions(), reconnecting());
  auto echo = client.getMain<test::Echo>();
  auto request = echo.childRequest().send().getChild().pingRequest();
  request.setValue(9);
  EXPECT_EQ(request.send().wait(client.getWaitScope()).getValue(), 9);
}

TEST_P(ClientReconnect, AMainInterfaceThatOutlivesItsClientIsDisconnected) {
  RpcClient keepsTheLoop(connectTo.c_str());
  auto client = kj::heap<RpcClient>(connectTo.c_str(), 0u, capnp::ReaderOptions(), reconnecting());
  auto& waitScope = client->getWaitScope();
  auto echo = client->getMain<test::Echo>();
  ping(echo, 1, waitScope);
  client = nullptr;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(failureOf([&]() { ping(echo, 2, waitScope); }).getType(),
              kj::Exception::Type::DISCONNECTED);
  }
}

TEST_P(ClientReconnect, OnlyOnRequest) {
  RpcClient client(connectTo.c_str());
  auto& waitScope = client.getWaitScope();
  auto echo = client.getMain<test::Echo>();
  ping(echo, 1, waitScope);
  restart();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(failureOf([&]() { ping(echo, 2, waitScope); }).getType(),
              kj::Exception::Type::DISCONNECTED);
  }
}

}  // namespace
}  // namespace shoal
