#include "shoal/rpc/network.h"

#include <algorithm>
#include <string_view>

#include "kj/async-queue.h"
#include "kj/debug.h"
#include "kj/refcount.h"
#include "kj/vector.h"
#include "shoal/rpc/channel_stream.h"
#include "shoal/rpc/channels.h"

namespace shoal {
namespace {

class Core final: public kj::Refcounted {
  // What all networks, addresses and streams of one newNetwork() share.

public:
  Core(kj::AsyncIoContext& io, kj::Maybe<Poller&> sharedPoller, ChannelOptions optionsParam)
      : io(io), options(kj::mv(optionsParam)) {
    KJ_IF_MAYBE (shared, sharedPoller) {
      poller = kj::Own<Poller>(shared, kj::NullDisposer::instance);
    } else {
      poller = kj::heap<Poller>(io.unixEventPort);
    }
    options.when_full = WhenFull::kSpill;
    options.protocol = STREAM_PROTOCOL;
  }

  kj::Own<ChannelStream> newStream(kj::Own<Channel> channel) {
    auto stream = kj::heap<ChannelStream>(*poller, *io.lowLevelProvider, kj::mv(channel));
    return stream.attach(kj::addRef(*this));
  }

  kj::AsyncIoContext& io;
  kj::Own<Poller> poller;
  ChannelOptions options;
};

kj::AuthenticatedStream authenticate(kj::Own<ChannelStream> stream) {
  const Peer& peer = stream->getPeer();
  kj::LocalPeerIdentity::Credentials credentials;
  credentials.pid = peer.pid;
  credentials.uid = peer.uid;
  return {kj::mv(stream), kj::LocalPeerIdentity::newInstance(credentials)};
}

class ShmConnectionReceiver final: public kj::ConnectionReceiver {
public:
  ShmConnectionReceiver(kj::Own<Core> coreParam, kj::StringPtr address)
      : core(kj::mv(coreParam)),
        receiver(core->io.unixEventPort, address, core->options),
        failure(receiver
                    .listen([this](kj::Own<Channel> channel) {
                      accepted.push(core->newStream(kj::mv(channel)));
                    })
                    .fork()) {}

  kj::Promise<kj::Own<kj::AsyncIoStream>> accept() override {
    return next().then(
        [](kj::Own<ChannelStream> stream) -> kj::Own<kj::AsyncIoStream> { return stream; });
  }
  kj::Promise<kj::AuthenticatedStream> acceptAuthenticated() override {
    return next().then([](kj::Own<ChannelStream> stream) { return authenticate(kj::mv(stream)); });
  }
  uint getPort() override { return 0; }

private:
  kj::Promise<kj::Own<ChannelStream>> next() {
    return accepted.pop().exclusiveJoin(failure.addBranch().then(
        []() -> kj::Promise<kj::Own<ChannelStream>> { return kj::NEVER_DONE; }));
  }

  kj::Own<Core> core;
  ChannelReceiver receiver;
  kj::ProducerConsumerQueue<kj::Own<ChannelStream>> accepted;
  kj::ForkedPromise<void> failure;
};

class ShmNetworkAddress final: public kj::NetworkAddress {
public:
  ShmNetworkAddress(kj::Own<Core> core, kj::StringPtr text, bool allowed)
      : core(kj::mv(core)), text(kj::heapString(text)), allowed(allowed) {}

  kj::Promise<kj::Own<kj::AsyncIoStream>> connect() override {
    return open().then(
        [](kj::Own<ChannelStream> stream) -> kj::Own<kj::AsyncIoStream> { return stream; });
  }
  kj::Promise<kj::AuthenticatedStream> connectAuthenticated() override {
    return open().then([](kj::Own<ChannelStream> stream) { return authenticate(kj::mv(stream)); });
  }
  kj::Own<kj::ConnectionReceiver> listen() override {
    requireAllowed();
    return kj::heap<ShmConnectionReceiver>(kj::addRef(*core), text);
  }
  kj::Own<kj::NetworkAddress> clone() override {
    return kj::heap<ShmNetworkAddress>(kj::addRef(*core), text, allowed);
  }
  kj::String toString() override { return kj::heapString(text); }

private:
  void requireAllowed() { KJ_REQUIRE(allowed, "this address is blocked by restrictPeers()", text); }

