#include "shoal/transport/outgoing_body.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "capnp/orphan.h"
#include "gtest/gtest.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/test_data.capnp.h"

namespace shoal {
namespace {

class OutgoingBodyTest : public testing::Test {
 protected:
  // As Sender::Claim does it, but for what a body that was used before needs.
  BodyRef Claim(uint32_t hint_words = 0) {
    auto* body = new OutgoingBody(link());
    body->Begin(hint_words);
    return BodyRef(body);
  }

  // Takes back what was given to the link, and drops its blocks.
  void DropFinished() {
    while (OutgoingBody* body = link()->outgoing.Take()) {
      DropBlocks(body);
    }
  }

  void DropBlocks(OutgoingBody* body) {
    for (const HeldBlock& held : body->blocks()) {
      link()->slabs.Drop(held);
    }
    delete body;
  }

  // As the sender does at its end.
  void TearDown() override { link()->outgoing.Close(); }

  const std::shared_ptr<Link>& link() { return links_.left; }
  uint32_t claimed_blocks() { return link()->slabs.claimed_blocks(); }

 private:
  LinkPair links_ = MakeLinkPair();
};

TEST_F(OutgoingBodyTest, BuildsTheFirst31WordsInItsScratch) {
  const BodyRef body = Claim();
  BuildBlob(body->builder(), 1, 28 * 8);
  ASSERT_EQ(body->segments().size(), 1u);
  EXPECT_EQ(body->segments()[0].size(), 31u);
  EXPECT_TRUE(body->InScratch(body->segments()[0]));
  EXPECT_EQ(claimed_blocks(), 0u);
}

TEST_F(OutgoingBodyTest, BuildsWhatDoesNotFitTheScratchInABlock) {
  const BodyRef body = Claim();
  BuildBlob(body->builder(), 1, 29 * 8);
  ASSERT_EQ(body->segments().size(), 2u);
  EXPECT_TRUE(body->InScratch(body->segments()[0]));
  EXPECT_EQ(body->BlockOf(body->segments()[0].begin()), nullptr);
  EXPECT_FALSE(body->InScratch(body->segments()[1]));
  EXPECT_NE(body->BlockOf(body->segments()[1].begin()), nullptr);
  EXPECT_EQ(claimed_blocks(), 1u);
}

TEST_F(OutgoingBodyTest, BuildsAllOfAMessageInOneBlockThatItsHintAskedFor) {
  const BodyRef body = Claim(1000);
  BuildBlob(body->builder(), 1, 7900);
  ASSERT_EQ(body->segments().size(), 1u);
  const HeldBlock* held = body->BlockOf(body->segments()[0].begin());
  ASSERT_NE(held, nullptr);
  EXPECT_GE(held->block.words, 1000u);
}

TEST_F(OutgoingBodyTest, IgnoresAHintThatNoBlockIsLargeEnoughFor) {
  const BodyRef body = Claim(kSmallSlabWords + 1);
  BuildBlob(body->builder(), 1, 8);
  ASSERT_EQ(body->segments().size(), 1u);
  EXPECT_NE(body->BlockOf(body->segments()[0].begin()), nullptr);
}

TEST_F(OutgoingBodyTest, UsesAFewGrowingBlocksForAMessageBuiltInSmallSteps) {
  const BodyRef body = Claim();
  std::vector<capnp::Orphan<capnp::Data>> steps;
  for (int i = 0; i < 400; ++i) {
    steps.push_back(body->builder().getOrphanage().newOrphan<capnp::Data>(64));
  }
  EXPECT_LE(body->segments().size(), 8u);
  EXPECT_EQ(claimed_blocks(), body->segments().size() - 1);
}

TEST_F(OutgoingBodyTest, BuildsOnTheHeapWhenNoBlockIsFree) {
  ASSERT_TRUE(link()->slabs.Claim(kSmallSlabWords).has_value());
  const BodyRef body = Claim();
  BuildBlob(body->builder(), 1, 1000);
  ASSERT_EQ(body->segments().size(), 2u);
  EXPECT_FALSE(body->InScratch(body->segments()[1]));
  EXPECT_EQ(body->BlockOf(body->segments()[1].begin()), nullptr);
  EXPECT_EQ(claimed_blocks(), 1u);
}

TEST(OutgoingBody, WithoutALinkHasFewSegmentsHoweverItIsBuilt) {
  auto* body = new OutgoingBody(nullptr);
  body->Begin(0);
  const BodyRef owner(body);
  auto blobs = body->builder().initRoot<test::Blobs>().initBlobs(2000);
  for (auto blob : blobs) {
    blob.initData(40000);
  }
  EXPECT_LT(body->segments().size(), 40u);
}

TEST_F(OutgoingBodyTest, TakesNoBlockForMemoryOfTheUsersOwn) {
  alignas(8) static const capnp::byte kForeign[4096] = {1};
  const BodyRef body = Claim();
  auto blob = body->builder().initRoot<test::Blob>();
  blob.adoptData(body->builder().getOrphanage().referenceExternalData(
      capnp::Data::Reader(kForeign, sizeof(kForeign))));
  EXPECT_EQ(claimed_blocks(), 0u);
  EXPECT_EQ(body->BlockOf(reinterpret_cast<const capnp::word*>(kForeign)), nullptr);
}

TEST_F(OutgoingBodyTest, HoldsABlockThatIsGivenToIt) {
  const BodyRef body = Claim();
  const HeldBlock held = link()->slabs.Claim(100).value();
  body->Hold(held);
  ASSERT_NE(body->BlockOf(held.begin), nullptr);
  EXPECT_EQ(body->BlockOf(held.begin)->block, held.block);
  EXPECT_EQ(body->BlockOf(held.begin + 1), nullptr);
}

TEST_F(OutgoingBodyTest, CountsTheWordsOfAllItsSegments) {
  const BodyRef body = Claim();
  EXPECT_EQ(body->SizeInWords(), 0u);
  body->builder().initRoot<test::Blob>();
  EXPECT_EQ(body->SizeInWords(), 3u);
  body->builder().getRoot<test::Blob>().initData(800);
  EXPECT_EQ(body->SizeInWords(), 3u + 1 + 100);
}

TEST_F(OutgoingBodyTest, GivesItsBlocksBackWhenItIsGone) {
  BodyRef body = Claim(1000);
  BuildBlob(body->builder(), 1, 20000);
  ASSERT_EQ(claimed_blocks(), 2u);
  body = BodyRef();
  DropFinished();
  EXPECT_EQ(claimed_blocks(), 0u);
}

TEST_F(OutgoingBodyTest, TellsHowMuchOfItsBlocksIsDirtyWhenItIsGone) {
  BodyRef body = Claim(1000);
  BuildBlob(body->builder(), 1, 800);
  const OutgoingBody* gone = body.get();
  const size_t words = body->segments()[0].size();
  body = BodyRef();
  OutgoingBody* returned = link()->outgoing.Take();
  ASSERT_EQ(returned, gone);
  ASSERT_EQ(returned->blocks().size(), 1u);
  EXPECT_EQ(returned->blocks()[0].used_words, words);
  DropBlocks(returned);
}

TEST_F(OutgoingBodyTest, StaysUntilItsLastReferenceIsGone) {
  BodyRef first = Claim();
  BuildBlob(first->builder(), 1, 100);
  BodyRef second = first;
  first = BodyRef();
  EXPECT_EQ(link()->outgoing.Take(), nullptr);
  EXPECT_EQ(second->builder().getRoot<test::Blob>().getNumber(), 1u);
  OutgoingBody* body = second.get();
  second = BodyRef();
  EXPECT_EQ(link()->outgoing.Take(), body);
  delete body;
}

TEST_F(OutgoingBodyTest, MovesWithItsReference) {
  BodyRef first = Claim();
  BodyRef second = std::move(first);
  EXPECT_FALSE(first);
  ASSERT_TRUE(second);
  BodyRef& same = second;
  second = std::move(same);
  EXPECT_TRUE(second);
}

TEST_F(OutgoingBodyTest, IsEmptyWhenItBeginsAgain) {
  BodyRef body = Claim();
  std::ranges::fill(body->builder().initRoot<test::Blob>().initData(200), 0xff);
  body = BodyRef();
  OutgoingBody* again = link()->outgoing.Take();
  ASSERT_NE(again, nullptr);
  again->Begin(0);
  body = BodyRef(again);
  EXPECT_EQ(body->SizeInWords(), 0u);
  auto data = body->builder().initRoot<test::Blob>().initData(200);
  EXPECT_EQ(std::ranges::count(data, 0), 200);
}

TEST_F(OutgoingBodyTest, MayBeLetGoOnAnyThread) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    BodyRef body = Claim(64);
    BuildBlob(body->builder(), i, 300);
    threads.emplace_back([mine = body]() mutable { mine = BodyRef(); });
    threads.emplace_back([mine = std::move(body)]() mutable { mine = BodyRef(); });
  }
  threads.clear();
  DropFinished();
  EXPECT_EQ(claimed_blocks(), 0u);
}

TEST_F(OutgoingBodyTest, KeepsItsLinkAsLongAsItIsHeld) {
  LinkPair links = MakeLinkPair();
  const std::weak_ptr<Link> link = links.left;
  auto* fresh = new OutgoingBody(std::move(links.left));
  fresh->Begin(1000);
  BodyRef body(fresh);
  links.right.reset();
  BuildBlob(body->builder(), 1, 2000);
  EXPECT_FALSE(link.expired());
  EXPECT_EQ(body->builder().getRoot<test::Blob>().getData().size(), 2000u);
  link.lock()->outgoing.Close();
  body = BodyRef();
  EXPECT_TRUE(link.expired());
}

}  // namespace
}  // namespace shoal
