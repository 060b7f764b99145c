// A listener whose channels are stream sockets.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shoal/transport/address.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/options.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// See Listener.
class SocketListener final : public Listener {
 public:
  static absl::StatusOr<std::unique_ptr<SocketListener>> Listen(const Address& address,
                                                                const ChannelOptions& options);

  absl::StatusOr<std::unique_ptr<Channel>> Accept(absl::Duration timeout) override;
  const std::string& address() const override { return address_; }
  int doorbell() const override { return socket_.get(); }
  ListenerStats stats() const override { return {}; }

 private:
  SocketListener(UniqueFd socket, std::string address, const ChannelOptions& options)
      : socket_(std::move(socket)), address_(std::move(address)), options_(options) {}

  const UniqueFd socket_;
  const std::string address_;
  const ChannelOptions options_;
};

// Dials once, until `deadline`. kUnavailable: nobody listens there yet.
absl::StatusOr<std::unique_ptr<Channel>> TryConnectSocket(const Address& address,
                                                          const ChannelOptions& options,
                                                          const Deadline& deadline);

}  // namespace shoal
