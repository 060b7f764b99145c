#include "shoal/rpc/upgrade.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/async-io.h"
#include "kj/debug.h"
#include "shoal/rpc/options.h"

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

sockaddr_in ipv4(const char* host, uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  KJ_ASSERT(inet_pton(AF_INET, host, &address.sin_addr) == 1);
  return address;
}

sockaddr_in6 ipv6(const char* host, uint16_t port) {
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  KJ_ASSERT(inet_pton(AF_INET6, host, &address.sin6_addr) == 1);
  return address;
}

template <typename Address>
std::vector<std::string> offers(Address address, const std::vector<uid_t>& otherUids = {}) {
  std::vector<std::string> texts;
  for (auto& offer: sharedMemoryOffers(reinterpret_cast<const sockaddr&>(address), otherUids)) {
    texts.push_back(offer.cStr());
  }
  return texts;
}

TEST(Upgrade, GivesNoMoreTrustThanTcpUnlessToldTo) {
  ChannelOptions options;
  EXPECT_EQ(forUpgrade(options, Trust::kNone).trust, Trust::kNone);
  EXPECT_EQ(forUpgrade(options, Trust::kPeer).trust, std::nullopt);
  options.trust = Trust::kPeer;
  EXPECT_EQ(forUpgrade(options, Trust::kNone).trust, Trust::kNone);
  EXPECT_EQ(forUpgrade(options, Trust::kPeer).trust, Trust::kPeer);
  EXPECT_EQ(RpcServerOptions().upgradeTrust, Trust::kNone);
  EXPECT_EQ(RpcClientOptions().upgradeTrust, Trust::kNone);
}

TEST(Upgrade, AServersOfferNamesTheAddressItIsBoundTo) {
  sockaddr_in ip = {};
  ip.sin_family = AF_INET;
  ip.sin_port = htons(5923);
  ip.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_STREQ(KJ_ASSERT_NONNULL(sharedMemoryOffer(reinterpret_cast<sockaddr&>(ip))).cStr(),
               "shm:tcp/127.0.0.1:5923");
  sockaddr_in6 any = {};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(80);
  EXPECT_STREQ(KJ_ASSERT_NONNULL(sharedMemoryOffer(reinterpret_cast<sockaddr&>(any))).cStr(),
               "shm:tcp/[::]:80");
  sockaddr_un path = {};
  path.sun_family = AF_UNIX;
  EXPECT_TRUE(sharedMemoryOffer(reinterpret_cast<sockaddr&>(path)) == nullptr);
}

TEST(Upgrade, AClientLooksForTheAddressAndThenForAnyAddress) {
  EXPECT_THAT(offers(ipv4("127.0.0.1", 5923)),
              ElementsAre("shm:tcp/127.0.0.1:5923", "shm:tcp/0.0.0.0:5923", "shm:tcp/[::]:5923"));
  EXPECT_THAT(offers(ipv6("::1", 5923)), ElementsAre("shm:tcp/[::1]:5923", "shm:tcp/[::]:5923"));
}

TEST(Upgrade, AnIpv4AddressInIpv6IsThatAddress) {
  EXPECT_EQ(offers(ipv6("::ffff:127.0.0.1", 80)), offers(ipv4("127.0.0.1", 80)));
}

TEST(Upgrade, AClientLooksForServersOfTheUsersThatItAllowsToo) {
  EXPECT_THAT(offers(ipv6("::1", 80), {0, 12345}),
              ElementsAre("shm:tcp/[::1]:80", "shm:tcp/[::1]:80@0", "shm:tcp/[::1]:80@12345",
                          "shm:tcp/[::]:80", "shm:tcp/[::]:80@0", "shm:tcp/[::]:80@12345"));
}

TEST(Upgrade, AClientLooksNowhereForAnotherMachine) {
  EXPECT_THAT(offers(ipv4("192.0.2.1", 5923)), IsEmpty());
  EXPECT_THAT(offers(ipv6("2001:db8::1", 5923)), IsEmpty());
}

TEST(Upgrade, WhatIsNoIpAddressHasNoOffer) {
  sockaddr_un path = {};
  path.sun_family = AF_UNIX;
  EXPECT_THAT(offers(path), IsEmpty());
}

TEST(Upgrade, BothEndsOfATcpConnectionKnowItByTheSameClaim) {
  auto io = kj::setupAsyncIo();
  // An IPv4 client of an IPv6 socket, whose ends the two sides name differently.
  auto listener = io.provider->getNetwork().parseAddress("*").wait(io.waitScope)->listen();
  auto address =
      io.provider->getNetwork().parseAddress("127.0.0.1", listener->getPort()).wait(io.waitScope);
  auto client = address->connect().wait(io.waitScope);
  auto server = listener->accept().wait(io.waitScope);
  EXPECT_EQ(KJ_ASSERT_NONNULL(tcpConnectionFromClient(*client)).getClaim(),
            KJ_ASSERT_NONNULL(tcpConnectionFromServer(*server)).getClaim());
}

TEST(Upgrade, AnotherKindOfStreamIsNoTcpConnection) {
  auto io = kj::setupAsyncIo();
  auto pipe = io.provider->newTwoWayPipe();
  EXPECT_TRUE(tcpConnectionFromClient(*pipe.ends[0]) == nullptr);
  EXPECT_TRUE(tcpConnectionFromServer(*pipe.ends[1]) == nullptr);
}

}  // namespace
}  // namespace shoal
