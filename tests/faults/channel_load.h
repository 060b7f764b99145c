// The traffic of one end of a channel, until it fails.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "shoal/tests/faults/shapes.h"
#include "shoal/tests/faults/tally.h"
#include "shoal/tests/stress/packets.h"
#include "shoal/transport/channel.h"

namespace shoal::faults {

// Publishes, on one thread.
class Publishing {
 public:
  // Messages carry copies of the tally's descriptor where `shape` says so.
  Publishing(Channel& channel, const Shape& shape, uint64_t seed, const Tally& tally);

  // All messages of the shape: kOk, or why it could not. The victim counts them in the tally.
  absl::Status Run();
  absl::Status RunAndCount(Tally& count);

  // Goes on with the messages that are half-built, and publishes them: the first error, or kOk.
  absl::Status PublishClaims();

 private:
  struct Claimed {
    OutgoingMessage message;
    stress::Packet::Builder packet;
  };

  bool IsOver() const;
  absl::Status PublishNext();
  void ClaimMore();

  Channel& channel_;
  const Shape& shape_;
  const Tally& tally_;
  stress::Plans plans_;
  std::mt19937_64 random_;
  std::vector<Claimed> claims_;
  uint64_t published_ = 0;
};

// Receives and verifies, on one thread.
class Receiving {
 public:
  // Messages that come while `late` returns true are counted as such.
  Receiving(Channel& channel, const Shape& shape, uint64_t peer_seed, const Tally& tally,
            std::function<bool()> late);

  // Until the channel fails, or something comes that was not sent (kDataLoss, kInternal). The
  // victim counts what came in the tally.
  absl::Status Run();
  absl::Status RunAndCount(Tally& count);

  // Whether the messages that are held are still what was sent.
  absl::Status VerifyHeld();
  void DropHeld() { held_.clear(); }

  uint64_t received() const { return received_; }
  uint64_t received_late() const { return received_late_; }
  uint64_t received_bytes() const { return received_bytes_; }
  absl::Duration longest_wait() const { return longest_wait_; }  // for a message

 private:
  struct Held {
    IncomingMessage message;
    stress::Plan plan;
  };

  absl::Status ReceiveNext();
  absl::Status VerifyFds(IncomingMessage& message, uint64_t number);
  void Hold(IncomingMessage message, const stress::Plan& plan);

  Channel& channel_;
  const Shape& shape_;
  const Tally& tally_;
  std::function<bool()> late_;
  stress::Plans plans_;
  std::mt19937_64 random_;
  std::vector<Held> held_;
  uint64_t received_ = 0;
  uint64_t received_late_ = 0;
  uint64_t received_bytes_ = 0;
  absl::Duration longest_wait_;
};

}  // namespace shoal::faults
