#include "shoal/tests/faults/talk.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace shoal::faults {
namespace {

using stress::Packet;

constexpr int kLanes = 6;

}  // namespace

Talk::Talk(Party::Client peer, const Shape& shape, uint64_t seed, const Tally& tally,
           std::function<void(uint64_t)> saying, std::function<void(uint64_t)> said)
    : peer_(kj::mv(peer)),
      shape_(shape),
      tally_(tally),
      saying_(std::move(saying)),
      said_(std::move(said)),
      plans_(seed, shape.max_bytes),
      echo_plans_(seed + 1, shape.max_bytes),
      random_(seed),
      tasks_(*this) {}

void Talk::Begin(Party::Client own) {
  auto request = peer_.meetRequest();
  request.setParty(kj::mv(own));
  Track(request.send().ignoreResult());
  Begin();
}

void Talk::Begin() {
  for (size_t i = 0; i < kNevers; ++i) {
    Track(peer_.neverRequest().send().ignoreResult());
  }
  for (int i = 0; i < kLanes; ++i) {
    Step();
  }
}

void Talk::Step() {
  if (!exceptions_.empty() || (shape_.messages > 0 && notes_ == shape_.messages)) {
    return;
  }
  LeaveHalfBuilt();
  ++steps_;
  if (steps_ % 5 == 0) {
    AskForEcho();
  } else if (shape_.fds > 0 && steps_ % 7 == 0) {
    AskForFile();
  } else {
    SayNote();
  }
}

void Talk::SayNote() {
  auto request = peer_.noteRequest();
  stress::Build(request.getPacket().initAs<Packet>(), plans_.Next());
  saying_(++notes_);
  auto call = request.send().ignoreResult();
  said_(notes_);
  Track(kj::mv(call));
}

void Talk::AskForEcho() {
  const stress::Plan plan = echo_plans_.Next();
  auto request = peer_.echoRequest();
  stress::Build(request.getPacket().initAs<Packet>(), plan);
  Track(request.send().then(
      [this, plan](capnp::Response<Party::EchoResults> answer) { Hold(kj::mv(answer), plan); }));
}

void Talk::AskForFile() {
  auto file = peer_.openRequest().send().getFile();
  auto getting = file.getFd();
  Track(getting.then([this, file](kj::Maybe<int> fd) mutable {
    KJ_IF_MAYBE (opened, fd) {
      if (tally_.IsSameFile(*opened)) {
        return;
      }
    }
    failures_.push_back("a capability came without its descriptor");
  }));
}

void Talk::LeaveHalfBuilt() {
  if (half_built_.size() < shape_.claims) {
    auto request = peer_.echoRequest();
    auto packet = request.getPacket().initAs<Packet>();
    packet.initPieces(2).init(0, static_cast<capnp::uint>(random_() % (shape_.max_bytes + 1)));
    half_built_.push_back(kj::mv(request));
  } else if (!half_built_.empty()) {
    std::swap(half_built_[random_() % half_built_.size()], half_built_.back());
    half_built_.pop_back();
  }
}

void Talk::SendHalfBuilt() {
  ended_ = kj::newPromiseAndFulfiller<void>();
  for (auto& request : half_built_) {
    auto pieces = request.getPacket().getAs<Packet>().getPieces();
    pieces.init(1, static_cast<capnp::uint>(shape_.max_bytes));
    Track(request.send().ignoreResult());
  }
  half_built_.clear();
}

void Talk::Hold(capnp::Response<Party::EchoResults> answer, const stress::Plan& plan) {
  held_.push_back({kj::mv(answer), plan});
  Verify(held_.back());
  const size_t most = random_() % (shape_.hold + 1);
  while (held_.size() > most) {
    std::swap(held_[random_() % held_.size()], held_.back());
    held_.pop_back();
  }
}

void Talk::VerifyHeld() {
  for (Held& held : held_) {
    Verify(held);
  }
}

void Talk::Verify(Held& held) {
  const absl::Status verified = stress::Verify(held.answer.getPacket().getAs<Packet>(), held.plan);
  if (!verified.ok()) {
    failures_.push_back("an answer: " + verified.ToString());
  }
}

void Talk::Track(kj::Promise<void> call) {
  ++pending_;
  tasks_.add(call.then([this, begin = absl::Now()] {
    longest_wait_ = std::max(longest_wait_, absl::Now() - begin);
    Step();
    Untrack();
  }));
}

void Talk::taskFailed(kj::Exception&& exception) {
  exceptions_.push_back(kj::mv(exception));
  Untrack();
}

void Talk::Untrack() {
  if (--pending_ == 0 && !exceptions_.empty()) {
    ended_.fulfiller->fulfill();
  }
}

}  // namespace shoal::faults
