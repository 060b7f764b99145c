// What one process hears of the other in RPC.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shoal/tests/faults/party.capnp.h"
#include "shoal/tests/faults/shapes.h"
#include "shoal/tests/faults/tally.h"
#include "shoal/tests/stress/packets.h"

namespace shoal::faults {

// What came through one connection. It outlives it.
struct Heard {
  Heard(uint64_t peer_seed, const Shape& shape) : plans(peer_seed, shape.max_bytes) {}

  stress::Plans plans;  // of the notes to come
  uint64_t notes = 0;
  uint64_t late_notes = 0;
  uint64_t bytes = 0;  // of payload in the notes
  std::vector<std::string> failures;
};

// To be used as Cancelable<PartyServer>, or its calls that never return would outlive their
// callers.
class PartyServer : public Party::Server {
 public:
  // `met` is called with the peer's own party, and `noted` after each note.
  PartyServer(std::shared_ptr<Heard> heard, const Tally& tally,
              std::function<void(Party::Client)> met, std::function<void()> noted);

 protected:
  kj::Promise<void> meet(MeetContext context) override;
  kj::Promise<void> note(NoteContext context) override;
  kj::Promise<void> echo(EchoContext context) override;
  kj::Promise<void> open(OpenContext context) override;
  kj::Promise<void> never(NeverContext context) override;

 private:
  const std::shared_ptr<Heard> heard_;
  const Tally& tally_;
  const std::function<void(Party::Client)> met_;
  const std::function<void()> noted_;
};

}  // namespace shoal::faults
