#pragma once
// A Cap'n Proto RPC client in one line: capnp::EzRpcClient, and shared memory.

#include "capnp/capability.h"
#include "capnp/message.h"
#include "kj/async-io.h"
#include "kj/memory.h"
#include "shoal/rpc/options.h"

struct sockaddr;

namespace shoal {

class RpcClient {
  // Where capnp::EzRpcClient stands, with the same members:
  //
  //     shoal::RpcClient client("shm:calculator");
  //     auto calculator = client.getMain<Calculator>();
  //     auto response = calculator.evaluateRequest().send().wait(client.getWaitScope());
  //
  // All clients and servers of a thread share one event loop, which they make. In a thread that has
  // a KJ event loop of its own, use shoal::VatNetwork. Belongs to the thread that made it,
  // and to the process, as an RpcServer does.
  // Capabilities and responses must be gone before the last client or server of the thread is, as
  // their event loop goes with it.

public:
  explicit RpcClient(kj::StringPtr serverAddress, uint defaultPort = 0,
                     capnp::ReaderOptions readerOpts = capnp::ReaderOptions(),
                     RpcClientOptions options = RpcClientOptions());
  // Connects in the background; if that fails, the calls made through getMain() fail, and say why.
  //
  // `serverAddress` is one of
  //   shm:NAME, shm:NAME@USER, shm:/path   shared memory; waits for a server that is not there yet,
  //                                        until ChannelOptions::connect_timeout
  //   unix:/path                           a Unix socket, in Cap'n Proto's standard format
  //   HOST:PORT                            TCP, in the same format, or the shared memory that the
  //                                        server offers there, see RpcClientOptions
  //   ...                                  what else kj::Network knows
  //
  // `defaultPort` is used when a TCP address has none. `readerOpts` bound each incoming message.
  // `options` may be ChannelOptions alone.

  RpcClient(const struct sockaddr* serverAddress, uint addrSize,
            capnp::ReaderOptions readerOpts = capnp::ReaderOptions());
  // Connects to an address that is resolved already.

  explicit RpcClient(int socketFd, capnp::ReaderOptions readerOpts = capnp::ReaderOptions());
  // On a socket that is connected already, which stays the caller's to close.

  ~RpcClient() noexcept(false);
  KJ_DISALLOW_COPY(RpcClient);

  template <typename Type>
  typename Type::Client getMain() {
    return getMain().castAs<Type>();
  }
  capnp::Capability::Client getMain();
  // The server's main (bootstrap) interface. Can be called before the connection is there.

  template <typename Type>
  typename Type::Client importCap(kj::StringPtr name)
      CAPNP_DEPRECATED("Let the server's main interface give what it has by name.");
  capnp::Capability::Client importCap(kj::StringPtr name)
      CAPNP_DEPRECATED("Let the server's main interface give what it has by name.");
  // What the server has exported under `name`; for programs written for EzRpcClient.

  kj::Promise<kj::String> getServerAddress();
  // Where the server was found, once the connection is there: `shm:...` if it goes through shared
  // memory, also when the address given was one of TCP. Rejects if there is no connection.

  kj::WaitScope& getWaitScope();
  kj::AsyncIoProvider& getIoProvider();
  kj::LowLevelAsyncIoProvider& getLowLevelIoProvider();
  // Of the thread's event loop: to wait for calls, and to do other I/O beside them.

private:
  capnp::Capability::Client getNamed(kj::StringPtr name);

  struct Impl;
  kj::Own<Impl> impl;
};

template <typename Type>
typename Type::Client RpcClient::importCap(kj::StringPtr name) {
  return getNamed(name).castAs<Type>();
}

}  // namespace shoal
