#include "shoal/tests/faults/channel_load.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "shoal/tests/faults/kill.h"

namespace shoal::faults {
namespace {

using stress::Packet;

size_t FdsOf(const Shape& shape, uint64_t number) { return number % 3 == 0 ? shape.fds : 0; }

}  // namespace

Publishing::Publishing(Channel& channel, const Shape& shape, uint64_t seed, const Tally& tally)
    : channel_(channel),
      shape_(shape),
      tally_(tally),
      plans_(seed, shape.max_bytes),
      random_(seed) {}

absl::Status Publishing::Run() {
  while (!IsOver()) {
    if (absl::Status sent = PublishNext(); !sent.ok()) {
      return sent;
    }
  }
  return absl::OkStatus();
}

absl::Status Publishing::RunAndCount(Tally& count) {
  while (!IsOver()) {
    ++count.begun();
    if (absl::Status sent = PublishNext(); !sent.ok()) {
      return sent;
    }
    ++count.published();
  }
  return absl::OkStatus();
}

bool Publishing::IsOver() const { return shape_.messages > 0 && published_ == shape_.messages; }

absl::Status Publishing::PublishNext() {
  ClaimMore();
  const stress::Plan& plan = plans_.Next();
  OutgoingMessage message = channel_.Claim();
  stress::Build(message.InitRoot<Packet>(), plan);
  const std::vector<int> fds(FdsOf(shape_, plan.number), tally_.fd());
  message.SetFds(fds);
  ++published_;
  return channel_.Publish(std::move(message));
}

void Publishing::ClaimMore() {
  if (shape_.claims == 0) {
    return;
  }
  OutgoingMessage message = channel_.Claim();
  auto packet = message.InitRoot<Packet>();
  packet.initPieces(2).init(0, static_cast<capnp::uint>(random_() % (shape_.max_bytes + 1)));
  claims_.push_back({std::move(message), packet});
  while (claims_.size() > shape_.claims) {
    std::swap(claims_[random_() % claims_.size()], claims_.back());
    claims_.pop_back();
  }
}

absl::Status Publishing::PublishClaims() {
  absl::Status first = absl::OkStatus();
  for (Claimed& claimed : claims_) {
    claimed.packet.getPieces().init(1, static_cast<capnp::uint>(shape_.max_bytes));
    first.Update(channel_.Publish(std::move(claimed.message)));
  }
  return first;
}

Receiving::Receiving(Channel& channel, const Shape& shape, uint64_t peer_seed, const Tally& tally,
                     std::function<bool()> late)
    : channel_(channel),
      shape_(shape),
      tally_(tally),
      late_(std::move(late)),
      plans_(peer_seed, shape.max_bytes),
      random_(peer_seed) {}

absl::Status Receiving::Run() {
  while (true) {
    if (absl::Status received = ReceiveNext(); !received.ok()) {
      return received;
    }
  }
}

absl::Status Receiving::RunAndCount(Tally& count) {
  while (true) {
    if (absl::Status received = ReceiveNext(); !received.ok()) {
      return received;
    }
    count.received() = received_;
    count.received_bytes() = received_bytes_;
  }
}

absl::Status Receiving::ReceiveNext() {
  const absl::Time begin = absl::Now();
  absl::StatusOr<IncomingMessage> message = channel_.Receive(kNeverSeen);
  if (!message.ok()) {
    return message.status();
  }
  longest_wait_ = std::max(longest_wait_, absl::Now() - begin);
  const stress::Plan& plan = plans_.Next();
  absl::Status verified = stress::Verify(message->Root<Packet>(), plan);
  verified.Update(VerifyFds(*message, plan.number));
  if (!verified.ok()) {
    return verified;
  }
  ++received_;
  received_late_ += late_();
  received_bytes_ += plan.bytes();
  Hold(*std::move(message), plan);
  return absl::OkStatus();
}

absl::Status Receiving::VerifyFds(IncomingMessage& message, uint64_t number) {
  const size_t expected = FdsOf(shape_, number);
  if (message.fds().size() != expected) {
    return absl::DataLossError(absl::StrCat("message ", number, ": expected ", expected,
                                            " descriptors, came ", message.fds().size()));
  }
  for (const UniqueFd& fd : message.fds()) {
    if (!tally_.IsSameFile(fd.get())) {
      return absl::DataLossError(absl::StrCat("message ", number, " has another file"));
    }
  }
  return absl::OkStatus();
}

void Receiving::Hold(IncomingMessage message, const stress::Plan& plan) {
  held_.push_back({std::move(message), plan});
  const size_t most = random_() % (shape_.hold + 1);
  while (held_.size() > most) {
    std::swap(held_[random_() % held_.size()], held_.back());
    held_.pop_back();
  }
}

absl::Status Receiving::VerifyHeld() {
  absl::Status verified = absl::OkStatus();
  for (Held& held : held_) {
    verified.Update(stress::Verify(held.message.Root<Packet>(), held.plan));
  }
  return verified;
}

}  // namespace shoal::faults
