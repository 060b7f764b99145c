// The two ends of a channel over one of several drivers. A test talks to the near end, and asks the
// far end, wherever that is, to do its part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "shoal/tests/conformance/command.capnp.h"
#include "shoal/tests/scratch_folder.h"
#include "shoal/transport/channel.h"

namespace shoal::conformance {

// Where the far end is, and how it is reached.
enum class Driver {
  kSameThread,  // over shared memory: first the simplest, whose failures are the easiest to explain
  kTwoThreads,
  kFork,
  kExec,
  kUnixSocket,  // in a process of its own, too
  kTcp,
};

inline constexpr Driver kShmDrivers[] = {Driver::kSameThread, Driver::kTwoThreads, Driver::kFork,
                                         Driver::kExec};
inline constexpr Driver kDrivers[] = {Driver::kSameThread, Driver::kTwoThreads, Driver::kFork,
                                      Driver::kExec,       Driver::kUnixSocket, Driver::kTcp};
inline constexpr Driver kProcessDrivers[] = {Driver::kFork, Driver::kExec, Driver::kUnixSocket,
                                             Driver::kTcp};

std::string NameOf(Driver driver);

class Ends {
 public:
  // The far end's outbox is `outbox` (see outboxes.h), the near end's has `options`.
  static std::unique_ptr<Ends> Connect(Driver driver, const std::string& outbox,
                                       const ChannelOptions& options);
  virtual ~Ends();

  Channel& near() { return *near_; }

  // Ends the near end.
  void LeaveNear() { near_.reset(); }

  // Lets the far end do all that it can, where it has no thread of its own.
  virtual void Pump() {}

  // How long to wait for the far end before it gets its turn.
  virtual absl::Duration patience() const { return absl::Milliseconds(100); }

  // Ends a far end's wait at the gate.
  void OpenGate();

  // Kills the far end's process.
  virtual void Kill() { FAIL() << "this far end is no process"; }

  // What a user does with the near end; where the far end has no thread of its own, it gets its
  // turn. Publishing expects to succeed.
  void Publish(OutgoingMessage message);
  absl::StatusOr<IncomingMessage> Receive();

  // A command with so many bytes of payload.
  OutgoingMessage Build(Command::Kind kind, uint64_t number = 0, size_t bytes = 0);
  void Send(Command::Kind kind, uint64_t number = 0, size_t bytes = 0);

  // Asks for `count` messages of `bytes` each.
  void SendMake(uint32_t count, size_t bytes, Command::Kind kind = Command::Kind::MAKE);

  // Expects the next message to be a command with this number and payload.
  void ExpectNext(uint64_t number, size_t bytes);

  // Expects the far end to have had just so many data messages, and nothing to be wrong.
  void ExpectReport(uint64_t messages);

 protected:
  Ends();

  const std::string& gate_path() const { return gate_path_; }
  int gate() const { return gate_; }

  std::unique_ptr<Channel> near_;

 private:
  ScratchFolder folder_;
  std::string gate_path_;
  int gate_ = -1;
};

}  // namespace shoal::conformance
