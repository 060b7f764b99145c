#include "shoal/tests/stress/packets.h"

#include <string>
#include <vector>

#include "capnp/message.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace shoal::stress {
namespace {

using testing::HasSubstr;

std::string Text(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

class PacketsTest : public testing::Test {
 protected:
  ~PacketsTest() noexcept override {}
  PacketsTest() { Build(message_.initRoot<Packet>(), plan_); }

  absl::Status VerifyIt() { return Verify(message_.getRoot<Packet>().asReader(), plan_); }
  capnp::Data::Builder Piece(uint32_t piece) {
    return message_.getRoot<Packet>().getPieces()[piece];
  }

  capnp::MallocMessageBuilder message_;
  const Plan plan_ = {.number = 7, .pieces = {100, 8000, 13}};
};

TEST_F(PacketsTest, AreAsTheyWereBuilt) { EXPECT_EQ(VerifyIt(), absl::OkStatus()); }

TEST_F(PacketsTest, ShowAChangedWord) {
  Piece(1)[803] ^= 1;
  EXPECT_THAT(Text(VerifyIt()), HasSubstr("message 7, piece 1, word 100: expected"));
}

TEST_F(PacketsTest, ShowAChangedByteBehindTheLastWord) {
  Piece(2)[12] ^= 0x80;
  EXPECT_THAT(Text(VerifyIt()), HasSubstr("message 7, piece 2, byte 12: expected"));
}

TEST_F(PacketsTest, ShowWordsInAnotherOrder) {
  auto piece = Piece(1);
  std::swap_ranges(piece.begin(), piece.begin() + 8, piece.begin() + 8);
  EXPECT_THAT(Text(VerifyIt()), HasSubstr("message 7, piece 1, word 0: expected"));
}

TEST_F(PacketsTest, ShowAMessageThatCameInPlaceOfAnother) {
  message_.getRoot<Packet>().setNumber(8);
  EXPECT_THAT(Text(VerifyIt()), HasSubstr("message 8 came in place of 7"));
}

TEST_F(PacketsTest, ShowPiecesOfAnotherSize) {
  message_.getRoot<Packet>().getPieces().init(1, 8001);
  EXPECT_THAT(Text(VerifyIt()), HasSubstr("piece 1, size 0: expected 8000, came 8001"));
}

TEST(Plans, AreTheSameForTheSameSeed) {
  Plans one(5, 1000);
  Plans other(5, 1000);
  for (int i = 0; i < 100; ++i) {
    const Plan& plan = one.Next();
    EXPECT_EQ(plan.pieces, other.Next().pieces);
    EXPECT_LE(plan.bytes(), 1000);
  }
}

TEST(Plans, ReachBothEndsOfTheirRange) {
  Plans plans(5, 9);
  std::vector<bool> seen(10);
  for (int i = 0; i < 1000; ++i) {
    seen[plans.Next().bytes()] = true;
  }
  EXPECT_THAT(seen, testing::Each(true));
}

}  // namespace
}  // namespace shoal::stress
