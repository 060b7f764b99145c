#include "shoal/transport/channel.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/handshake.h"
#include "shoal/transport/shm_connect.h"
#include "shoal/transport/shm_listener.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/socket_listener.h"

namespace shoal {
namespace {

void SleepFor(Deadline::Clock::duration duration) {
  timespec left = ToTimespec(duration);
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

// Calls `dial` until somebody listens there, or `deadline`.
template <typename Dial>
auto DialUntil(const Deadline& deadline, Dial dial) {
  for (int attempts = 1;; ++attempts) {
    auto connected = dial();
    if (connected.ok() || !absl::IsUnavailable(connected.status()) || deadline.passed()) {
      return connected;
    }
    SleepFor(deadline.Left(absl::ToChronoNanoseconds(RetryDelay(attempts))));
  }
}

bool IsShm(const Address& address) {
  return address.kind() == Address::Kind::kShmName || address.kind() == Address::Kind::kShmPath;
}

absl::StatusOr<std::unique_ptr<Channel>> FinishWithin(absl::Duration timeout,
                                                      ClientHandshake& handshake,
                                                      const Address& address) {
  const Deadline answer_by = Deadline::After(timeout);
  while (true) {
    absl::StatusOr<std::unique_ptr<Channel>> channel = handshake.Finish();
    if (!channel.ok() || *channel != nullptr) {
      return channel;
    }
    if (absl::Status readable = WaitReadable(handshake.fd(), answer_by); !readable.ok()) {
      return absl::DeadlineExceededError(
          absl::StrCat("the server at ", address.text(), " did not answer within ",
                       absl::FormatDuration(timeout), ", ChannelOptions::connect_timeout"));
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listen(std::string_view text,
                                                 const ChannelOptions& options) {
  if (absl::Status valid = Validate(options); !valid.ok()) {
    return valid;
  }
  const absl::StatusOr<Address> address = Address::Parse(text);
  if (!address.ok()) {
    return address.status();
  }
  if (IsShm(*address)) {
    return ShmListener::Listen(*address, options);
  }
  return SocketListener::Listen(*address, options);
}

absl::StatusOr<std::unique_ptr<Channel>> Connect(std::string_view text,
                                                 const ChannelOptions& options) {
  if (absl::Status valid = Validate(options); !valid.ok()) {
    return valid;
  }
  const absl::StatusOr<Address> address = Address::Parse(text);
  if (!address.ok()) {
    return address.status();
  }
  const Deadline deadline = Deadline::After(options.connect_timeout);
  if (!IsShm(*address)) {
    return DialUntil(deadline, [&] { return TryConnectSocket(*address, options, deadline); });
  }
  absl::StatusOr<ClientHandshake> handshake =
      DialUntil(deadline, [&] { return TryConnect(*address, options); });
  if (!handshake.ok()) {
    return handshake.status();
  }
  return FinishWithin(options.connect_timeout, *handshake, *address);
}

absl::StatusOr<std::pair<std::unique_ptr<Channel>, std::unique_ptr<Channel>>> ChannelPair(
    const ChannelOptions& options) {
  return ChannelPair(options, options);
}

absl::StatusOr<std::pair<std::unique_ptr<Channel>, std::unique_ptr<Channel>>> ChannelPair(
    const ChannelOptions& first, const ChannelOptions& second) {
  for (const ChannelOptions* options : {&first, &second}) {
    if (absl::Status valid = Validate(*options); !valid.ok()) {
      return valid;
    }
  }
  const absl::StatusOr<Address> address = Address::Parse("shm:pair");
  absl::StatusOr<std::pair<UniqueFd, UniqueFd>> sockets = SocketPair();
  if (!address.ok() || !sockets.ok()) {
    return address.ok() ? sockets.status() : address.status();
  }
  absl::StatusOr<ClientHandshake> client =
      ClientHandshake::Begin(std::move(sockets->first), *address, geteuid(), second);
  if (!client.ok()) {
    return client.status();
  }
  absl::StatusOr<ServerHandshake> server =
      ServerHandshake::Begin(std::move(sockets->second), *address, geteuid(), first);
  if (!server.ok()) {
    return server.status();
  }
  absl::StatusOr<std::unique_ptr<Channel>> left = server->Finish();
  if (!left.ok()) {
    return left.status();
  }
  absl::StatusOr<std::unique_ptr<Channel>> right = client->Finish();
  if (!right.ok()) {
    return right.status();
  }
  return std::pair(*std::move(left), *std::move(right));
}

}  // namespace shoal
