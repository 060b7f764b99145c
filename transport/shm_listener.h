// A listener whose channels are in shared memory.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

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
  // Connections that one turn takes in at most, so that others have theirs.
  static constexpr int kConnectionsPerTurn = 4;

  // How long to leave strangers alone after a turn that had as many of them as it could take: each
  // costs some microseconds, and they must not cost those who are served more than a part of these.
  static constexpr absl::Duration kRest = absl::Milliseconds(1);

  // kInvalidArgument: the address is a name of another user's.
  static absl::StatusOr<std::unique_ptr<ShmListener>> Listen(const Address& address,
                                                             const ChannelOptions& options);

  absl::StatusOr<std::unique_ptr<Channel>> Accept(absl::Duration timeout) override;
  const std::string& address() const override { return address_.text(); }
  int doorbell() const override { return events_.get(); }
  ListenerStats stats() const override { return stats_; }

  // What an event loop does with the rest.
  struct Turn {
    enum class Next {
      kWait,  // until doorbell() is readable, or next_deadline()
      kRest,  // for kRest
      kTurn,  // until others have had theirs
    };

    std::unique_ptr<Channel> channel;  // a client's, if one has greeted
    // Or a client that has greeted with a claim, see ServerHandshake: the caller's to finish.
    std::optional<ServerHandshake> claiming;
    Next next = Next::kWait;
  };

  // A bounded piece of accepting, without waiting. kResourceExhausted: there is no descriptor for a
  // connection.
  absl::StatusOr<Turn> TakeTurn();

  // When a silent client is to be dropped, by a turn.
  Deadline next_deadline() const;

  const ChannelOptions& options() const { return options_; }

 private:
  struct Greeting {
    ServerHandshake handshake;
    Deadline deadline;
  };
  using Greetings = std::list<Greeting>;

  ShmListener(UniqueFd socket, UniqueFd events, const Address& address,
              const ChannelOptions& options)
      : socket_(std::move(socket)),
        events_(std::move(events)),
        address_(address),
        options_(options) {}

  struct TakenIn {
    int strangers = 0;
    bool all = false;  // nobody else has connected
  };
  absl::StatusOr<TakenIn> TakeIn();
  absl::StatusOr<std::optional<UniqueFd>> AcceptConnection();
  absl::Status Keep(ServerHandshake handshake);
  // What has come of the client with this socket, if it has greeted. Forgets it when it has failed.
  struct Arrival {
    std::unique_ptr<Channel> channel;
    std::optional<ServerHandshake> claiming;

    bool empty() const { return channel == nullptr && !claiming; }
  };
  Arrival Finish(int fd);
  // Drops those whose time is over, up to one that has greeted at last.
  Arrival DropSilent();
  void DropOldest();
  void MakeRoom(const std::string& why);
  void Refused(const absl::Status& why);
  size_t max_greetings() const;
  void WaitFor(Turn::Next next, const Deadline& deadline) const;

  UniqueFd socket_;
  UniqueFd events_;  // an epoll of the socket and of all in greetings_
  Address address_;
  ChannelOptions options_;
  Greetings greetings_;  // the oldest, whose deadline is the first, in front
  std::unordered_map<int, Greetings::iterator> by_socket_;
  ListenerStats stats_;
};

}  // namespace shoal
