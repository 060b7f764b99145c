#pragma once
// A Cap'n Proto RPC server in one line: capnp::EzRpcServer, and shared memory.

#include "capnp/capability.h"
#include "capnp/message.h"
#include "kj/async-io.h"
#include "kj/memory.h"
#include "shoal/rpc/options.h"
#include "shoal/rpc/sessions.h"

struct sockaddr;

namespace shoal {

class RpcServer {
  // Where capnp::EzRpcServer stands, with the same members:
  //
  //     shoal::RpcServer server(kj::heap<CalculatorImpl>(), "shm:calculator");
  //     kj::NEVER_DONE.wait(server.getWaitScope());
  //
  // Serves any number of clients, each on a connection of its own. All clients and servers of a
  // thread share one event loop, which they make. Belongs to the thread that made it, and to the
  // process: make it after fork() or daemon(). In a child of that every member throws and says so;
  // destroying it there leaves the parent's alone.

public:
  explicit RpcServer(capnp::Capability::Client mainInterface, kj::StringPtr bindAddress,
                     uint defaultPort = 0, capnp::ReaderOptions readerOpts = capnp::ReaderOptions(),
                     RpcServerOptions options = RpcServerOptions());
  // `bindAddress` is one of
  //   shm:NAME, shm:/path   shared memory, for clients of this process's user. Listens when the
  //                         constructor returns; throws when a live server has the name
  //   unix:/path            a Unix socket, in Cap'n Proto's standard format
  //   HOST:PORT, *:PORT     TCP, in the same format, and shared memory, see RpcServerOptions
  //   ...                   what else kj::Network knows
  //
  // `defaultPort` is used when a TCP address has no port; 0 chooses one, see getPort().
  // `readerOpts` bound each incoming message. `options` may be ChannelOptions alone.

  explicit RpcServer(BootstrapFactory factory, kj::StringPtr bindAddress, uint defaultPort = 0,
                     capnp::ReaderOptions readerOpts = capnp::ReaderOptions(),
                     RpcServerOptions options = RpcServerOptions());
  // The same with a main interface for each client, which may depend on who that is. A null one
  // refuses the client: its calls fail, and say so.

  explicit RpcServer(decltype(nullptr), kj::StringPtr bindAddress, uint defaultPort = 0,
                     capnp::ReaderOptions readerOpts = capnp::ReaderOptions(),
                     RpcServerOptions options = RpcServerOptions());
  // For a server that only exportCap()s: calls on its main interface fail.

  RpcServer(capnp::Capability::Client mainInterface, struct sockaddr* bindAddress, uint addrSize,
            capnp::ReaderOptions readerOpts = capnp::ReaderOptions());
  // Binds to an address that is resolved already.

  RpcServer(capnp::Capability::Client mainInterface, int socketFd, uint port,
            capnp::ReaderOptions readerOpts = capnp::ReaderOptions());
  // On a socket that is listening already, which stays the caller's to close. `port` is what
  // getPort() gives.

  explicit RpcServer(kj::StringPtr bindAddress, uint defaultPort = 0,
                     capnp::ReaderOptions readerOpts = capnp::ReaderOptions())
      CAPNP_DEPRECATED("Give the server a main interface.");
  RpcServer(struct sockaddr* bindAddress, uint addrSize,
            capnp::ReaderOptions readerOpts = capnp::ReaderOptions())
      CAPNP_DEPRECATED("Give the server a main interface.");
  RpcServer(int socketFd, uint port, capnp::ReaderOptions readerOpts = capnp::ReaderOptions())
      CAPNP_DEPRECATED("Give the server a main interface.");
  // For programs written for EzRpcServer that only exportCap().

  ~RpcServer() noexcept(false);
  // Cuts all clients off, whatever they have called. With threads it waits until none runs a
  // handler any more. A handler must not wait for this thread then: hand it work by
  // kj::Executor::executeAsync(), and return the promise. One that blocks in executeSync() is left
  // behind after 1 s, with an error in the log: it goes on when this thread's event loop does, or
  // gets an exception when that is gone, and may find what it uses gone as well.

  KJ_DISALLOW_COPY(RpcServer);

  void exportCap(kj::StringPtr name, capnp::Capability::Client cap);
  // Lets clients import `cap` by name. Prefer a main interface that gives what it has.

  kj::Promise<uint> getPort();
  // Resolves once the server is listening: to its TCP port, or to 0 when the address has none.
  // Rejects when it cannot listen there, which is logged as well. A program that has not asked by
  // then is not left waiting for clients that cannot come: the exception comes out of what it waits
  // for in this thread, and ends it unless it is caught there. (With Cap'n Proto 1.0 and later it
  // ends the program in any case.)

  kj::Promise<void> drain();
  // The graceful end: listens no more, and ends each client's connection as soon as all that it has
  // called is answered; resolves when the last one has gone. A client that calls on sees a
  // DISCONNECTED exception, as it does when the server is destroyed at once. A call that takes long
  // is waited for; bound that with a timer, and destroy the server:
  //
  //     server.drain().exclusiveJoin(timer.afterDelay(5 * kj::SECONDS)).wait(waitScope);
  //
  // That bounds it however fast clients call. It does not bound a handler that blocks its thread.

  kj::WaitScope& getWaitScope();
  kj::AsyncIoProvider& getIoProvider();
  kj::LowLevelAsyncIoProvider& getLowLevelIoProvider();
  // Of the thread's event loop: to run the server, and to do other I/O beside it.

private:
  struct Impl;
  kj::Own<Impl> impl;
};

}  // namespace shoal