  kj::Promise<kj::Own<ChannelStream>> open() {
    return kj::evalNow([this]() {
      requireAllowed();
      return connectChannel(core->io.unixEventPort, text, core->options)
          .then([core = kj::addRef(*core)](kj::Own<Channel> channel) mutable {
            return core->newStream(kj::mv(channel));
          });
    });
  }

  kj::Own<Core> core;
  const kj::String text;
  const bool allowed;
};

class ShmRule {
  // Which addresses of shared memory a list of restrictPeers() matches, and how specifically.

public:
  static constexpr int NO_MATCH = -1;

  explicit ShmRule(kj::ArrayPtr<const kj::StringPtr> patterns) {
    for (const kj::StringPtr pattern: patterns) {
      if (pattern == "private") {
        match(0, paths, names);
      } else if (pattern == "local") {
        match(1, paths, names);
      } else if (pattern == "unix") {
        match(2, paths, names);
      } else if (pattern == "unix-abstract") {
        match(2, names, names);
      } else if (pattern == "shm") {
        match(3, paths, names);
      }
    }
  }

  int specificity(kj::StringPtr address) const {
    return address.startsWith("shm:/") ? paths : names;
  }

private:
  void match(int rank, int& first, int& second) {
    first = kj::max(first, rank);
    second = kj::max(second, rank);
  }

  int paths = NO_MATCH;
  int names = NO_MATCH;
};

struct Restriction {
  ShmRule allow;
  ShmRule deny;

  bool allows(kj::StringPtr address) const {
    return allow.specificity(address) > deny.specificity(address);
  }
};

kj::Array<const kj::StringPtr> withoutShm(kj::ArrayPtr<const kj::StringPtr> patterns) {
  // For a network that does not know it.
  kj::Vector<kj::StringPtr> others;
  for (const kj::StringPtr pattern: patterns) {
    if (pattern != "shm") {
      others.add(pattern);
    }
  }
  return others.releaseAsArray();
}

class ShmNetwork final: public kj::Network {
public:
  ShmNetwork(kj::Own<Core> core, kj::Own<kj::Network> others, kj::Vector<Restriction> restrictions)
      : core(kj::mv(core)), others(kj::mv(others)), restrictions(kj::mv(restrictions)) {}

  kj::Promise<kj::Own<kj::NetworkAddress>> parseAddress(kj::StringPtr text,
                                                        uint portHint) override {
    if (!text.startsWith("shm:")) {
      return others->parseAddress(text, portHint);
    }
    return kj::evalNow([&]() -> kj::Own<kj::NetworkAddress> {
      requireShmAddress(text);
      const bool allowed =
          std::all_of(restrictions.begin(), restrictions.end(),
                      [&](const Restriction& restriction) { return restriction.allows(text); });
      return kj::heap<ShmNetworkAddress>(kj::addRef(*core), text, allowed);
    });
  }

  kj::Own<kj::NetworkAddress> getSockaddr(const void* sockaddr, uint len) override {
    return others->getSockaddr(sockaddr, len);
  }

  kj::Own<kj::Network> restrictPeers(kj::ArrayPtr<const kj::StringPtr> allow,
                                     kj::ArrayPtr<const kj::StringPtr> deny) override {
    kj::Vector<Restriction> all;
    all.addAll(restrictions);
    all.add(Restriction{ShmRule(allow), ShmRule(deny)});
    return kj::heap<ShmNetwork>(
        kj::addRef(*core), others->restrictPeers(withoutShm(allow), withoutShm(deny)), kj::mv(all));
  }

private:
  kj::Own<Core> core;
  kj::Own<kj::Network> others;
  const kj::Vector<Restriction> restrictions;
};

kj::Own<kj::Network> newNetwork(kj::AsyncIoContext& io, kj::Maybe<Poller&> poller,
                                ChannelOptions options) {
  kj::Own<kj::Network> others(&io.provider->getNetwork(), kj::NullDisposer::instance);
  return kj::heap<ShmNetwork>(kj::refcounted<Core>(io, poller, kj::mv(options)), kj::mv(others),
                              kj::Vector<Restriction>());
}

}  // namespace

kj::Own<kj::Network> newNetwork(kj::AsyncIoContext& io, ChannelOptions options) {
  return newNetwork(io, nullptr, kj::mv(options));
}

kj::Own<kj::Network> newNetwork(kj::AsyncIoContext& io, Poller& poller, ChannelOptions options) {
  return newNetwork(io, kj::Maybe<Poller&>(poller), kj::mv(options));
}

}  // namespace shoal
