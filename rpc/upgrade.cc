#include "shoal/rpc/upgrade.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <cstring>
#include <string>

#include "kj/debug.h"
#include "kj/vector.h"

namespace shoal {
namespace {

class IpAddress {
public:
  explicit IpAddress(const struct sockaddr& address) {
    if (address.sa_family == AF_INET) {
      const auto& ip = reinterpret_cast<const struct sockaddr_in&>(address);
      family = AF_INET;
      memcpy(bytes, &ip.sin_addr, sizeof(ip.sin_addr));
      port = ntohs(ip.sin_port);
    } else if (address.sa_family == AF_INET6) {
      const auto& ip = reinterpret_cast<const struct sockaddr_in6&>(address);
      family = IN6_IS_ADDR_V4MAPPED(&ip.sin6_addr) ? AF_INET : AF_INET6;
      memcpy(bytes, ip.sin6_addr.s6_addr + (family == AF_INET ? 12 : 0),
             sizeof(ip.sin6_addr) - (family == AF_INET ? 12 : 0));
      port = ntohs(ip.sin6_port);
    }
  }

  bool isIp() const { return family != AF_UNSPEC; }

  bool isOfThisMachine() const {
    if (isLoopback()) {
      return true;
    }
    struct ifaddrs* interfaces = nullptr;
    if (getifaddrs(&interfaces) != 0) {
      return false;
    }
    KJ_DEFER(freeifaddrs(interfaces));
    for (auto* i = interfaces; i != nullptr; i = i->ifa_next) {
      if (i->ifa_addr != nullptr && sameHost(IpAddress(*i->ifa_addr))) {
        return true;
      }
    }
    return false;
  }

  IpAddress any(int ofFamily) const {
    IpAddress any;
    any.family = ofFamily;
    any.port = port;
    return any;
  }

  kj::String toString() const {
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(family, bytes, text, sizeof(text));
    return family == AF_INET6 ? kj::str("[", text, "]:", port) : kj::str(text, ":", port);
  }

  kj::String offer() const { return kj::str("shm:tcp/", toString()); }

  int getFamily() const { return family; }

private:
  IpAddress() = default;  // of any()

  bool isLoopback() const {
    return family == AF_INET ? bytes[0] == 127
                             : memcmp(bytes, &in6addr_loopback, sizeof(in6addr_loopback)) == 0;
  }

  bool sameHost(const IpAddress& other) const {
    return family == other.family && memcmp(bytes, other.bytes, sizeof(bytes)) == 0;
  }

  int family = AF_UNSPEC;
  kj::byte bytes[16] = {};
  uint16_t port = 0;
};

using GetName = void (kj::AsyncIoStream::*)(struct sockaddr*, kj::uint*);

IpAddress nameOf(kj::AsyncIoStream& stream, GetName getName) {
  struct sockaddr_storage address = {};
  kj::uint length = sizeof(address);
  // A socket that the peer has reset has no name any more.
  auto failure = kj::runCatchingExceptions(
      [&]() { (stream.*getName)(reinterpret_cast<struct sockaddr*>(&address), &length); });
  if (failure != nullptr) {
    address = {};
  }
  return IpAddress(reinterpret_cast<const struct sockaddr&>(address));
}

struct EndsOf {
  explicit EndsOf(kj::AsyncIoStream& stream)
      : own(nameOf(stream, &kj::AsyncIoStream::getsockname)),
        peer(nameOf(stream, &kj::AsyncIoStream::getpeername)) {}

  const IpAddress own;
  const IpAddress peer;
};

}  // namespace

kj::Maybe<kj::String> sharedMemoryOffer(const struct sockaddr& bound) {
  const IpAddress ip(bound);
  if (!ip.isIp()) {
    return nullptr;
  }
  return ip.offer();
}

namespace {

kj::Array<kj::String> sharedMemoryOffers(const IpAddress& ip, const std::vector<uid_t>& otherUids) {
  kj::Vector<kj::String> offers;
  if (!ip.isIp() || !ip.isOfThisMachine()) {
    return offers.releaseAsArray();
  }
  const auto add = [&](kj::String offer) {
    const size_t own = offers.size();
    offers.add(kj::mv(offer));
    for (const uid_t uid: otherUids) {
      offers.add(kj::str(offers[own], "@", uid));
    }
  };
  add(ip.offer());
  if (ip.getFamily() == AF_INET) {
    add(ip.any(AF_INET).offer());
  }
  add(ip.any(AF_INET6).offer());  // which takes both kinds
  return offers.releaseAsArray();
}

}  // namespace

kj::Array<kj::String> sharedMemoryOffers(const struct sockaddr& server,
                                         const std::vector<uid_t>& otherUids) {
  return sharedMemoryOffers(IpAddress(server), otherUids);
}

kj::Array<kj::String> sharedMemoryOffers(kj::AsyncIoStream& toServer,
                                         const std::vector<uid_t>& otherUids) {
  return sharedMemoryOffers(EndsOf(toServer).peer, otherUids);
}

kj::Maybe<TcpConnection> tcpConnectionFromClient(kj::AsyncIoStream& stream) {
  const EndsOf ends(stream);
  if (!ends.own.isIp() || !ends.peer.isIp()) {
    return nullptr;
  }
  return TcpConnection{ends.own.toString(), ends.peer.toString()};
}

kj::Maybe<TcpConnection> tcpConnectionFromServer(kj::AsyncIoStream& stream) {
  const EndsOf ends(stream);
  if (!ends.own.isIp() || !ends.peer.isIp()) {
    return nullptr;
  }
  return TcpConnection{ends.peer.toString(), ends.own.toString()};
}

ChannelOptions forUpgrade(ChannelOptions options, Trust upgradeTrust) {
  if (upgradeTrust == Trust::kNone) {
    options.trust = Trust::kNone;
  }
  return options;
}

}  // namespace shoal
