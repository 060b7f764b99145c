#include "shoal/transport/peer.h"

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace shoal {
namespace {

const Peer kPeer = {.address = "shm:calculator", .pid = 4711, .uid = 1000};

TEST(Peer, IsNamedByItsAddressAndProcess) {
  EXPECT_EQ(kPeer.Describe(), "shm:calculator (pid 4711)");
}

TEST(Peer, IsNamedByItsAddressWhenItsProcessCannotBeSeen) {
  const Peer hidden = {.address = "shm:/run/daq.sock"};
  EXPECT_EQ(hidden.Describe(), "shm:/run/daq.sock (pid unknown)");
}

TEST(PeerGone, SaysWhoIsGoneAndWhatToDo) {
  EXPECT_EQ(PeerGone(kPeer),
            absl::UnavailableError("the peer at shm:calculator (pid 4711) is gone: its process "
                                   "died or dropped the connection; connect again once it is "
                                   "back"));
}

TEST(PeerClosed, SaysWhoClosedTheChannel) {
  EXPECT_EQ(PeerClosed(kPeer),
            absl::UnavailableError("the peer at shm:calculator (pid 4711) closed the channel"));
}

TEST(CorruptPeer, SaysWhatWasWrittenWhereAndWhatIsAllowed) {
  EXPECT_EQ(CorruptPeer(kPeer, "a slot's inline words", UINT64_MAX, "at most 31"),
            absl::DataLossError("the peer at shm:calculator (pid 4711) wrote 18446744073709551615 "
                                "as a slot's inline words, which must be at most 31; the "
                                "connection is closed"));
}

TEST(CorruptPeer, TakesTextsThatEndWithoutAZero) {
  const std::string_view text = "consumed, from 3 to 9";
  EXPECT_EQ(CorruptPeer(kPeer, text.substr(0, 8), 2, text.substr(10)),
            absl::DataLossError("the peer at shm:calculator (pid 4711) wrote 2 as consumed, which "
                                "must be from 3 to 9; the connection is closed"));
}

}  // namespace
}  // namespace shoal
