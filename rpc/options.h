#pragma once
// What a user may choose for an RpcServer or RpcClient.

#include <functional>

#include "kj/common.h"
#include "kj/exception.h"
#include "kj/string.h"
#include "kj/time.h"
#include "shoal/transport/options.h"

namespace shoal {

using TraceEncoder = std::function<kj::String(const kj::Exception& exception)>;
// Says what the other side shall see of an exception's origin, as its
// kj::Exception::getRemoteTrace().

struct RpcServerOptions {
  RpcServerOptions() = default;
  RpcServerOptions(ChannelOptions channelOptions): channel(kj::mv(channelOptions)) {}

  ChannelOptions channel;
  // Of each connection over shared memory. Its `when_full` and `reader` are not used.

  bool upgrade = true;
  // At a TCP address, offers shared memory as well to clients on this machine that can use it; see
  // RpcClientOptions::upgrade.

  Trust upgradeTrust = Trust::kNone;
  // How messages are read over shared memory that took the place of TCP. kNone: from a copy, as
  // TCP's are, for whoever chose a TCP address asked for no more trust than that. kPeer: as
  // `channel.trust` says, in place by default for this process's user: faster above 248 bytes.

  uint threads = 0;
  // How many threads serve connections, each with an event loop and its share of the connections.
  // 0: the thread of the RpcServer serves them itself. With threads, the server must be given a
  // BootstrapFactory, which is called in each of them.

  TraceEncoder traceEncoder;
  // For exceptions that this side answers with; by default no trace is sent. Called in each thread.
};

struct RpcClientOptions {
  RpcClientOptions() = default;
  RpcClientOptions(ChannelOptions channelOptions): channel(kj::mv(channelOptions)) {}

  ChannelOptions channel;
  // Of a connection over shared memory. Its `when_full` and `reader` are not used.

  bool upgrade = true;
  // At a TCP address of this machine, connects by TCP and then uses the shared memory that the
  // RpcServer there offers, once it has confirmed that it accepted that connection, and stays with
  // TCP where none does. Only a server with this process's user id, or one of
  // ChannelOptions::allowed_uids, is accepted, so nobody else can lure a client off its port.

  Trust upgradeTrust = Trust::kNone;
  // See RpcServerOptions::upgradeTrust.

  bool reconnect = false;
  // Makes a new connection for the first call on the main interface after the old one has ended, or
  // could not be made. An exception of type DISCONNECTED that a method throws does not end it.
  // Calls that were under way, and capabilities that came through the old connection, fail with an
  // exception of type DISCONNECTED all the same: only the caller knows whether to repeat them.

  kj::Duration reconnectDelay = 10 * kj::MILLISECONDS;
  kj::Duration maxReconnectDelay = 1 * kj::SECONDS;
  // How long to wait between two attempts: the first, doubled each time up to the second.

  TraceEncoder traceEncoder;
  // For exceptions of this side's own objects, which the server has called.
};

}  // namespace shoal
