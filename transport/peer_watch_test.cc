#include "shoal/transport/peer_watch.h"

#include <unistd.h>

#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"
#include "shoal/transport/has_event.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

using absl::StatusCode::kResourceExhausted;
using absl::StatusCode::kUnavailable;

Peer PeerIn(pid_t pid) { return {.address = "shm:peer", .pid = pid, .uid = getuid()}; }

// A process that does nothing until it is killed.
struct Sleeper : ChildProcess {
  Sleeper() : ChildProcess({"/bin/sleep", "infinity"}) {}
};

TEST(PeerWatch, HearsOfTheEndOfAProcess) {
  Sleeper sleeper;
  const auto watch = PeerWatch::Create(PeerIn(sleeper.pid()));
  ASSERT_THAT(watch, Succeeds());
  EXPECT_FALSE(watch->ended());
  EXPECT_FALSE(HasEvent(watch->fd()));
  sleeper.Kill();
  EXPECT_TRUE(watch->ended());
  EXPECT_TRUE(HasEvent(watch->fd()));
}

TEST(PeerWatch, RefusesAProcessThatHasEndedAlready) {
  Sleeper sleeper;
  const Peer peer = PeerIn(sleeper.pid());
  sleeper.Kill();
  EXPECT_THAT(PeerWatch::Create(peer), Fails(kUnavailable, peer.Describe() + " is gone"));
}

TEST(PeerWatch, NeedsNoDescriptorForAPeerInThisProcess) {
  const size_t before = OpenDescriptors();
  const auto watch = PeerWatch::Create(PeerIn(getpid()));
  ASSERT_THAT(watch, Succeeds());
  EXPECT_EQ(OpenDescriptors(), before);
  EXPECT_EQ(watch->fd(), -1);
  EXPECT_FALSE(watch->ended());
}

TEST(PeerWatch, WatchesNothingInANamespaceThatItCannotSee) {
  const auto watch = PeerWatch::Create(PeerIn(0));
  ASSERT_THAT(watch, Succeeds());
  EXPECT_EQ(watch->fd(), -1);
}

TEST(PeerWatch, NamesTheDescriptorLimit) {
  const Sleeper sleeper;
  const LoweredLimit limit(RLIMIT_NOFILE, 3);
  EXPECT_THAT(PeerWatch::Create(PeerIn(sleeper.pid())),
              Fails(kResourceExhausted, "RLIMIT_NOFILE is 3"));
}

}  // namespace
}  // namespace shoal
