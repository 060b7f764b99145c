#include "shoal/bench/allocations.h"

#include <stdlib.h>

#include <thread>

#include "gtest/gtest.h"

namespace shoal {
namespace {

constexpr uint64_t kOne = kCountsAllocations ? 1 : 0;

// What `allocate`, which returns memory to free, adds to the count. Compilers leave out an
// allocation that nobody looks at.
template <typename Allocate>
uint64_t AllocationsOf(Allocate allocate) {
  const uint64_t before = Allocations();
  void* volatile memory = allocate();
  const uint64_t after = Allocations();
  free(memory);
  return after - before;
}

TEST(Allocations, CountEachWayToAskForMemory) {
  EXPECT_EQ(AllocationsOf([] { return malloc(16); }), kOne);
  EXPECT_EQ(AllocationsOf([] { return calloc(2, 16); }), kOne);
  EXPECT_EQ(AllocationsOf([] { return realloc(nullptr, 16); }), kOne);
  EXPECT_EQ(AllocationsOf([] { return aligned_alloc(64, 64); }), kOne);
}

TEST(Allocations, CountWhatIsMadeWithNew) {
  const uint64_t before = Allocations();
  auto* volatile made = new uint64_t(7);
  EXPECT_EQ(Allocations() - before, kOne);
  delete made;
}

TEST(Allocations, AreThoseOfTheCallingThread) {
  AllocationsOf([] { return malloc(16); });
  uint64_t elsewhere = 1;
  std::thread([&] { elsewhere = Allocations(); }).join();
  EXPECT_EQ(elsewhere, 0u);
}

}  // namespace
}  // namespace shoal
