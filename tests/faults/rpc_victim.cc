#include "shoal/tests/faults/rpc_victim.h"

#include <iostream>
#include <memory>
#include <utility>

#include "capnp/rpc-twoparty.h"
#include "kj/async-io.h"
#include "shoal/rpc/channels.h"
#include "shoal/rpc/vat.h"
#include "shoal/rpc/vat_network.h"
#include "shoal/tests/cancelable.h"
#include "shoal/tests/faults/channel_victim.h"
#include "shoal/tests/faults/party.h"
#include "shoal/tests/faults/talk.h"

namespace shoal::faults {
namespace {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

void Say(const char* line) { std::cout << line << std::endl; }

// One connection with its traffic. It is made of the pieces of RpcClient and RpcServer, for only
// the network knows what has left this process.
class Victim {
 public:
  Victim(kj::AsyncIoContext& io, const Shape& shape, uint64_t seed, Tally& tally)
      : io_(io), shape_(shape), seed_(seed), tally_(tally), poller_(io.unixEventPort) {}

  void Serve(kj::Own<Channel> channel) {
    network_ = kj::heap<VatNetwork>(poller_, kj::mv(channel), Side::SERVER);
    system_ = kj::heap(capnp::makeRpcServer(*network_, NewParty()));
  }

  void Call(kj::Own<Channel> channel) {
    network_ = kj::heap<VatNetwork>(poller_, kj::mv(channel), Side::CLIENT);
    system_ = kj::heap(capnp::makeRpcClient(*network_));
    talk_ = NewTalk(bootstrapServer(*system_).castAs<Party>());
    talk_->Begin(NewParty());
  }

  void UntilDisconnected() { network_->onDisconnect().wait(io_.waitScope); }

  // Leaves when it has said its notes.
  void Close() {
    while (tally_.begun() < shape_.messages || network_->getCurrentQueueCount() > 0) {
      io_.provider->getTimer().afterDelay(100 * kj::MICROSECONDS).wait(io_.waitScope);
    }
    tally_.published() = tally_.begun().load();
    Say("closing");
    talk_ = nullptr;
    system_ = nullptr;
    network_ = nullptr;
  }

 private:
  Party::Client NewParty() {
    auto heard = std::make_shared<Heard>(seed_, shape_);
    auto met = [this](Party::Client peer) {
      talk_ = NewTalk(kj::mv(peer));
      talk_->Begin();
    };
    auto noted = [this, heard = heard.get()] {
      tally_.received() = heard->notes;
      tally_.received_bytes() = heard->bytes;
    };
    return kj::heap<Cancelable<PartyServer>>(std::move(heard), tally_, std::move(met),
                                             std::move(noted));
  }

  kj::Own<Talk> NewTalk(Party::Client peer) {
    auto saying = [this](uint64_t notes) { tally_.begun() = notes; };
    auto said = [this](uint64_t notes) {
      if (network_->getCurrentQueueCount() == 0) {
        tally_.published() = notes;
      }
    };
    return kj::heap<Talk>(kj::mv(peer), shape_, VictimSeed(seed_), tally_, saying, said);
  }

  kj::AsyncIoContext& io_;
  const Shape& shape_;
  const uint64_t seed_;
  Tally& tally_;
  Poller poller_;
  kj::Own<VatNetwork> network_;
  kj::Own<capnp::RpcSystem<VatId>> system_;
  kj::Own<Talk> talk_;
};

kj::Own<Channel> Accepted(kj::AsyncIoContext& io, ChannelReceiver& receiver) {
  auto pair = kj::newPromiseAndFulfiller<kj::Own<Channel>>();
  auto listening =
      receiver.listen([&](kj::Own<Channel> channel) { pair.fulfiller->fulfill(kj::mv(channel)); });
  return pair.promise.exclusiveJoin(listening.then([]() -> kj::Own<Channel> { KJ_UNREACHABLE; }))
      .wait(io.waitScope);
}

}  // namespace

int RunRpcVictim(const std::string& address, const Shape& shape, Role survivor, uint64_t seed,
                 Tally& tally) {
  auto io = kj::setupAsyncIo();
  const ChannelOptions options = forRpc(shape.options);
  kj::Own<ChannelReceiver> receiver;
  if (survivor == Role::kClient) {
    receiver = kj::heap<ChannelReceiver>(io.unixEventPort, address.c_str(), options);
    Say("listening");
  }
  const bool comes_and_goes = shape.moment == Moment::kConnecting;
  if (comes_and_goes) {
    Say("connecting");
  }
  do {
    Victim victim(io, shape, seed, tally);
    if (survivor == Role::kClient) {
      victim.Serve(Accepted(io, *receiver));
    } else {
      auto connected = connectChannel(io.unixEventPort, address.c_str(), options);
      const kj::Maybe<kj::Exception> failure =
          kj::runCatchingExceptions([&] { victim.Call(connected.wait(io.waitScope)); });
      KJ_IF_MAYBE (exception, failure) {
        // On a busy machine the survivor may not answer within the short time that it has.
        KJ_REQUIRE(comes_and_goes, *exception);
      }
    }
    if (shape.moment == Moment::kClosing) {
      victim.Close();
    } else if (!comes_and_goes || survivor == Role::kClient) {
      victim.UntilDisconnected();
    }
  } while (comes_and_goes);
  return 0;
}

}  // namespace shoal::faults
