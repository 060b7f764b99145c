// The other side of a channel under test: does what it is told.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shoal/tests/conformance/command.capnp.h"
#include "shoal/transport/channel.h"

namespace shoal::conformance {

// How a far end's channel is made: nothing that it is told may block it, as in the same thread
// nobody would go on.
inline ChannelOptions FarOptions(ChannelOptions options) {
  options.when_full = WhenFull::kSpill;
  return options;
}

class FarEnd {
 public:
  // `gate` is a descriptor that becomes readable when the test opens the gate.
  FarEnd(std::unique_ptr<Channel> channel, int gate) : channel_(std::move(channel)), gate_(gate) {}

  // Does the next thing there is to do, without waiting; false when there is none.
  bool Step();

  // Does all, until the channel ends.
  void Run();

 private:
  bool AtGate();
  void Do(IncomingMessage message);
  void Count(Command::Reader command);
  void Make(Command::Reader command);
  void Publish(OutgoingMessage message);
  void Report();
  void Note(const absl::Status& status);
  void Note(const std::string& error);

  std::unique_ptr<Channel> channel_;
  const int gate_;
  bool at_gate_ = false;
  bool awaits_notice_ = false;
  bool holding_ = false;
  std::vector<IncomingMessage> held_;
  uint64_t messages_ = 0;
  uint64_t bytes_ = 0;
  std::string error_;
};

}  // namespace shoal::conformance
