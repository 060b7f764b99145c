#include "shoal/tests/faults/census.h"

#include "gtest/gtest.h"
#include "shoal/transport/channel.h"

namespace shoal::faults {
namespace {

TEST(Census, CountsWhatAChannelTakesAndGivesBack) {
  const Census before = TakeCensus();
  ChannelOptions options;
  options.prefault = true;
  auto pair = ChannelPair(options);
  ASSERT_TRUE(pair.ok()) << pair.status();
  const Census with = TakeCensus();
  EXPECT_GT(with.descriptors, before.descriptors);
  EXPECT_GT(with.memfd_mappings, before.memfd_mappings);
  EXPECT_GT(with.shared_kibibytes, before.shared_kibibytes);
  pair->first.reset();
  pair->second.reset();
  EXPECT_EQ(TakeCensus(), before) << Describe(TakeCensus());
}

}  // namespace
}  // namespace shoal::faults
