#include "shoal/tests/faults/channel_survivor.h"

#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "capnp/any.h"
#include "shoal/tests/faults/channel_load.h"

namespace shoal::faults {
namespace {

// What the two loads of the survivor were told.
struct Ends {
  absl::Status sent;
  absl::Status received;
  absl::Time received_at;
};

Ends HaveTraffic(Channel& channel, Publishing& publishing, Receiving& receiving,
                 const std::function<void()>& before_reading) {
  Ends ends;
  std::thread publisher([&] { ends.sent = publishing.Run(); });
  before_reading();
  ends.received = receiving.Run();
  ends.received_at = absl::Now();
  if (!absl::IsUnavailable(ends.received)) {
    channel.HangUp();  // or the publisher might wait for ever
  }
  publisher.join();
  return ends;
}

// Expects that `listener` takes a new client at once, while the channel of the dead one still
// exists.
void ExpectServes(Outcome& outcome, Listener& listener, const ChannelOptions& options) {
  absl::StatusOr<std::unique_ptr<Channel>> client;
  std::thread connecting([&] { client = Connect(listener.address(), options); });
  auto server = listener.Accept(kNeverSeen);
  connecting.join();
  absl::Status served = client.status();
  served.Update(server.status());
  if (served.ok()) {
    OutgoingMessage message = (*client)->Claim();
    message.InitRoot<capnp::AnyPointer>();
    served.Update((*client)->Publish(std::move(message)));
    served.Update((*server)->Receive(kNeverSeen).status());
  }
  outcome.Expect(served.ok(), absl::StrCat("served no new client: ", served.ToString()));
}

}  // namespace

ChannelSurvivor::ChannelSurvivor() {
  for (const Shape& shape : Shapes()) {
    auto server = std::make_unique<Server>();
    auto listener = Listen(server->address.text(), shape.options);
    if (!listener.ok()) {
      std::cerr << listener.status() << "\n";
      abort();
    }
    server->listener = *std::move(listener);
    servers_.push_back(std::move(server));
  }
}

ChannelSurvivor::Server& ChannelSurvivor::ServerFor(const Shape& shape) {
  return *servers_[static_cast<size_t>(&shape - Shapes().data())];
}

absl::StatusOr<std::unique_ptr<Channel>> ChannelSurvivor::NewChannel(const Kill& kill,
                                                                     absl::Duration timeout) {
  return kill.role == Role::kServer ? ServerFor(kill.shape).listener->Accept(timeout)
                                    : Connect(kill.address, kill.shape.options);
}

Outcome ChannelSurvivor::Survive(const Kill& kill) {
  const bool serves = kill.role == Role::kServer;
  auto victim = kill.start_victim(serves ? ServerFor(kill.shape).address.text() : kill.address);
  if (!serves) {
    victim->ReadLine();  // "listening"
  }
  return kill.shape.moment == Moment::kConnecting ? SurviveConnecting(kill, *victim)
                                                  : SurviveConnected(kill, *victim);
}

Outcome ChannelSurvivor::SurviveConnected(const Kill& kill, ChildProcess& victim) {
  Outcome outcome;
  const pid_t pid = victim.pid();
  auto connected = NewChannel(kill, kNeverSeen);
  if (!connected.ok()) {
    outcome.Expect(false, absl::StrCat("no connection: ", connected.status().ToString()));
    return outcome;
  }
  std::unique_ptr<Channel> channel = *std::move(connected);
  Killer killer(victim, kill.tally, kill.plan);
  Publishing publishing(*channel, kill.shape, kill.seed, kill.tally);
  Receiving receiving(*channel, kill.shape, ~kill.seed, kill.tally,
                      [&] { return killer.has_killed(); });
  const Ends ends = HaveTraffic(*channel, publishing, receiving, [&] {
    if (!kill.shape.reads_before_death) {
      killer.Join();
    }
  });
  const bool was_killed = killer.Join() == -SIGKILL;
  outcome.delivered = receiving.received();
  outcome.delivered_late = receiving.received_late();
  outcome.delivered_bytes = receiving.received_bytes();
  outcome.longest_wait = receiving.longest_wait();
  outcome.dying = killer.dying();
  outcome.Expect(killer.went_on(), "the victim did not go on when it was continued");
  outcome.Expect(killer.rested(), "the survivor took CPU while the victim was stopped");
  ExpectGone(outcome, ends.received, pid, "the receiver");
  ExpectAllDelivered(outcome, kill.tally.published(), kill.tally.begun());
  if (kill.shape.messages == 0) {
    ExpectGone(outcome, ends.sent, pid, "the publisher");
  }
  if (kill.shape.claims > 0) {
    ExpectGone(outcome, publishing.PublishClaims(), pid, "who published half-built messages");
  }
  if (!channel->ended_by_peer()) {
    outcome.seen = ends.received_at - killer.killed_at();
  }
  if (kill.shape.moment != Moment::kClosing) {
    outcome.Expect(was_killed, "the victim ended by itself");
    outcome.Expect(!channel->ended_by_peer(), "the peer is said to have ended the channel");
    outcome.Expect(ends.received_at >= killer.killed_at(), "given up before the kill");
  }
  if (kill.role == Role::kServer) {
    ExpectRest(outcome, kill.idle,
               [&] { (void)ServerFor(kill.shape).listener->Accept(kill.idle); });
  }
  if (kill.role == Role::kServer) {
    ExpectServes(outcome, *ServerFor(kill.shape).listener, kill.shape.options);
  }
  channel.reset();
  const absl::Status held = receiving.VerifyHeld();
  outcome.Expect(held.ok(), absl::StrCat("held messages changed: ", held.ToString()));
  return outcome;
}

Outcome ChannelSurvivor::SurviveConnecting(const Kill& kill, ChildProcess& victim) {
  Outcome outcome;
  const pid_t pid = victim.pid();
  Killer killer(victim, kill.tally, kill.plan);
  bool is_last = false;
  while (!is_last) {
    is_last = killer.done();  // one more try, and it must find nobody
    auto channel = NewChannel(kill, absl::Milliseconds(5));
    if (!channel.ok()) {
      outcome.Expect(
          absl::IsUnavailable(channel.status()) || absl::IsDeadlineExceeded(channel.status()),
          absl::StrCat("while connecting: ", channel.status().ToString()));
      continue;
    }
    outcome.Expect(kill.role == Role::kServer || !is_last, "connected to a dead server");
    if (kill.role == Role::kClient) {
      continue;
    }
    const absl::Status end = (*channel)->Receive(kNeverSeen).status();
    const absl::Time end_at = absl::Now();
    ExpectGone(outcome, end, pid, "the receiver");
    if (!(*channel)->ended_by_peer() && killer.has_killed()) {
      outcome.seen = std::max(absl::ZeroDuration(), end_at - killer.killed_at());
    }
  }
  outcome.Expect(killer.Join() == -SIGKILL, "the victim ended by itself");
  return outcome;
}

}  // namespace shoal::faults
