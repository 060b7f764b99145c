// The process that goes on, at the layer of RPC.
#pragma once

#include <memory>
#include <vector>

#include "kj/memory.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/faults/kill.h"
#include "shoal/tests/faults/outcome.h"
#include "shoal/tests/faults/party.h"
#include "shoal/tests/faults/talk.h"

namespace shoal::faults {

class RpcSurvivor {
 public:
  // As a server, it serves an address for each shape as long as it lives.
  explicit RpcSurvivor(const Tally& tally);
  KJ_DISALLOW_COPY(RpcSurvivor);
  ~RpcSurvivor() noexcept(false);

  Outcome Survive(const Kill& kill);

 private:
  struct Server {
    UniqueAddress address{"shm"};
    kj::Own<RpcServer> server;
  };
  struct Meeting;

  capnp::Capability::Client PartyOf(std::shared_ptr<Meeting> meeting);
  kj::WaitScope& wait_scope() { return servers_.front()->server->getWaitScope(); }
  kj::Timer& timer() { return servers_.front()->server->getIoProvider().getTimer(); }

  // Waits until `promise` is fulfilled: false, and a failure that says `what` did not happen, if it
  // is not.
  bool Await(kj::Promise<void> promise, Outcome& outcome, const char* what);
  Server& ServerFor(const Shape& shape);
  Outcome SurviveConnected(const Kill& kill, ChildProcess& victim, Meeting& meeting);
  Outcome SurviveComers(const Kill& kill, ChildProcess& victim);
  Outcome SurviveConnecting(const Kill& kill, ChildProcess& victim);
  void ExpectServes(const Kill& kill, Outcome& outcome);
  void Judge(const Kill& kill, Meeting& meeting, pid_t victim, Outcome& outcome);
  kj::Own<RpcClient> NewClient(const Kill& kill);

  const Tally& tally_;
  std::shared_ptr<Meeting> meeting_;              // the one of now
  std::vector<std::unique_ptr<Server>> servers_;  // one for each shape, in their order
};

}  // namespace shoal::faults
