#include "shoal/transport/loans.h"

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
#include "shoal/transport/socket.h"

namespace shoal {
namespace {

constexpr uint32_t kGranule = BlockAllocator::kGranuleWords;
constexpr uint32_t kLoans = 16;
constexpr uint32_t kSlabWords = 64 * kGranule;

const Peer kPeer = {.address = "shm:test", .pid = 1};

// One slab, its loans, and the peer that gives blocks back.
struct Fixture {
  Doorbell doorbell{SocketPair().value().first};
  WriterCounters counters{};
  Slabs slabs{Region::Create(kSlabWords * sizeof(capnp::word)).value(),
              {.slab_bytes = kSlabWords * sizeof(capnp::word)},
              doorbell,
              counters};
  std::array<Receipt, kLoans> receipts{};
  ReceiptWriter peer{receipts.data(), kLoans};
  Loans loans{slabs, ReceiptReader(receipts.data(), kLoans), kLoans};

  std::span<uint64_t> Words(const HeldBlock& held) {
    return {reinterpret_cast<uint64_t*>(held.memory()), held.block.words};
  }

  // A block of which `words` words are built, as a message does it.
  HeldBlock Build(uint32_t words) {
    HeldBlock held = slabs.Claim(words).value();
    std::fill_n(Words(held).begin(), words, 0xdeadbeef);
    slabs.Trim(held, words);
    return held;
  }
};

bool AllZero(std::span<const uint64_t> words) {
  return std::all_of(words.begin(), words.end(), [](uint64_t word) { return word == 0; });
}

TEST(Loans, ClaimsABlockWhereTheOwnerHasItMapped) {
  Fixture f;
  const std::optional<HeldBlock> held = f.slabs.Claim(100);
  ASSERT_TRUE(held);
  EXPECT_GE(held->block.words, 100u);
  EXPECT_EQ(held->begin, held->memory());
  EXPECT_EQ(held->begin, reinterpret_cast<capnp::word*>(f.Words(*held).data()));
  EXPECT_EQ(held->used_words, 0u);
}

TEST(Loans, HasNothingToClaimWhenTheSlabIsFull) {
  Fixture f;
  ASSERT_TRUE(f.slabs.Claim(kSlabWords));
  EXPECT_FALSE(f.slabs.Claim(1));
}

TEST(Loans, TrimsABlockToWhatWasUsed) {
  Fixture f;
  HeldBlock held = f.slabs.Claim(kSlabWords).value();
  f.slabs.Trim(held, kGranule + 1);
  EXPECT_EQ(held.used_words, kGranule + 1);
  EXPECT_EQ(held.block.words, 2 * kGranule);
  EXPECT_TRUE(f.slabs.Claim(kSlabWords - 2 * kGranule));
}

TEST(Loans, TellsThePeerWhereALentBlockIs) {
  Fixture f;
  f.Build(70);
  const HeldBlock second = f.Build(3);
  const BlockDescriptor descriptor = f.loans.Lend(second);
  EXPECT_EQ(descriptor.slab, 0u);
  EXPECT_LT(descriptor.loan, kLoans);
  EXPECT_EQ(descriptor.offset_words, second.block.offset_words);
  EXPECT_EQ(descriptor.words, 3u);
}

TEST(Loans, GivesEachBlockThatIsLentALoanOfItsOwn) {
  Fixture f;
  std::set<uint32_t> loans;
  for (uint32_t i = 0; i < kLoans; ++i) {
    EXPECT_EQ(f.loans.available(), kLoans - i);
    loans.insert(f.loans.Lend(f.Build(1)).loan);
  }
  EXPECT_EQ(f.loans.available(), 0u);
  EXPECT_EQ(loans.size(), kLoans);
  EXPECT_LT(*loans.rbegin(), kLoans);
}

TEST(Loans, LendsALoanAgainOnceItsReceiptCame) {
  Fixture f;
  BlockDescriptor last;
  for (uint32_t i = 0; i < kLoans; ++i) {
    last = f.loans.Lend(f.Build(1));
  }
  f.peer.Write(last.loan);
  ASSERT_EQ(f.loans.Collect(kPeer), absl::OkStatus());
  EXPECT_EQ(f.loans.available(), 1u);
  EXPECT_EQ(f.loans.Lend(f.Build(1)).loan, last.loan);
}

// Until both are done

TEST(Loans, CountsWhatIsClaimedAndWhatThePeerHas) {
  Fixture f;
  const HeldBlock held = f.Build(1);
  EXPECT_EQ(f.slabs.claimed_blocks(), 1u);
  EXPECT_EQ(f.slabs.lent_blocks(), 0u);
  const BlockDescriptor descriptor = f.loans.Lend(held);
  EXPECT_EQ(f.slabs.lent_blocks(), 1u);
  f.slabs.Drop(held);
  EXPECT_EQ(f.slabs.claimed_blocks(), 1u);
  f.peer.Write(descriptor.loan);
  ASSERT_EQ(f.loans.Collect(kPeer), absl::OkStatus());
  EXPECT_EQ(f.slabs.claimed_blocks(), 0u);
  EXPECT_EQ(f.slabs.lent_blocks(), 0u);
}

TEST(Loans, KeepsABlockThatThisSideHoldsWhenThePeerIsDone) {
  Fixture f;
  const HeldBlock held = f.Build(kSlabWords);
  f.peer.Write(f.loans.Lend(held).loan);
  ASSERT_EQ(f.loans.Collect(kPeer), absl::OkStatus());
  EXPECT_FALSE(f.slabs.Claim(1));
  f.slabs.Drop(held);
  EXPECT_TRUE(f.slabs.Claim(1));
}

TEST(Loans, KeepsABlockThatThePeerHoldsWhenThisSideIsDone) {
  Fixture f;
  const HeldBlock held = f.Build(kSlabWords);
  const BlockDescriptor descriptor = f.loans.Lend(held);
  f.slabs.Drop(held);
  EXPECT_FALSE(f.slabs.Claim(1));
  f.peer.Write(descriptor.loan);
  ASSERT_EQ(f.loans.Collect(kPeer), absl::OkStatus());
  EXPECT_TRUE(f.slabs.Claim(1));
}

TEST(Loans, ReusesABlockThatWasNeverLentAsSoonAsItIsDropped) {
  Fixture f;
  f.slabs.Drop(f.Build(kSlabWords));
  EXPECT_TRUE(f.slabs.Claim(kSlabWords));
}

TEST(Loans, GivesOutZeroedMemoryWhoeverWasDoneLast) {
  Fixture f;
  const HeldBlock mine_last = f.Build(kSlabWords / 2);
  const HeldBlock peers_last = f.Build(kSlabWords / 2);
  const uint32_t first_loan = f.loans.Lend(mine_last).loan;
  const uint32_t second_loan = f.loans.Lend(peers_last).loan;
  f.slabs.Drop(peers_last);
  f.peer.Write(first_loan);
  f.peer.Write(second_loan);
  ASSERT_EQ(f.loans.Collect(kPeer), absl::OkStatus());
  f.slabs.Drop(mine_last);
  const std::optional<HeldBlock> again = f.slabs.Claim(kSlabWords);
  ASSERT_TRUE(again);
  EXPECT_TRUE(AllZero(f.Words(*again)));
}

TEST(Loans, GivesOutZeroedMemoryAfterAMessageThatWasNotSent) {
  Fixture f;
  HeldBlock held = f.slabs.Claim(kSlabWords).value();
  std::fill_n(f.Words(held).begin(), 1000, 0xdeadbeef);
  held.used_words = 1000;
  f.slabs.Drop(held);
  EXPECT_TRUE(AllZero(f.Words(f.slabs.Claim(kSlabWords).value())));
}

// A peer that writes nonsense

TEST(Loans, CollectsNothingFromAPeerThatGaveNothingBack) {
  Fixture f;
  f.loans.Lend(f.Build(1));
  EXPECT_EQ(f.loans.Collect(kPeer), absl::OkStatus());
  EXPECT_EQ(f.slabs.lent_blocks(), 1u);
}

TEST(Loans, RefusesAReceiptForALoanThatDoesNotExist) {
  Fixture f;
  f.peer.Write(kLoans);
  const absl::Status corrupt =
      CorruptPeer(kPeer, "a receipt", kLoans, "a block that it has and has not given back");
  EXPECT_EQ(f.loans.Collect(kPeer), corrupt);
  f.peer.Write(0);
  EXPECT_EQ(f.loans.Collect(kPeer), corrupt) << "and from then on";
}

TEST(Loans, RefusesAReceiptForABlockThatWasNotLent) {
  Fixture f;
  const BlockDescriptor lent = f.loans.Lend(f.Build(1));
  const uint32_t other = lent.loan == 0 ? 1 : 0;
  f.peer.Write(other);
  EXPECT_EQ(f.loans.Collect(kPeer).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(f.slabs.lent_blocks(), 1u);
}

TEST(Loans, RefusesASecondReceiptForTheSameBlock) {
  Fixture f;
  const HeldBlock held = f.Build(1);
  const BlockDescriptor lent = f.loans.Lend(held);
  f.peer.Write(lent.loan);
  f.peer.Write(lent.loan);
  EXPECT_EQ(f.loans.Collect(kPeer).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(f.slabs.lent_blocks(), 0u);
  EXPECT_EQ(f.slabs.claimed_blocks(), 1u) << "this side still holds it";
}

// Two threads

constexpr uint32_t kBlockWords = kSlabWords / kLoans;

// How many words of a block are not `word`. A peer has a mapping of its own; here it reads the
// owner's, where AddressSanitizer would not have a block read that was dropped.
__attribute__((no_sanitize("address"))) uint64_t CountOthers(const uint64_t* words, uint64_t word) {
  uint64_t others = 0;
  for (uint32_t i = 0; i < kBlockWords; ++i) {
    others += words[i] == word ? 0 : 1;
  }
  return others;
}

// Reads each block that it is lent, and gives it back at once. Counts the words that are wrong:
// message n consists of words n.
uint64_t ReadAll(const std::stop_token& stop, const uint64_t* slab, Fixture& f,
                 std::array<std::atomic<uint64_t>, kLoans>& lent) {
  uint64_t wrong = 0;
  while (!stop.stop_requested()) {
    for (uint32_t loan = 0; loan < kLoans; ++loan) {
      const uint64_t entry = lent[loan].exchange(0, std::memory_order_acquire);
      if (entry == 0) {
        continue;
      }
      const uint64_t message = entry >> 32;
      wrong += CountOthers(slab + (entry & UINT32_MAX), message);
      f.peer.Write(loan);
    }
    std::this_thread::yield();
  }
  return wrong;
}

TEST(Loans, WritesToNoBlockThatAnotherThreadStillReads) {
  Fixture f;
  std::array<std::atomic<uint64_t>, kLoans> lent{};
  HeldBlock first = f.slabs.Claim(1).value();
  const auto* slab = reinterpret_cast<const uint64_t*>(first.slab->words());
  f.slabs.Drop(first);
  uint64_t wrong = 0;
  uint64_t not_zero = 0;
  std::jthread reader([&](const std::stop_token& stop) { wrong = ReadAll(stop, slab, f, lent); });
  const Deadline lost = Deadline::After(absl::Seconds(60));
  for (uint64_t message = 1; message <= 20'000; ++message) {
    std::optional<HeldBlock> held;
    while (!(held = f.slabs.Claim(kBlockWords))) {
      ASSERT_FALSE(lost.passed()) << "no block comes back for message " << message;
      ASSERT_EQ(f.loans.Collect(kPeer), absl::OkStatus());
      std::this_thread::yield();
    }
    not_zero += !AllZero(f.Words(*held));
    std::ranges::fill(f.Words(*held), message);
    f.slabs.Trim(*held, kBlockWords);
    const BlockDescriptor descriptor = f.loans.Lend(*held);
    f.slabs.Drop(*held);
    lent[descriptor.loan].store(message << 32 | descriptor.offset_words, std::memory_order_release);
  }
  while (f.slabs.lent_blocks() > 0) {
    ASSERT_FALSE(lost.passed()) << "not all blocks come back";
    ASSERT_EQ(f.loans.Collect(kPeer), absl::OkStatus());
    std::this_thread::yield();
  }
  reader.request_stop();
  reader.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(not_zero, 0u);
}

}  // namespace
}  // namespace shoal
