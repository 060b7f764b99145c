// From a connected socket to a channel: who the peer is, what its outbox is, and the regions of
// both.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "shoal/transport/address.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/options.h"
#include "shoal/transport/outbox.h"
#include "shoal/transport/peer.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// The client greets first; the server answers with its own greeting or with a refusal.
//
// Each side looks twice at the other's user id, by the kernel's word, and both must be allowed:
// that of the process which connected or listened, as it was then (SO_PEERCRED), before anything is
// sent or read, and that of the process which greets (SCM_CREDENTIALS), before anything that came
// with the greeting is looked at. What counts is the effective user id. Until the first look has
// shown an allowed user, the kernel takes no descriptor from the other side at all, where it can
// (Linux 6.16); a client that was too early is told by a welcome when to send its own.
//
// Errors, on both sides alike: kInvalidArgument, the peer does not speak this protocol;
// kFailedPrecondition, it speaks another version of it; kPermissionDenied, with both user ids;
// kDataLoss, what it offers cannot be; kUnavailable, it went away; kResourceExhausted, there is no
// memory or descriptor for the outbox, on this side or on the other.

class ClientHandshake {
 public:
  // Makes this side's outbox and greets, or knocks. `socket` is dialled; the server must have the
  // user id `uid`. A server refuses a `claim`, unless it is empty, that it does not find to be
  // true: see ServerHandshake::claim().
  static absl::StatusOr<ClientHandshake> Begin(UniqueFd socket, const Address& address, uid_t uid,
                                               const ChannelOptions& options,
                                               std::string_view claim = {});

  // The channel, once the server has answered; nullptr before. Greets, if it was too early to. Does
  // not wait.
  absl::StatusOr<std::unique_ptr<Channel>> Finish();

  // Readable when Finish() has something to say.
  int fd() const { return socket_.get(); }

 private:
  ClientHandshake(UniqueFd socket, const Address& address, uid_t uid, const ChannelOptions& options,
                  Outbox own, Peer listener, std::string_view claim)
      : socket_(std::move(socket)),
        address_(address),
        uid_(uid),
        options_(options),
        own_(std::move(own)),
        listener_(std::move(listener)),
        claim_(claim) {}

  absl::Status Greet();

  UniqueFd socket_;
  Address address_;
  uid_t uid_;
  ChannelOptions options_;
  Outbox own_;
  Peer listener_;  // the process that called Listen(), to which this side greets
  std::string claim_;
  bool greeted_ = false;  // false while the server takes no descriptors
};

struct Met;  // what a side knows of the other once it has greeted

class ServerHandshake {
 public:
  // Lets the client greet. `socket` was accepted; a client must have the user id `uid`. `address`
  // is what this server listens on. Reads nothing. kPermissionDenied: it is another user's, and has
  // been told.
  static absl::StatusOr<ServerHandshake> Begin(UniqueFd socket, const Address& address, uid_t uid,
                                               const ChannelOptions& options);
  ServerHandshake(ServerHandshake&& other) noexcept;
  ServerHandshake& operator=(ServerHandshake&& other) noexcept;
  ~ServerHandshake();

  // The channel, once the client has greeted; nullptr before, and while it makes a claim that was
  // not confirmed. Does not wait. After an error the client has been told, and the socket is of no
  // more use.
  absl::StatusOr<std::unique_ptr<Channel>> Finish();

  // Once the client has greeted: what it says of another connection that it has with this server.
  // Empty for most. Whoever knows that connection calls ConfirmClaim(), and Finish() again; others
  // RefuseClaim(), which tells the client and returns what: kFailedPrecondition.
  std::string claim() const;
  void ConfirmClaim() { claim_is_confirmed_ = true; }
  absl::Status RefuseClaim();

  // Tells the client that this server has no use for it.
  void Refuse(const absl::Status& why);

  int fd() const { return socket_.get(); }

 private:
  ServerHandshake(UniqueFd socket, const Address& address, uid_t uid,
                  const ChannelOptions& options);

  absl::Status Hear();
  absl::StatusOr<std::unique_ptr<Channel>> Answer();

  UniqueFd socket_;
  Address address_;
  uid_t uid_;
  ChannelOptions options_;
  std::unique_ptr<Met> met_;  // once the client has greeted
  bool claim_is_confirmed_ = false;
};

}  // namespace shoal
