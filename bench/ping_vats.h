// A client of pings, and what it takes to be one.
#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "capnp/rpc-twoparty.h"
#include "capnp/rpc.h"
#include "kj/async.h"
#include "kj/exception.h"
#include "kj/vector.h"
#include "shoal/bench/loopback_network.h"
#include "shoal/bench/ping.capnp.h"
#include "shoal/bench/ping_server.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/options.h"
#include "shoal/rpc/vat.h"

namespace shoal {

inline absl::Status NoAnswer(const std::string& address, const kj::Exception& exception) {
  return absl::UnavailableError(
      absl::StrCat("no answer from ", address, ": ", exception.getDescription().cStr()));
}

// As pings are measured: TCP is what TCP is timed by.
inline RpcClientOptions WithoutUpgrade(const ChannelOptions& channel = {}) {
  RpcClientOptions options(channel);
  options.upgrade = false;
  return options;
}

// Each of the three returns what `use` does, an absl::StatusOr, must be called in a thread with no
// KJ event loop, and leaves it with none. kUnavailable where the server does not answer.

// `use(client)`, with a client of the server at `address`. `channel` is of a connection over shared
// memory.
template <typename Use>
auto WithClient(const std::string& address, const ChannelOptions& channel, Use use)
    -> std::invoke_result_t<Use, RpcClient&> {
  try {
    RpcClient client(address.c_str(), 0, PingReaders(), WithoutUpgrade(channel));
    return use(client);
  } catch (const kj::Exception& exception) {
    return NoAnswer(address, exception);
  }
}

// `use(ping, wait_scope)`, with a connection to the server at `address`, made before and gone
// afterwards.
template <typename Use>
auto WithServer(const std::string& address, Use use)
    -> std::invoke_result_t<Use, schema::Ping::Client, kj::WaitScope&> {
  return WithClient(address, ChannelOptions(), [&](RpcClient& client) {
    auto ping = client.getMain<schema::Ping>();
    ping.pingRequest().send().wait(client.getWaitScope());
    return use(kj::mv(ping), client.getWaitScope());
  });
}

// `use(ping, wait_scope)`, with a server in this thread, on a LoopbackNetwork.
template <typename Use>
auto WithLoopback(Use use) -> std::invoke_result_t<Use, schema::Ping::Client, kj::WaitScope&> {
  using capnp::rpc::twoparty::Side;
  try {
    kj::EventLoop loop;
    kj::WaitScope wait_scope(loop);
    LoopbackNetwork client_network(Side::CLIENT);
    LoopbackNetwork server_network(Side::SERVER);
    client_network.join(server_network);
    auto server = capnp::makeRpcServer(server_network, NewPingServer());
    auto client = capnp::makeRpcClient(client_network);
    return use(bootstrapServer(client).castAs<schema::Ping>(), wait_scope);
  } catch (const kj::Exception& exception) {
    return NoAnswer("the loopback", exception);
  }
}

// Connections of this thread to the server at `address`, each of which has had an answer. Throws
// where one has none.
class PingClients {
 public:
  PingClients(const std::string& address, int count) {
    for (int i = 0; i < count; ++i) {
      clients_.push_back(
          std::make_unique<RpcClient>(address.c_str(), 0, PingReaders(), WithoutUpgrade()));
      auto& ping = pings_.add(clients_.back()->getMain<schema::Ping>());
      ping.pingRequest().send().wait(wait_scope());
    }
  }

  kj::ArrayPtr<schema::Ping::Client> pings() { return pings_.asPtr(); }
  kj::WaitScope& wait_scope() { return clients_.front()->getWaitScope(); }

 private:
  std::vector<std::unique_ptr<RpcClient>> clients_;
  kj::Vector<schema::Ping::Client> pings_;
};

}  // namespace shoal
