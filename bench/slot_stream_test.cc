#include "shoal/bench/slot_stream.h"

#include <vector>

#include "gtest/gtest.h"
#include "shoal/bench/cpus.h"

namespace shoal {
namespace {

constexpr int kNoSuchCpu = 1023;
constexpr int kSlots = 1000;  // several times round the ring

TEST(SlotStream, CostsNothingWithinOneCpu) {
  EXPECT_EQ(*TimeSlotStream(0, 0, kSlots), absl::ZeroDuration());
  EXPECT_EQ(*TimeBareSlotStream(0, 0, kSlots), absl::ZeroDuration());
}

TEST(SlotStream, TakesTimeBetweenTwo) {
  const std::vector<int> cpus = AllowedCpus();
  const bool two = cpus.size() > 1;
  EXPECT_EQ(*TimeSlotStream(cpus.front(), cpus.back(), kSlots) > absl::ZeroDuration(), two);
  EXPECT_EQ(*TimeBareSlotStream(cpus.front(), cpus.back(), kSlots) > absl::ZeroDuration(), two);
}

TEST(SlotStream, EndsWhenTheWritersCpuIsNotThere) {
  EXPECT_EQ(TimeSlotStream(kNoSuchCpu, AllowedCpus().front(), kSlots).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(SlotStream, EndsWhenTheReadersCpuIsNotThere) {
  EXPECT_EQ(TimeSlotStream(AllowedCpus().front(), kNoSuchCpu, kSlots).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace shoal
