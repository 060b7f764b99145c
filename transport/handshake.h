// From a connected socket to a channel: who the peer is, what its outbox is, and the regions of
// both.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "shoal/transport/address.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/options.h"
#include "shoal/transport/outbox.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// The client greets first; the server answers with its own greeting or with a refusal. Neither side
// maps anything of the other's before the kernel has said that its user id is the one allowed.
//
// Errors, on both sides alike: kInvalidArgument, the peer does not speak this protocol;
// kFailedPrecondition, it speaks another version of it; kPermissionDenied, with both user ids;
// kDataLoss, what it offers cannot be; kUnavailable, it went away; kResourceExhausted, there is no
// memory or descriptor for the outbox, on this side or on the other.

class ClientHandshake {
 public:
  // Makes this side's outbox and greets. `socket` is dialled; the server must have the user id
  // `uid`.
  static absl::StatusOr<ClientHandshake> Begin(UniqueFd socket, const Address& address, uid_t uid,
                                               const ChannelOptions& options);

  // The channel, once the server has answered; nullptr before. Does not wait.
  absl::StatusOr<std::unique_ptr<Channel>> Finish();

  // Readable when Finish() has something to say.
  int fd() const { return socket_.get(); }

 private:
  ClientHandshake(UniqueFd socket, const Address& address, uid_t uid, const ChannelOptions& options,
                  Outbox own)
      : socket_(std::move(socket)),
        address_(address),
        uid_(uid),
        options_(options),
        own_(std::move(own)) {}

  UniqueFd socket_;
  Address address_;
  uid_t uid_;
  ChannelOptions options_;
  Outbox own_;
};

class ServerHandshake {
 public:
  // `socket` was accepted; a client must have the user id `uid`. `address` is what this server
  // listens on.
  ServerHandshake(UniqueFd socket, const Address& address, uid_t uid, const ChannelOptions& options)
      : socket_(std::move(socket)), address_(address), uid_(uid), options_(options) {}

  // The channel, once the client has greeted; nullptr before. Does not wait. After an error the
  // client has been told, and the socket is of no more use.
  absl::StatusOr<std::unique_ptr<Channel>> Finish();

  int fd() const { return socket_.get(); }

 private:
  absl::StatusOr<std::unique_ptr<Channel>> Answer();

  UniqueFd socket_;
  Address address_;
  uid_t uid_;
  ChannelOptions options_;
};

}  // namespace shoal
