#include "shoal/transport/block_arena.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "shoal/transport/deadline.h"

namespace shoal {
namespace {

constexpr uint32_t kGranule = BlockAllocator::kGranuleWords;
constexpr uint32_t kLoans = 16;
constexpr uint32_t kSlabWords = 64 * kGranule;

const Peer kPeer = {.address = "shm:test", .pid = 1};

// An arena, its slab, and the peer that gives blocks back.
struct Fixture {
  std::vector<uint64_t> slab = std::vector<uint64_t>(kSlabWords);
  std::array<Receipt, kLoans> receipts{};
  ReceiptWriter peer{receipts.data(), kLoans};
  BlockArena arena{reinterpret_cast<capnp::word*>(slab.data()), kSlabWords,
                   ReceiptReader(receipts.data(), kLoans), kLoans};

  std::span<uint64_t> Words(const HeldBlock& held) {
    return std::span(slab).subspan(held.block.offset_words, held.block.words);
  }

  // A block of which `words` words are built, as a message does it.
  HeldBlock Build(uint32_t words) {
    HeldBlock held = arena.Claim(words).value();
    std::fill_n(Words(held).begin(), words, 0xdeadbeef);
    arena.Trim(held, words);
    return held;
  }
};

bool AllZero(std::span<const uint64_t> words) {
  return std::all_of(words.begin(), words.end(), [](uint64_t word) { return word == 0; });
}

TEST(BlockArena, ClaimsABlockWhereTheOwnerHasItMapped) {
  Fixture f;
  const std::optional<HeldBlock> held = f.arena.Claim(100);
  ASSERT_TRUE(held);
  EXPECT_GE(held->block.words, 100u);
  EXPECT_EQ(held->begin, f.arena.At(held->block));
  EXPECT_EQ(held->begin, reinterpret_cast<capnp::word*>(f.Words(*held).data()));
  EXPECT_EQ(held->used_words, 0u);
}

TEST(BlockArena, HasNothingToClaimWhenTheSlabIsFull) {
  Fixture f;
  ASSERT_TRUE(f.arena.Claim(kSlabWords));
  EXPECT_FALSE(f.arena.Claim(1));
}

TEST(BlockArena, TrimsABlockToWhatWasUsed) {
  Fixture f;
  HeldBlock held = f.arena.Claim(kSlabWords).value();
  f.arena.Trim(held, kGranule + 1);
  EXPECT_EQ(held.used_words, kGranule + 1);
  EXPECT_EQ(held.block.words, 2 * kGranule);
  EXPECT_TRUE(f.arena.Claim(kSlabWords - 2 * kGranule));
}

TEST(BlockArena, TellsThePeerWhereALentBlockIs) {
  Fixture f;
  f.Build(70);
  const HeldBlock second = f.Build(3);
  const BlockDescriptor descriptor = f.arena.Lend(second);
  EXPECT_EQ(descriptor.slab, 0u);
  EXPECT_LT(descriptor.loan, kLoans);
  EXPECT_EQ(descriptor.offset_words, second.block.offset_words);
  EXPECT_EQ(descriptor.words, 3u);
}

TEST(BlockArena, GivesEachBlockThatIsLentALoanOfItsOwn) {
  Fixture f;
  std::set<uint32_t> loans;
  for (uint32_t i = 0; i < kLoans; ++i) {
    EXPECT_EQ(f.arena.free_loans(), kLoans - i);
    loans.insert(f.arena.Lend(f.Build(1)).loan);
  }
  EXPECT_EQ(f.arena.free_loans(), 0u);
  EXPECT_EQ(loans.size(), kLoans);
  EXPECT_LT(*loans.rbegin(), kLoans);
}

TEST(BlockArena, LendsALoanAgainOnceItsReceiptCame) {
  Fixture f;
  BlockDescriptor last;
  for (uint32_t i = 0; i < kLoans; ++i) {
    last = f.arena.Lend(f.Build(1));
  }
  f.peer.Write(last.loan);
  ASSERT_EQ(f.arena.Collect(kPeer), absl::OkStatus());
  EXPECT_EQ(f.arena.free_loans(), 1u);
  EXPECT_EQ(f.arena.Lend(f.Build(1)).loan, last.loan);
}

// Until both are done

TEST(BlockArena, CountsWhatIsClaimedAndWhatThePeerHas) {
  Fixture f;
  const HeldBlock held = f.Build(1);
  EXPECT_EQ(f.arena.claimed_blocks(), 1u);
  EXPECT_EQ(f.arena.lent_blocks(), 0u);
  const BlockDescriptor descriptor = f.arena.Lend(held);
  EXPECT_EQ(f.arena.lent_blocks(), 1u);
  f.arena.Drop(held);
  EXPECT_EQ(f.arena.claimed_blocks(), 1u);
  f.peer.Write(descriptor.loan);
  ASSERT_EQ(f.arena.Collect(kPeer), absl::OkStatus());
  EXPECT_EQ(f.arena.claimed_blocks(), 0u);
  EXPECT_EQ(f.arena.lent_blocks(), 0u);
}

TEST(BlockArena, KeepsABlockThatThisSideHoldsWhenThePeerIsDone) {
  Fixture f;
  const HeldBlock held = f.Build(kSlabWords);
  f.peer.Write(f.arena.Lend(held).loan);
  ASSERT_EQ(f.arena.Collect(kPeer), absl::OkStatus());
  EXPECT_FALSE(f.arena.Claim(1));
  f.arena.Drop(held);
  EXPECT_TRUE(f.arena.Claim(1));
}

TEST(BlockArena, KeepsABlockThatThePeerHoldsWhenThisSideIsDone) {
  Fixture f;
  const HeldBlock held = f.Build(kSlabWords);
  const BlockDescriptor descriptor = f.arena.Lend(held);
  f.arena.Drop(held);
  EXPECT_FALSE(f.arena.Claim(1));
  f.peer.Write(descriptor.loan);
  ASSERT_EQ(f.arena.Collect(kPeer), absl::OkStatus());
  EXPECT_TRUE(f.arena.Claim(1));
}

TEST(BlockArena, ReusesABlockThatWasNeverLentAsSoonAsItIsDropped) {
  Fixture f;
  f.arena.Drop(f.Build(kSlabWords));
  EXPECT_TRUE(f.arena.Claim(kSlabWords));
}

TEST(BlockArena, GivesOutZeroedMemoryWhoeverWasDoneLast) {
  Fixture f;
  const HeldBlock mine_last = f.Build(kSlabWords / 2);
  const HeldBlock peers_last = f.Build(kSlabWords / 2);
  const uint32_t first_loan = f.arena.Lend(mine_last).loan;
  const uint32_t second_loan = f.arena.Lend(peers_last).loan;
  f.arena.Drop(peers_last);
  f.peer.Write(first_loan);
  f.peer.Write(second_loan);
  ASSERT_EQ(f.arena.Collect(kPeer), absl::OkStatus());
  f.arena.Drop(mine_last);
  const std::optional<HeldBlock> again = f.arena.Claim(kSlabWords);
  ASSERT_TRUE(again);
  EXPECT_TRUE(AllZero(f.Words(*again)));
}

TEST(BlockArena, GivesOutZeroedMemoryAfterAMessageThatWasNotSent) {
  Fixture f;
  HeldBlock held = f.arena.Claim(kSlabWords).value();
  std::fill_n(f.Words(held).begin(), 1000, 0xdeadbeef);
  held.used_words = 1000;
  f.arena.Drop(held);
  EXPECT_TRUE(AllZero(f.Words(f.arena.Claim(kSlabWords).value())));
}

// A peer that writes nonsense

TEST(BlockArena, CollectsNothingFromAPeerThatGaveNothingBack) {
  Fixture f;
  f.arena.Lend(f.Build(1));
  EXPECT_EQ(f.arena.Collect(kPeer), absl::OkStatus());
  EXPECT_EQ(f.arena.lent_blocks(), 1u);
}

TEST(BlockArena, RefusesAReceiptForALoanThatDoesNotExist) {
  Fixture f;
  f.peer.Write(kLoans);
  EXPECT_EQ(f.arena.Collect(kPeer),
            CorruptPeer(kPeer, "a receipt", kLoans, "a block that it has and has not given back"));
  f.peer.Write(UINT32_MAX);
  EXPECT_EQ(f.arena.Collect(kPeer), CorruptPeer(kPeer, "a receipt", UINT32_MAX,
                                                "a block that it has and has not given back"));
}

TEST(BlockArena, RefusesAReceiptForABlockThatWasNotLent) {
  Fixture f;
  const BlockDescriptor lent = f.arena.Lend(f.Build(1));
  const uint32_t other = lent.loan == 0 ? 1 : 0;
  f.peer.Write(other);
  EXPECT_EQ(f.arena.Collect(kPeer).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(f.arena.lent_blocks(), 1u);
}

TEST(BlockArena, RefusesASecondReceiptForTheSameBlock) {
  Fixture f;
  const HeldBlock held = f.Build(1);
  const BlockDescriptor lent = f.arena.Lend(held);
  f.peer.Write(lent.loan);
  f.peer.Write(lent.loan);
  EXPECT_EQ(f.arena.Collect(kPeer).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(f.arena.lent_blocks(), 0u);
  EXPECT_EQ(f.arena.claimed_blocks(), 1u) << "this side still holds it";
}

// Two threads

constexpr uint32_t kBlockWords = kSlabWords / kLoans;

// Reads each block that it is lent, and gives it back at once. Counts the words that are wrong:
// message n consists of words n.
uint64_t ReadAll(const std::stop_token& stop, Fixture& f,
                 std::array<std::atomic<uint64_t>, kLoans>& lent) {
  uint64_t wrong = 0;
  while (!stop.stop_requested()) {
    for (uint32_t loan = 0; loan < kLoans; ++loan) {
      const uint64_t entry = lent[loan].exchange(0, std::memory_order_acquire);
      if (entry == 0) {
        continue;
      }
      const uint64_t message = entry >> 32;
      const auto words = std::span(f.slab).subspan(entry & UINT32_MAX, kBlockWords);
      wrong += kBlockWords - std::count(words.begin(), words.end(), message);
      f.peer.Write(loan);
    }
    std::this_thread::yield();
  }
  return wrong;
}

TEST(BlockArena, WritesToNoBlockThatAnotherThreadStillReads) {
  Fixture f;
  std::array<std::atomic<uint64_t>, kLoans> lent{};
  uint64_t wrong = 0;
  uint64_t not_zero = 0;
  std::jthread reader([&](const std::stop_token& stop) { wrong = ReadAll(stop, f, lent); });
  const Deadline lost = Deadline::After(absl::Seconds(60));
  for (uint64_t message = 1; message <= 20'000; ++message) {
    std::optional<HeldBlock> held;
    while (!(held = f.arena.Claim(kBlockWords))) {
      ASSERT_FALSE(lost.passed()) << "no block comes back for message " << message;
      ASSERT_EQ(f.arena.Collect(kPeer), absl::OkStatus());
      std::this_thread::yield();
    }
    not_zero += !AllZero(f.Words(*held));
    std::ranges::fill(f.Words(*held), message);
    f.arena.Trim(*held, kBlockWords);
    const BlockDescriptor descriptor = f.arena.Lend(*held);
    f.arena.Drop(*held);
    lent[descriptor.loan].store(message << 32 | descriptor.offset_words, std::memory_order_release);
  }
  while (f.arena.lent_blocks() > 0) {
    ASSERT_FALSE(lost.passed()) << "not all blocks come back";
    ASSERT_EQ(f.arena.Collect(kPeer), absl::OkStatus());
    std::this_thread::yield();
  }
  reader.request_stop();
  reader.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(not_zero, 0u);
}

}  // namespace
}  // namespace shoal
