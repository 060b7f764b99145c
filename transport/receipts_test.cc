#include "shoal/transport/receipts.h"

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <numeric>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "shoal/transport/deadline.h"

namespace shoal {
namespace {

// A ring in private memory, all zero as a fresh region is, and its two sides.
template <uint32_t kCount>
struct Ring {
  std::array<Receipt, kCount> receipts{};
  ReceiptWriter writer{receipts.data(), kCount};
  ReceiptReader reader{receipts.data(), kCount};
};

TEST(Receipts, AreNoneAtFirst) {
  Ring<4> ring;
  EXPECT_EQ(ring.reader.Next(), std::nullopt);
  EXPECT_EQ(ring.writer.written(), 0u);
  EXPECT_EQ(ring.writer.count(), 4u);
}

TEST(Receipts, ComeInTheOrderInWhichTheyWereWritten) {
  Ring<4> ring;
  ring.writer.Write(7);
  ring.writer.Write(0);
  ring.writer.Write(UINT32_MAX);
  EXPECT_EQ(ring.writer.written(), 3u);
  EXPECT_EQ(ring.reader.Next(), 7u);
  EXPECT_EQ(ring.reader.Next(), 0u);
  EXPECT_EQ(ring.reader.Next(), UINT32_MAX);
  EXPECT_EQ(ring.reader.Next(), std::nullopt);
}

TEST(Receipts, FillTheWholeRing) {
  Ring<4> ring;
  for (uint32_t loan = 0; loan < 4; ++loan) {
    ring.writer.Write(loan);
  }
  for (uint32_t loan = 0; loan < 4; ++loan) {
    EXPECT_EQ(ring.reader.Next(), loan);
  }
  EXPECT_EQ(ring.reader.Next(), std::nullopt);
}

TEST(Receipts, AreReadOnceInEachOfManyLaps) {
  Ring<4> ring;
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(ring.reader.Next(), std::nullopt) << "the lap before shows ahead of receipt " << i;
    ring.writer.Write(i);
    ASSERT_EQ(ring.reader.Next(), i);
  }
}

// A thread took a place and has not written its receipt yet.
TEST(ReceiptReader, WaitsForAReceiptThatWasBegunBeforeOthers) {
  std::array<Receipt, 4> receipts{};
  ReceiptReader reader(receipts.data(), 4);
  receipts[1] = uint64_t{LapOf(1, 4)} << 32 | 20;
  EXPECT_EQ(reader.Next(), std::nullopt);
  receipts[0] = uint64_t{LapOf(0, 4)} << 32 | 10;
  EXPECT_EQ(reader.Next(), 10u);
  EXPECT_EQ(reader.Next(), 20u);
}

TEST(LapOf, CountsFromOneAsZeroMeansNeverWritten) {
  EXPECT_EQ(LapOf(0, 16), 1u);
  EXPECT_EQ(LapOf(15, 16), 1u);
  EXPECT_EQ(LapOf(16, 16), 2u);
}

TEST(LapOf, DiffersFromTheLapBeforeWhereItWraps) {
  constexpr uint64_t kWrap = uint64_t{UINT32_MAX} * 16;
  EXPECT_EQ(LapOf(kWrap - 1, 16), UINT32_MAX);
  EXPECT_EQ(LapOf(kWrap, 16), 0u);
  EXPECT_EQ(LapOf(kWrap + 16, 16), 1u);
}

// Several threads

constexpr uint32_t kLoans = 64;

// What the lender knows of its blocks, and hands to the threads that drop messages.
struct Lender {
  std::array<uint64_t, kLoans> blocks{};        // by loan; the owner's again once the receipt is in
  std::array<std::atomic<uint64_t>, 4> lent{};  // to each thread: bit n is loan n
};

// Reads each block that it is lent and writes its receipt; returns the sum of what it read.
uint64_t GiveBack(const std::stop_token& stop, Lender& lender, std::atomic<uint64_t>& lent,
                  ReceiptWriter& receipts) {
  uint64_t sum = 0;
  while (true) {
    const bool last = stop.stop_requested();
    uint64_t loans = lent.exchange(0, std::memory_order_acquire);
    if (loans == 0 && last) {
      return sum;
    }
    for (; loans != 0; loans &= loans - 1) {
      const uint32_t loan = std::countr_zero(loans);
      sum += lender.blocks[loan];
      receipts.Write(loan);
    }
    std::this_thread::yield();
  }
}

TEST(Receipts, OfSeveralThreadsComeOnceEachAndAfterTheLastRead) {
  constexpr uint64_t kReceipts = 2000 * kLoans;
  Ring<kLoans> ring;
  Lender lender;
  std::array<uint64_t, 4> sums{};
  std::vector<std::jthread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t](const std::stop_token& stop) {
      sums[t] = GiveBack(stop, lender, lender.lent[t], ring.writer);
    });
  }
  // Block n of all that are lent holds n; there are as many out as there are entries in the ring.
  uint64_t lent = 0;
  uint64_t out = 0;
  const auto lend = [&](uint32_t loan) {
    lender.blocks[loan] = lent;
    out |= uint64_t{1} << loan;
    lender.lent[lent++ % 4].fetch_or(uint64_t{1} << loan, std::memory_order_release);
  };
  for (uint32_t loan = 0; loan < kLoans; ++loan) {
    lend(loan);
  }
  const Deadline lost = Deadline::After(absl::Seconds(60));
  for (uint64_t i = 0; i < kReceipts; ++i) {
    std::optional<uint32_t> loan;
    while (!(loan = ring.reader.Next())) {
      ASSERT_FALSE(lost.passed()) << "receipt " << i << " does not come";
      std::this_thread::yield();
    }
    ASSERT_LT(*loan, kLoans);
    ASSERT_TRUE(out >> *loan & 1) << "loan " << *loan << " came back twice";
    out &= ~(uint64_t{1} << *loan);
    if (lent < kReceipts) {
      lend(*loan);
    }
  }
  EXPECT_EQ(out, 0u);
  threads.clear();
  EXPECT_EQ(ring.reader.Next(), std::nullopt);
  EXPECT_EQ(ring.writer.written(), kReceipts);
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), uint64_t{0}),
            kReceipts * (kReceipts - 1) / 2);
}

}  // namespace
}  // namespace shoal
