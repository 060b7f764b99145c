// A listener whose channels are in shared memory.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shoal/transport/address.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/handshake.h"
#include "shoal/transport/options.h"

namespace shoal {

// See Listener. All clients that have connected and not greeted yet are waited for at once.
class ShmListener final : public Listener {
 public:
  static absl::StatusOr<std::unique_ptr<ShmListener>> Listen(const Address& address,
                                                             const ChannelOptions& options);

  absl::StatusOr<std::unique_ptr<Channel>> Accept(absl::Duration timeout) override;
  const std::string& address() const override { return address_.text(); }

  int doorbell() const override { return events_.get(); }

  // For event loops that keep the handshakes themselves: readable when AcceptHandshake() has
  // something.
  int fd() const { return socket_.get(); }

  // A client that has connected and not greeted yet, if there is one. Does not wait. The caller
  // drops it if it has not greeted within ChannelOptions::connect_timeout.
  absl::StatusOr<std::optional<ServerHandshake>> AcceptHandshake();

  const ChannelOptions& options() const { return options_; }

 private:
  ShmListener(UniqueFd socket, UniqueFd events, const Address& address,
              const ChannelOptions& options)
      : socket_(std::move(socket)),
        events_(std::move(events)),
        address_(address),
        options_(options) {}

  struct Greeting {
    ServerHandshake handshake;
    Deadline deadline;
  };

  // Takes in all that have connected.
  absl::Status AcceptAll();
  // The first that has greeted, or nullptr. Forgets those that failed or took too long.
  std::unique_ptr<Channel> FinishOne();
  void WaitForAny(const Deadline& deadline);

  UniqueFd socket_;
  UniqueFd events_;  // an epoll of the socket and of all in greeting_
  Address address_;
  ChannelOptions options_;
  std::deque<Greeting> greeting_;
};

}  // namespace shoal
