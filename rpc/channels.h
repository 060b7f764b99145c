#pragma once
// Channels over shared memory in a KJ event loop: connecting and accepting without blocking it.

#include "kj/async-unix.h"
#include "kj/async.h"
#include "kj/function.h"
#include "kj/memory.h"
#include "kj/string.h"
#include "shoal/transport/channel.h"

namespace shoal {

kj::Promise<kj::Own<Channel>> connectChannel(kj::UnixEventPort& port, kj::StringPtr address,
                                             const ChannelOptions& options);
// Like Connect() of the transport, with its errors as exceptions.

kj::Promise<kj::Maybe<kj::Own<Channel>>> tryConnectChannel(kj::UnixEventPort& port,
                                                           kj::StringPtr address,
                                                           const ChannelOptions& options,
                                                           kj::StringPtr claim = nullptr);
// The same, but nothing at once when nobody listens there. A server refuses a `claim` that it does
// not confirm, see ChannelReceiver.

void requireShmAddress(kj::StringPtr address);
// Throws when `address` does not lead to shared memory, and says why.

kj::Own<Channel> toOwn(std::unique_ptr<Channel> channel);

class ChannelReceiver {
  // Listens on a `shm:` address in the loop's background.

public:
  ChannelReceiver(kj::UnixEventPort& port, kj::StringPtr address, const ChannelOptions& options);
  // Listening when it returns. Throws when the address is not allowed or in use.

  ~ChannelReceiver() noexcept(false);
  KJ_DISALLOW_COPY(ChannelReceiver);

  using ConfirmClaim = kj::Function<kj::Promise<bool>(kj::StringPtr claim)>;

  kj::Promise<void> listen(
      kj::Function<void(kj::Own<Channel>)> accepted,
      ConfirmClaim confirmClaim = [](kj::StringPtr) -> kj::Promise<bool> { return false; });
  // Calls `accepted` for each client that has come in and greeted. A client that is not allowed is
  // told why and dropped; one that does not greet within ChannelOptions::connect_timeout is
  // dropped; neither holds up anybody, and both are logged, at most once a second. The promise
  // resolves never, and rejects when the listening socket fails; drop it to stop. It must not
  // outlive this object. `confirmClaim` says whether what a client claims of another connection
  // with this server is true.

private:
  struct Impl;
  kj::Own<Impl> impl;
};

}  // namespace shoal
