#include "shoal/tests/faults/party.h"

#include <utility>

namespace shoal::faults {
namespace {

using stress::Packet;

class FileServer final : public File::Server {
 public:
  explicit FileServer(int fd) : fd_(fd) {}

  kj::Maybe<int> getFd() override { return fd_; }

 private:
  const int fd_;
};

}  // namespace

PartyServer::PartyServer(std::shared_ptr<Heard> heard, const Tally& tally,
                         std::function<void(Party::Client)> met, std::function<void()> noted)
    : heard_(std::move(heard)), tally_(tally), met_(std::move(met)), noted_(std::move(noted)) {}

kj::Promise<void> PartyServer::meet(MeetContext context) {
  met_(context.getParams().getParty());
  return kj::READY_NOW;
}

kj::Promise<void> PartyServer::note(NoteContext context) {
  const stress::Plan& plan = heard_->plans.Next();
  const absl::Status verified =
      stress::Verify(context.getParams().getPacket().getAs<Packet>(), plan);
  if (!verified.ok()) {
    heard_->failures.push_back(verified.ToString());
    // The caller must learn of it too: nobody can ask a victim afterwards.
    KJ_FAIL_REQUIRE("another note came than was sent", verified.ToString());
  }
  ++heard_->notes;
  heard_->bytes += plan.bytes();
  noted_();
  return kj::READY_NOW;
}

kj::Promise<void> PartyServer::echo(EchoContext context) {
  context.getResults().getPacket().setAs<Packet>(context.getParams().getPacket().getAs<Packet>());
  return kj::READY_NOW;
}

kj::Promise<void> PartyServer::open(OpenContext context) {
  context.getResults().setFile(kj::heap<FileServer>(tally_.fd()));
  return kj::READY_NOW;
}

kj::Promise<void> PartyServer::never(NeverContext) { return kj::NEVER_DONE; }

}  // namespace shoal::faults
