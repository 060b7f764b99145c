#include "shoal/bench/usage.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <utility>

#include "capnp/any.h"
#include "gtest/gtest.h"
#include "shoal/bench/allocations.h"
#include "shoal/transport/channel.h"

namespace shoal {
namespace {

TEST(Usage, OfSeveralThreadsIsTheirSum) {
  const Usage one = {.allocations = 1,
                     .system_calls = 2,
                     .sleeps = 3,
                     .page_faults = 7,
                     .cpu = absl::Nanoseconds(4),
                     .parks = 5,
                     .rings = 6,
                     .copied_words = 8};
  const Usage both = one + one;
  EXPECT_EQ(both.allocations, 2u);
  EXPECT_EQ(both.system_calls, 4u);
  EXPECT_EQ(both.sleeps, 6u);
  EXPECT_EQ(both.cpu, absl::Nanoseconds(8));
  EXPECT_EQ(both.parks, 10u);
  EXPECT_EQ(both.rings, 12u);
  EXPECT_EQ(both.page_faults, 14u);
  EXPECT_EQ(both.copied_words, 16u);
  EXPECT_EQ((both - one).sleeps, 3u);
}

TEST(Usage, HasNoSumWhereOneThreadWasNotCounted) {
  const Usage counted = {.allocations = 1, .system_calls = 1};
  EXPECT_FALSE((counted + Usage()).allocations);
  EXPECT_FALSE((counted - Usage()).system_calls);
}

TEST(UsageMeter, CountsAllocationsWhereTheyCanBe) {
  UsageMeter meter;
  const Usage before = meter.Read();
  void* volatile memory = malloc(16);
  const Usage used = meter.Read() - before;
  free(memory);
  EXPECT_EQ(used.allocations.has_value(), kCountsAllocations);
  EXPECT_EQ(used.allocations.value_or(1), 1u);
}

TEST(UsageMeter, CountsASleep) {
  UsageMeter meter;
  const Usage before = meter.Read();
  poll(nullptr, 0, 1);
  EXPECT_GE((meter.Read() - before).sleeps, 1u);
}

TEST(UsageMeter, CountsThePagesThatAreTouchedFirst) {
  constexpr size_t kBytes = size_t{64} << 12;
  UsageMeter meter;
  const Usage before = meter.Read();
  char* const memory = static_cast<char*>(
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  memory[0] = 1;
  const Usage used = meter.Read() - before;
  munmap(memory, kBytes);
  EXPECT_GE(used.page_faults, 1u);
}

TEST(UsageMeter, LeavesOutWhatItUsesItself) {
  UsageMeter meter;
  const Usage before = meter.Read();
  EXPECT_EQ((meter.Read() - before).allocations.value_or(0), 0u);
}

TEST(UsageMeter, HasWhatChannelsCount) {
  UsageMeter meter;
  EXPECT_FALSE(meter.Read().parks);
  auto pair = ChannelPair();
  ASSERT_TRUE(pair.ok());
  const Usage before = meter.Read();
  ASSERT_TRUE(pair->first->ArmForMessage());
  OutgoingMessage message = pair->second->Claim();
  message.InitRoot<capnp::AnyPointer>();
  ASSERT_TRUE(pair->second->Publish(std::move(message)).ok());
  EXPECT_EQ((meter.Read() - before).rings, 1u);
  EXPECT_EQ((meter.Read() - before).copied_words, 0u);
}

TEST(UsageMeter, CountsCpuTime) {
  UsageMeter meter;
  const Usage before = meter.Read();
  while ((meter.Read() - before).cpu == absl::ZeroDuration()) {
  }
  EXPECT_GT((meter.Read() - before).cpu, absl::ZeroDuration());
}

}  // namespace
}  // namespace shoal
