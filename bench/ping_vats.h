// A client of pings, and what it takes to be one.
#pragma once

#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "capnp/rpc-twoparty.h"
#include "capnp/rpc.h"
#include "kj/async.h"
#include "kj/exception.h"
#include "shoal/bench/loopback_network.h"
#include "shoal/bench/ping.capnp.h"
#include "shoal/bench/ping_server.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/vat.h"

namespace shoal {

// Both return what `use(ping, wait_scope)` does, an absl::StatusOr, must be called in a thread with
// no KJ event loop, and leave it with none. kUnavailable where the server does not answer.

// With a connection to the server at `address`, made before and gone afterwards.
template <typename Use>
auto WithServer(const std::string& address, Use use)
    -> std::invoke_result_t<Use, schema::Ping::Client, kj::WaitScope&> {
  try {
    RpcClientOptions options;
    options.upgrade = false;  // TCP is what TCP is timed by
    RpcClient client(address.c_str(), 0, capnp::ReaderOptions(), options);
    auto ping = client.getMain<schema::Ping>();
    ping.pingRequest().send().wait(client.getWaitScope());
    return use(kj::mv(ping), client.getWaitScope());
  } catch (const kj::Exception& exception) {
    return absl::UnavailableError(
        absl::StrCat("no answer from ", address, ": ", exception.getDescription().cStr()));
  }
}

// With a server in this thread, on a LoopbackNetwork.
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
    return absl::UnavailableError(
        absl::StrCat("no answer from the loopback: ", exception.getDescription().cStr()));
  }
}

}  // namespace shoal
