#include "shoal/tests/faults/rpc_survivor.h"

#include <signal.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "shoal/tests/cancelable.h"

namespace shoal::faults {
namespace {

const kj::Duration kTooLong = absl::ToInt64Seconds(kNeverSeen) * kj::SECONDS;

void Uncounted(uint64_t) {}

std::string TextOf(const kj::Exception& exception) { return exception.getDescription().cStr(); }

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A peer that leaves says so in words of Cap'n Proto's, which name nobody.
void ExpectDisconnected(Outcome& outcome, const kj::Exception& exception, pid_t victim,
                        Moment moment) {
  const bool names_it = Contains(TextOf(exception), absl::StrCat("(pid ", victim, ")"));
  outcome.Expect(exception.getType() == kj::Exception::Type::DISCONNECTED &&
                     (names_it || moment == Moment::kClosing),
                 "a call failed with: " + TextOf(exception));
}

}  // namespace

// What the survivor and one victim have with each other.
struct RpcSurvivor::Meeting {
  Meeting(const Shape& shape, uint64_t seed)
      : shape(shape), seed(seed), heard(std::make_shared<Heard>(~seed, shape)) {}

  const Shape& shape;
  const uint64_t seed;
  const std::shared_ptr<Heard> heard;
  kj::Own<Talk> talk;
  kj::PromiseFulfillerPair<void> met = kj::newPromiseAndFulfiller<void>();
  const Killer* killer = nullptr;
};

RpcSurvivor::RpcSurvivor(const Tally& tally) : tally_(tally) {
  for (const Shape& shape : Shapes()) {
    auto server = std::make_unique<Server>();
    BootstrapFactory factory = [this](const Peer&) { return PartyOf(meeting_); };
    server->server = kj::heap<RpcServer>(kj::mv(factory), server->address.text().c_str(), 0,
                                         capnp::ReaderOptions(), RpcServerOptions(shape.options));
    servers_.push_back(std::move(server));
  }
}

RpcSurvivor::~RpcSurvivor() noexcept(false) {}

capnp::Capability::Client RpcSurvivor::PartyOf(std::shared_ptr<Meeting> meeting) {
  auto met = [this, meeting](Party::Client peer) {
    if (meeting->shape.moment == Moment::kConnecting) {
      return;  // each comes and goes at once
    }
    meeting->talk =
        kj::heap<Talk>(kj::mv(peer), meeting->shape, meeting->seed, tally_, Uncounted, Uncounted);
    meeting->talk->Begin();
    meeting->met.fulfiller->fulfill();
  };
  auto noted = [meeting] {
    meeting->heard->late_notes += meeting->killer != nullptr && meeting->killer->has_killed();
  };
  return kj::heap<Cancelable<PartyServer>>(meeting->heard, tally_, std::move(met),
                                           std::move(noted));
}

kj::Own<RpcClient> RpcSurvivor::NewClient(const Kill& kill) {
  return kj::heap<RpcClient>(kill.address.c_str(), 0, capnp::ReaderOptions(),
                             RpcClientOptions(kill.shape.options));
}

RpcSurvivor::Server& RpcSurvivor::ServerFor(const Shape& shape) {
  return *servers_[static_cast<size_t>(&shape - Shapes().data())];
}

Outcome RpcSurvivor::Survive(const Kill& kill) {
  meeting_ = std::make_shared<Meeting>(kill.shape, kill.seed);
  KJ_DEFER(meeting_ = nullptr);
  if (kill.role == Role::kServer) {
    auto victim = kill.start_victim(ServerFor(kill.shape).address.text());
    return kill.shape.moment == Moment::kConnecting ? SurviveComers(kill, *victim)
                                                    : SurviveConnected(kill, *victim, *meeting_);
  }
  auto victim = kill.start_victim(kill.address);
  victim->ReadLine();  // "listening"
  return kill.shape.moment == Moment::kConnecting ? SurviveConnecting(kill, *victim)
                                                  : SurviveConnected(kill, *victim, *meeting_);
}

bool RpcSurvivor::Await(kj::Promise<void> promise, Outcome& outcome, const char* what) {
  const kj::Maybe<kj::Exception> failure = kj::runCatchingExceptions(
      [&] { timer().timeoutAfter(kTooLong, kj::mv(promise)).wait(wait_scope()); });
  KJ_IF_MAYBE (exception, failure) {
    outcome.Expect(false, absl::StrCat("did not ", what, ": ", TextOf(*exception)));
    return false;
  }
  return true;
}

Outcome RpcSurvivor::SurviveConnected(const Kill& kill, ChildProcess& victim, Meeting& meeting) {
  Outcome outcome;
  const pid_t pid = victim.pid();
  KJ_DEFER(meeting.talk = nullptr);  // its calls hold the meeting
  kj::Own<RpcClient> client;
  if (kill.role == Role::kClient) {
    client = NewClient(kill);
    meeting.talk = kj::heap<Talk>(client->getMain<Party>(), kill.shape, kill.seed, tally_,
                                  Uncounted, Uncounted);
    meeting.talk->Begin(PartyOf(meeting_).castAs<Party>());
  }
  auto connected = kill.role == Role::kClient ? client->getServerAddress().ignoreResult()
                                              : kj::mv(meeting.met.promise);
  if (!Await(kj::mv(connected), outcome, "connect")) {
    return outcome;
  }
  Killer killer(victim, kill.tally, kill.plan);
  meeting.killer = &killer;
  KJ_DEFER(meeting.killer = nullptr);
  if (!kill.shape.reads_before_death) {
    killer.Join();
  }
  if (!Await(meeting.talk->ended(), outcome, "see the death")) {
    return outcome;
  }
  const absl::Time seen_at = absl::Now();
  const bool was_killed = killer.Join() == -SIGKILL;
  outcome.dying = killer.dying();
  wait_scope().poll();
  outcome.Expect(killer.went_on(), "the victim did not go on when it was continued");
  outcome.Expect(killer.rested(), "the survivor took CPU while the victim was stopped");
  if (Contains(TextOf(meeting.talk->exceptions().front()), " is gone")) {
    outcome.seen = seen_at - killer.killed_at();
    outcome.Expect(seen_at >= killer.killed_at(), "given up before the kill");
    outcome.Expect(was_killed, "the victim ended by itself");
  } else {
    outcome.Expect(kill.shape.moment == Moment::kClosing, "the peer is said to have left");
  }
  Judge(kill, meeting, pid, outcome);
  if (kill.role == Role::kServer) {
    ExpectServes(kill, outcome);
  }
  client = nullptr;
  wait_scope().poll();
  meeting.talk->VerifyHeld();
  for (const std::string& failure : meeting.talk->failures()) {
    outcome.Expect(false, failure);
  }
  return outcome;
}

// With what is left of the connection still there.
void RpcSurvivor::Judge(const Kill& kill, Meeting& meeting, pid_t victim, Outcome& outcome) {
  outcome.delivered = meeting.heard->notes;
  outcome.delivered_late = meeting.heard->late_notes;
  outcome.delivered_bytes = meeting.heard->bytes;
  outcome.longest_wait = meeting.talk->longest_wait();
  ExpectAllDelivered(outcome, kill.tally.published(), kill.tally.begun());
  for (const std::string& failure : meeting.heard->failures) {
    outcome.Expect(false, failure);
  }
  meeting.talk->SendHalfBuilt();
  if (meeting.talk->pending() > 0) {
    Await(meeting.talk->ended(), outcome, "fail calls after the death");
  }
  outcome.Expect(meeting.talk->exceptions().size() >= Talk::kNevers,
                 "calls that were pending did not fail");
  for (const kj::Exception& exception : meeting.talk->exceptions()) {
    ExpectDisconnected(outcome, exception, victim, kill.shape.moment);
  }
  ExpectRest(outcome, kill.idle, [&] {
    timer().afterDelay(absl::ToInt64Microseconds(kill.idle) * kj::MICROSECONDS).wait(wait_scope());
  });
}

// While the connection of the dead client still exists.
void RpcSurvivor::ExpectServes(const Kill& kill, Outcome& outcome) {
  RpcClient client(ServerFor(kill.shape).address.text().c_str(), 0, capnp::ReaderOptions(),
                   RpcClientOptions(kill.shape.options));
  Await(client.getMain<Party>().echoRequest().send().ignoreResult(), outcome, "serve a new client");
}

Outcome RpcSurvivor::SurviveComers(const Kill& kill, ChildProcess& victim) {
  Outcome outcome;
  Killer killer(victim, kill.tally, kill.plan);
  while (!killer.done()) {
    timer().afterDelay(500 * kj::MICROSECONDS).wait(wait_scope());
  }
  outcome.Expect(killer.Join() == -SIGKILL, "the victim ended by itself");
  wait_scope().poll();
  return outcome;
}

Outcome RpcSurvivor::SurviveConnecting(const Kill& kill, ChildProcess& victim) {
  Outcome outcome;
  Killer killer(victim, kill.tally, kill.plan);
  bool is_last = false;
  while (!is_last) {
    is_last = killer.done();  // one more try, and it must find nobody
    auto client = NewClient(kill);
    auto call = client->getMain<Party>().echoRequest().send().ignoreResult();
    const kj::Maybe<kj::Exception> failure =
        kj::runCatchingExceptions([&] { call.wait(wait_scope()); });
    KJ_IF_MAYBE (exception, failure) {
      outcome.Expect(exception->getType() == kj::Exception::Type::DISCONNECTED,
                     "while connecting: " + TextOf(*exception));
    } else {
      outcome.Expect(!is_last, "a dead server answered");
    }
  }
  outcome.Expect(killer.Join() == -SIGKILL, "the victim ended by itself");
  wait_scope().poll();
  return outcome;
}

}  // namespace shoal::faults
