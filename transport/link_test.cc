#include "shoal/transport/link.h"

#include <memory>
#include <optional>
#include <utility>

#include "gtest/gtest.h"
#include "shoal/transport/has_event.h"
#include "shoal/transport/incoming_body.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/outgoing_body.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

bool HasRung(const Link& link) { return HasEvent(link.doorbell.socket()); }

TEST(Link, RingsItsPeer) {
  const LinkPair links = MakeLinkPair();
  EXPECT_FALSE(HasRung(*links.right));
  links.left->doorbell.Ring();
  EXPECT_TRUE(HasRung(*links.right));
  EXPECT_FALSE(HasRung(*links.left));
}

TEST(Link, KnowsWhetherItsPeerIsParked) {
  const LinkPair links = MakeLinkPair();
  EXPECT_FALSE(links.left->parked_peer.MustRing());
  ParkedFlag(&links.right->own.control().parked.value).Raise();
  EXPECT_FALSE(links.left->starved_peer.MustRing());
  EXPECT_TRUE(links.left->parked_peer.MustRing());
}

TEST(Link, KnowsWhetherItsPeerIsStarved) {
  const LinkPair links = MakeLinkPair();
  ParkedFlag(&links.right->own.control().starved.value).Raise();
  EXPECT_FALSE(links.left->parked_peer.MustRing());
  EXPECT_TRUE(links.left->starved_peer.MustRing());
}

TEST(Link, TakesBackWhatItsPeerHasReceiptsFor) {
  const LinkPair links = MakeLinkPair();
  Link& left = *links.left;
  const HeldBlock held = left.slabs.Claim(100).value();
  const BlockDescriptor lent = left.loans.Lend(held);
  left.slabs.Drop(held);
  ASSERT_EQ(left.slabs.lent_blocks(), 1u);
  links.right->receipts.Write(lent.loan);
  EXPECT_THAT(left.loans.Collect(links.left->peer), Succeeds());
  EXPECT_EQ(left.slabs.lent_blocks(), 0u);
  EXPECT_EQ(left.slabs.claimed_blocks(), 0u);
}

TEST(Link, HasAsManyLoansAsItsPeerHasReceipts) {
  const LinkPair links = MakeLinkPair();
  EXPECT_EQ(links.left->loans.available(), kSmallShape.receipts);
}

TEST(Link, ClaimsUpToTheWholeSlab) {
  const LinkPair links = MakeLinkPair();
  EXPECT_TRUE(links.left->slabs.Claim(kSmallSlabWords).has_value());
  EXPECT_FALSE(links.left->slabs.Claim(1).has_value());
}

TEST(Link, LendsBlocksThatItsPeerFinds) {
  const LinkPair links = MakeLinkPair();
  Link& left = *links.left;
  HeldBlock held = left.slabs.Claim(100).value();
  *reinterpret_cast<uint64_t*>(held.memory()) = 42;
  left.slabs.Trim(held, 100);
  const auto found = links.right->theirs.slabs().Find(left.loans.Lend(held));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->words.size(), 100u);
  EXPECT_EQ(*reinterpret_cast<const uint64_t*>(found->words.data()), 42u);
}

TEST(Link, LivesNoLongerThanTheBodiesThatWereGivenBack) {
  LinkPair links = MakeLinkPair();
  const std::weak_ptr<Link> link = links.left;
  ASSERT_TRUE(links.left->outgoing.Give(new OutgoingBody(links.left)));
  ASSERT_TRUE(links.left->incoming.Give(new IncomingBody(links.left)));
  links.left.reset();
  link.lock()->outgoing.Close();
  EXPECT_FALSE(link.expired());
  link.lock()->incoming.Close();
  EXPECT_TRUE(link.expired());
}

}  // namespace
}  // namespace shoal
