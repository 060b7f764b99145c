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
      family = AF_INET6;
      memcpy(bytes, &ip.sin6_addr, sizeof(ip.sin6_addr));
      port = ntohs(ip.sin6_port);
    }
  }

  static kj::Maybe<IpAddress> parse(kj::StringPtr text) {
    // "127.0.0.1:5923" or "[::1]:5923".
    KJ_IF_MAYBE (colon, text.findLast(':')) {
      kj::String host = kj::str(text.slice(0, *colon));
      IpAddress ip;
      ip.port = static_cast<uint16_t>(atoi(text.slice(*colon + 1).cStr()));
      if (host.startsWith("[") && host.size() > 2) {
        ip.family = AF_INET6;
        host = kj::str(host.slice(1, host.size() - 1));
      } else {
        ip.family = AF_INET;
      }
      if (inet_pton(ip.family, host.cStr(), ip.bytes) == 1) {
        return ip;
      }
    }
    return nullptr;
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

  kj::String offer() const {
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(family, bytes, text, sizeof(text));
    return family == AF_INET6 ? kj::str("shm:tcp/[", text, "]:", port)
                              : kj::str("shm:tcp/", text, ":", port);
  }

  int getFamily() const { return family; }

private:
  IpAddress() = default;

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

}  // namespace

kj::Maybe<kj::String> sharedMemoryOffer(const struct sockaddr& bound) {
  const IpAddress ip(bound);
  if (!ip.isIp()) {
    return nullptr;
  }
  return ip.offer();
}

kj::Array<kj::String> sharedMemoryOffers(kj::StringPtr addresses,
                                         const std::vector<uid_t>& otherUids) {
  kj::Vector<kj::String> offers;
  const auto add = [&](kj::String offer) {
    const size_t own = offers.size();
    offers.add(kj::mv(offer));
    for (const uid_t uid: otherUids) {
      offers.add(kj::str(offers[own], "@", uid));
    }
  };
  while (addresses.size() > 0) {
    const size_t end = addresses.findFirst(',').orDefault(addresses.size());
    KJ_IF_MAYBE (ip, IpAddress::parse(kj::str(addresses.slice(0, end)))) {
      if (ip->isOfThisMachine()) {
        add(ip->offer());
        if (ip->getFamily() == AF_INET) {
          add(ip->any(AF_INET).offer());
        }
        add(ip->any(AF_INET6).offer());  // which takes both kinds
      }
    }
    addresses = addresses.slice(kj::min(end + 1, addresses.size()));
  }
  return offers.releaseAsArray();
}

ChannelOptions forUpgrade(ChannelOptions options, Trust upgradeTrust) {
  if (upgradeTrust == Trust::kNone) {
    options.trust = Trust::kNone;
  }
  return options;
}

}  // namespace shoal
