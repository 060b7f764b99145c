// What the libraries beside which Shoal is measured do: a round trip of opaque bytes between two
// processes, as our own `round trip, read whole`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace shoal {

// Connected to a server. For one thread.
class PeerClient {
 public:
  virtual ~PeerClient() = default;

  // Sends `bytes` bytes, written in one go and each the lowest byte of `sequence`. Returns the
  // server's answer: their WordSum().
  virtual absl::StatusOr<uint64_t> Ask(uint64_t sequence, uint64_t bytes) = 0;
};

// A new Client, whose Connect(address) has succeeded.
template <typename Client>
absl::StatusOr<std::unique_ptr<PeerClient>> ConnectNew(const std::string& address) {
  auto client = std::make_unique<Client>();
  if (absl::Status connected = client->Connect(address); !connected.ok()) {
    return connected;
  }
  return client;
}

// An address is any name without a slash that nobody else uses.
struct PeerLibrary {
  std::string name;  // also the transport's in results

  // Answers at an address until something fails. Calls `ready` when it can be reached.
  absl::Status (*serve)(const std::string& address, void (*ready)());

  absl::StatusOr<std::unique_ptr<PeerClient>> (*connect)(const std::string& address);

  // Removes what a server that was killed has left at its address.
  void (*clean_up)(const std::string& address);
};

// No request of a benchmark is larger.
constexpr uint64_t kMaxPeerBytes = uint64_t{1} << 20;

}  // namespace shoal
