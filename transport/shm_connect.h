// The steps by which a client reaches a server in shared memory, for Connect() and for event loops.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shoal/transport/address.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/handshake.h"
#include "shoal/transport/options.h"

namespace shoal {

// `text` as an address that leads to a channel over shared memory; kInvalidArgument for another
// kind.
absl::StatusOr<Address> ParseShmAddress(std::string_view text);

// Dials once and greets, with the claim of ClientHandshake::Begin(). kUnavailable: nobody listens
// there yet.
absl::StatusOr<ClientHandshake> TryConnect(const Address& address, const ChannelOptions& options,
                                           std::string_view claim = {});

// How long to wait before the next TryConnect(), after `attempts` of them. A name can't be watched,
// so a client asks again: soon at first, for a server that is just starting.
absl::Duration RetryDelay(int attempts);

// The user id that a server at `address` must have.
uid_t ServerUid(const Address& address);

}  // namespace shoal
