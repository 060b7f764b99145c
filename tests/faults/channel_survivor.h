// The process that goes on, at the layer of channels.
#pragma once

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/faults/kill.h"
#include "shoal/tests/faults/outcome.h"
#include "shoal/transport/channel.h"

namespace shoal::faults {

class ChannelSurvivor {
 public:
  // As a server, it listens at an address for each shape as long as it lives.
  ChannelSurvivor();

  Outcome Survive(const Kill& kill);

 private:
  struct Server {
    UniqueAddress address{"shm"};
    std::unique_ptr<Listener> listener;
  };

  Server& ServerFor(const Shape& shape);
  Outcome SurviveConnected(const Kill& kill, ChildProcess& victim);
  Outcome SurviveConnecting(const Kill& kill, ChildProcess& victim);
  absl::StatusOr<std::unique_ptr<Channel>> NewChannel(const Kill& kill, absl::Duration timeout);

  std::vector<std::unique_ptr<Server>> servers_;  // one for each shape, in their order
};

}  // namespace shoal::faults
