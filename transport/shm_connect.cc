#include "shoal/transport/shm_connect.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/transport/socket.h"

namespace shoal {

absl::StatusOr<Address> ParseShmAddress(std::string_view text) {
  absl::StatusOr<Address> address = Address::Parse(text);
  if (address.ok() && address->kind() != Address::Kind::kShmName &&
      address->kind() != Address::Kind::kShmPath) {
    return absl::InvalidArgumentError(
        absl::StrCat(address->text(), " is not an address of shared memory; allowed are shm:NAME, ",
                     "shm:NAME@USER and shm:/path"));
  }
  return address;
}

uid_t ServerUid(const Address& address) { return address.user().value_or(geteuid()); }

absl::StatusOr<ClientHandshake> TryConnect(const Address& address, const ChannelOptions& options,
                                           std::string_view claim) {
  absl::StatusOr<UniqueFd> socket = DialOnce(address.socket_name());
  if (!socket.ok()) {
    return socket.status();
  }
  return ClientHandshake::Begin(*std::move(socket), address, ServerUid(address), options, claim);
}

absl::Duration RetryDelay(int attempts) {
  constexpr absl::Duration kFirst = absl::Milliseconds(1);
  constexpr absl::Duration kLast = absl::Milliseconds(50);
  return std::min(kFirst * attempts, kLast);
}

}  // namespace shoal
