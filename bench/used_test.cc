#include "shoal/bench/used.h"

#include "capnp/message.h"
#include "gtest/gtest.h"

namespace shoal {
namespace {

Usage ThereAndBack(const Usage& usage) {
  capnp::MallocMessageBuilder message;
  auto used = message.initRoot<schema::Used>();
  WriteUsage(usage, used);
  return ReadUsage(used.asReader());
}

TEST(Used, CarriesWhatWasCounted) {
  const Usage usage = ThereAndBack({.allocations = 0,
                                    .system_calls = 2,
                                    .sleeps = 3,
                                    .page_faults = 7,
                                    .cpu = absl::Nanoseconds(4),
                                    .parks = 5,
                                    .rings = 6,
                                    .copied_words = 8});
  EXPECT_EQ(usage.allocations, 0u);
  EXPECT_EQ(usage.system_calls, 2u);
  EXPECT_EQ(usage.sleeps, 3u);
  EXPECT_EQ(usage.cpu, absl::Nanoseconds(4));
  EXPECT_EQ(usage.parks, 5u);
  EXPECT_EQ(usage.rings, 6u);
  EXPECT_EQ(usage.page_faults, 7u);
  EXPECT_EQ(usage.copied_words, 8u);
}

TEST(Used, CarriesThatSomethingWasNotCounted) {
  const Usage usage = ThereAndBack(Usage());
  EXPECT_FALSE(usage.allocations);
  EXPECT_FALSE(usage.system_calls);
  EXPECT_FALSE(usage.parks);
  EXPECT_FALSE(usage.rings);
  EXPECT_FALSE(usage.copied_words);
}

}  // namespace
}  // namespace shoal
