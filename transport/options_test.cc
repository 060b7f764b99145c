#include "shoal/transport/options.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace shoal {
namespace {

using O = ChannelOptions;

// What Validate says, without the code that it must have.
std::string Refusal(const ChannelOptions& options) {
  const absl::Status status = Validate(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(ChannelOptions, AreValidByDefault) { EXPECT_EQ(Validate({}), absl::OkStatus()); }

TEST(ChannelOptions, AllowTheLowestOfEach) {
  EXPECT_EQ(Validate({.slots = O::kMinSlots}), absl::OkStatus());
  EXPECT_EQ(Validate({.loans = O::kMinLoans}), absl::OkStatus());
  EXPECT_EQ(Validate({.slab_bytes = O::kMinSlabBytes}), absl::OkStatus());
  EXPECT_EQ(Validate({.max_message_words = 1}), absl::OkStatus());
  EXPECT_EQ(Validate({.spin = absl::ZeroDuration()}), absl::OkStatus());
  EXPECT_EQ(Validate({.max_pending_bytes = 0}), absl::OkStatus());
  EXPECT_EQ(Validate({.connect_timeout = absl::ZeroDuration()}), absl::OkStatus());
}

TEST(ChannelOptions, AllowTheHighestOfEach) {
  EXPECT_EQ(Validate({.slots = O::kMaxSlots}), absl::OkStatus());
  EXPECT_EQ(Validate({.loans = O::kMaxLoans}), absl::OkStatus());
  EXPECT_EQ(Validate({.slab_bytes = O::kMaxSlabBytes, .max_slabs_bytes = O::kMaxSlabsBytes}),
            absl::OkStatus());
  EXPECT_EQ(Validate({.max_message_words = O::kMaxMessageWords}), absl::OkStatus());
  EXPECT_EQ(Validate({.spin = absl::InfiniteDuration()}), absl::OkStatus());
  EXPECT_EQ(Validate({.max_pending_bytes = UINT64_MAX}), absl::OkStatus());
  EXPECT_EQ(Validate({.connect_timeout = absl::InfiniteDuration()}), absl::OkStatus());
}

TEST(ChannelOptions, RefuseSlabsThatAreMoreTogetherThanIsAllowed) {
  EXPECT_EQ(Refusal({.slab_bytes = 1 << 20, .max_slabs_bytes = (1 << 20) - 1}),
            "ChannelOptions::max_slabs_bytes is 1048575; allowed is 1048576 to 1099511627776");
  EXPECT_EQ(Refusal({.max_slabs_bytes = O::kMaxSlabsBytes + 1}),
            "ChannelOptions::max_slabs_bytes is 1099511627777; allowed is 1048576 to "
            "1099511627776");
  EXPECT_EQ(Refusal({.max_peer_slabs_bytes = O::kMinSlabBytes - 1}),
            "ChannelOptions::max_peer_slabs_bytes is 65535; allowed is 65536 to 1099511627776");
}

TEST(ChannelOptions, RefuseNegativeTimesOfSlabsAndLinger) {
  EXPECT_EQ(Refusal({.slab_idle_time = absl::Nanoseconds(-1)}),
            "ChannelOptions::slab_idle_time is -1ns; it must not be negative");
  EXPECT_EQ(Refusal({.linger = absl::Seconds(-1)}),
            "ChannelOptions::linger is -1s; it must not be negative");
}

TEST(ChannelOptions, RefuseSlotsOutOfRange) {
  EXPECT_EQ(Refusal({.slots = 15}), "ChannelOptions::slots is 15; allowed is 16 to 65536");
  EXPECT_EQ(Refusal({.slots = 0}), "ChannelOptions::slots is 0; allowed is 16 to 65536");
  EXPECT_EQ(Refusal({.slots = 65537}), "ChannelOptions::slots is 65537; allowed is 16 to 65536");
}

TEST(ChannelOptions, RefuseLoansOutOfRange) {
  EXPECT_EQ(Refusal({.loans = 15}), "ChannelOptions::loans is 15; allowed is 16 to 65536");
  EXPECT_EQ(Refusal({.loans = 65537}), "ChannelOptions::loans is 65537; allowed is 16 to 65536");
}

TEST(ChannelOptions, RefuseASlabOutOfRange) {
  EXPECT_EQ(Refusal({.slab_bytes = 65535}),
            "ChannelOptions::slab_bytes is 65535; allowed is 65536 to 17179869184");
  EXPECT_EQ(Refusal({.slab_bytes = O::kMaxSlabBytes + 1}),
            "ChannelOptions::slab_bytes is 17179869185; allowed is 65536 to 17179869184");
}

TEST(ChannelOptions, RefuseALargestMessageOutOfRange) {
  EXPECT_EQ(Refusal({.max_message_words = 0}),
            "ChannelOptions::max_message_words is 0; allowed is 1 to 536870912");
  EXPECT_EQ(Refusal({.max_message_words = O::kMaxMessageWords + 1}),
            "ChannelOptions::max_message_words is 536870913; allowed is 1 to 536870912");
}

TEST(ChannelOptions, RefuseWhatIsNoPowerOfTwo) {
  EXPECT_EQ(Refusal({.slots = 24}), "ChannelOptions::slots is 24; it must be a power of two");
  EXPECT_EQ(Refusal({.loans = 1000}), "ChannelOptions::loans is 1000; it must be a power of two");
}

TEST(ChannelOptions, RefuseASlabThatEndsWithinAPage) {
  const std::string refusal = Refusal({.slab_bytes = O::kMinSlabBytes + 8});
  EXPECT_EQ(refusal.find("ChannelOptions::slab_bytes is 65544; it must be a multiple of the page "
                         "size, "),
            0u)
      << refusal;
}

TEST(ChannelOptions, RefuseNegativeTimes) {
  EXPECT_EQ(Refusal({.spin = absl::Microseconds(-3)}),
            "ChannelOptions::spin is -3us; it must not be negative");
  EXPECT_EQ(Refusal({.connect_timeout = -absl::InfiniteDuration()}),
            "ChannelOptions::connect_timeout is -inf; it must not be negative");
}

TEST(ChannelOptions, NameTheFirstThatIsRefused) {
  EXPECT_EQ(Refusal({.loans = 7, .max_message_words = 0}),
            "ChannelOptions::loans is 7; allowed is 16 to 65536");
}

TEST(ChannelOptions, RefuseAReaderThatReadsNothing) {
  EXPECT_EQ(Refusal({.reader = capnp::ReaderOptions{.traversalLimitInWords = 0}}),
            "ChannelOptions::reader.traversalLimitInWords is 0; allowed is 1 to "
            "18446744073709551615");
}

TEST(ChannelOptions, LendFourTimesAsManyBlocksAsThereAreSlots) {
  EXPECT_EQ(LoansOf({}), 1024u);
  EXPECT_EQ(LoansOf({.slots = 16}), 1024u);
  EXPECT_EQ(LoansOf({.slots = 4096}), 16384u);
  EXPECT_EQ(LoansOf({.slots = O::kMaxSlots}), O::kMaxLoans);
  EXPECT_EQ(LoansOf({.slots = 4096, .loans = 64}), 64u);
}

}  // namespace
}  // namespace shoal
