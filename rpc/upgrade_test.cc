#include "shoal/rpc/upgrade.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/debug.h"
#include "shoal/rpc/options.h"

namespace shoal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> offers(kj::StringPtr addresses) {
  std::vector<std::string> texts;
  for (auto& offer: sharedMemoryOffers(addresses)) {
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
  EXPECT_THAT(offers("127.0.0.1:5923"),
              ElementsAre("shm:tcp/127.0.0.1:5923", "shm:tcp/0.0.0.0:5923", "shm:tcp/[::]:5923"));
  EXPECT_THAT(offers("[::1]:5923"), ElementsAre("shm:tcp/[::1]:5923", "shm:tcp/[::]:5923"));
}

TEST(Upgrade, AClientLooksForServersOfTheUsersThatItAllowsToo) {
  std::vector<std::string> texts;
  for (auto& offer: sharedMemoryOffers("[::1]:80", {0, 12345})) {
    texts.push_back(offer.cStr());
  }
  EXPECT_THAT(texts, ElementsAre("shm:tcp/[::1]:80", "shm:tcp/[::1]:80@0", "shm:tcp/[::1]:80@12345",
                                 "shm:tcp/[::]:80", "shm:tcp/[::]:80@0", "shm:tcp/[::]:80@12345"));
}

TEST(Upgrade, AClientLooksForEachAddressOfAHost) {
  EXPECT_THAT(offers("[::1]:1,127.0.0.2:1"),
              ElementsAre("shm:tcp/[::1]:1", "shm:tcp/[::]:1", "shm:tcp/127.0.0.2:1",
                          "shm:tcp/0.0.0.0:1", "shm:tcp/[::]:1"));
}

TEST(Upgrade, AClientLooksNowhereForAnotherMachine) {
  EXPECT_THAT(offers("192.0.2.1:5923"), IsEmpty());
  EXPECT_THAT(offers("[2001:db8::1]:5923"), IsEmpty());
}

TEST(Upgrade, WhatIsNoIpAddressHasNoOffer) {
  EXPECT_THAT(offers("unix:/tmp/socket"), IsEmpty());
  EXPECT_THAT(offers("[:1"), IsEmpty());
  EXPECT_THAT(offers("[]:1"), IsEmpty());
  EXPECT_THAT(offers(""), IsEmpty());
}

}  // namespace
}  // namespace shoal
