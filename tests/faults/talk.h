// The calls of one process on the other's party, until one fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "kj/async.h"
#include "shoal/tests/faults/party.capnp.h"
#include "shoal/tests/faults/shapes.h"
#include "shoal/tests/faults/tally.h"
#include "shoal/tests/stress/packets.h"

namespace shoal::faults {

// Several calls are under way at any time, of all kinds; some of them return never. Belongs to the
// thread of the event loop.
class Talk : private kj::TaskSet::ErrorHandler {
 public:
  // Calls that return never, and so fail with the connection.
  static constexpr size_t kNevers = 4;

  // `saying` is told before each note, and `said` after it, how many there are with it.
  Talk(Party::Client peer, const Shape& shape, uint64_t seed, const Tally& tally,
       std::function<void(uint64_t)> saying, std::function<void(uint64_t)> said);

  // Presents `own`, and begins.
  void Begin(Party::Client own);
  void Begin();

  // Resolves when one call has failed and no other is pending any more. Once.
  kj::Promise<void> ended() { return kj::mv(ended_.promise); }

  // Calls that were begun, and are sent only now, are pending again.
  void SendHalfBuilt();

  // Of all calls, each one's.
  const std::vector<kj::Exception>& exceptions() const { return exceptions_; }

  // What answers were not as they must be.
  const std::vector<std::string>& failures() const { return failures_; }

  // Whether the answers that are held are still what was sent.
  void VerifyHeld();

  // From the sending of a call to its return.
  absl::Duration longest_wait() const { return longest_wait_; }

  uint64_t pending() const { return pending_; }

 private:
  struct Held {
    capnp::Response<Party::EchoResults> answer;
    stress::Plan plan;
  };

  void Step();
  void SayNote();
  void AskForEcho();
  void AskForFile();
  void LeaveHalfBuilt();
  void Hold(capnp::Response<Party::EchoResults> answer, const stress::Plan& plan);
  void Verify(Held& held);
  // Goes on with Step() when the call has returned.
  void Track(kj::Promise<void> call);
  void Untrack();
  void taskFailed(kj::Exception&& exception) override;

  Party::Client peer_;
  const Shape& shape_;
  const Tally& tally_;
  const std::function<void(uint64_t)> saying_;
  const std::function<void(uint64_t)> said_;
  stress::Plans plans_;       // of notes
  stress::Plans echo_plans_;  // and of echoes
  std::mt19937_64 random_;
  uint64_t notes_ = 0;
  uint64_t steps_ = 0;
  uint64_t pending_ = 0;
  std::vector<capnp::Request<Party::EchoParams, Party::EchoResults>> half_built_;
  std::vector<Held> held_;
  absl::Duration longest_wait_;
  std::vector<kj::Exception> exceptions_;
  std::vector<std::string> failures_;
  kj::PromiseFulfillerPair<void> ended_ = kj::newPromiseAndFulfiller<void>();
  kj::TaskSet tasks_;
};

}  // namespace shoal::faults
