// A process that forks: its channels stay its own.

#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_process.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void ExpectForked(const absl::Status& status) {
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(Text(status), AllOf(HasSubstr("forked"), HasSubstr(std::to_string(getppid()))));
}

TEST(ChannelFork, GivesTheChildAClearErrorForEverything) {
  Pair pair;
  ASSERT_TRUE(Send(*pair.left, 1).ok());
  InAChild([&] {
    ExpectForked(pair.right->Receive().status());
    ExpectForked(pair.right->TryReceive().status());
    ExpectForked(Send(*pair.left, 2, 100000));
    ExpectForked(pair.left->Flush(absl::InfiniteDuration()));
    ExpectForked(pair.left->Notify());
    Channel* const channels[] = {pair.right.get()};
    EXPECT_EQ(WaitAny(channels).value(), 0u) << "with the error to be received";
  });
  ExpectNext(*pair.right, 1);
}

TEST(ChannelFork, LeavesTheParentsChannelAloneWhenTheChildDestroysIt) {
  Pair pair;
  InAChild([&] {
    pair.left.reset();
    pair.right.reset();
  });
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(Send(*pair.left, i, 10000).ok());
    ExpectNext(*pair.right, i, 10000);
  }
  EXPECT_FALSE(pair.right->ended_by_peer());
}

TEST(ChannelFork, LetsTheChildDropTheParentsMessages) {
  Pair pair;
  ASSERT_TRUE(Send(*pair.left, 1, 10000).ok());
  {
    IncomingMessage received = *pair.right->Receive();
    OutgoingMessage claimed = Numbered(*pair.left, 2, 10000);
    InAChild([&] {
      IncomingMessage dropped = std::move(received);
      OutgoingMessage unsent = std::move(claimed);
    });
    ASSERT_TRUE(pair.left->Publish(std::move(claimed)).ok());
    ExpectNumbered(received, 1, 10000);
    EXPECT_EQ(pair.left->stats().blocks_lent, 2u) << "the child gave none back";
  }
  ExpectNext(*pair.right, 2, 10000);
  ASSERT_TRUE(Send(*pair.left, 3, 10000).ok());
  EXPECT_EQ(pair.left->stats().blocks_lent, 1u);
}

TEST(ChannelFork, LetsTheChildConnectAnew) {
  UniqueAddress address("shm");
  auto listener = Listen(address.text());
  ASSERT_TRUE(listener.ok());
  const pid_t child = fork();
  if (child == 0) {
    auto channel = Connect(address.text());
    _exit(channel.ok() && Send(**channel, 7, 10000).ok() &&
                  (*channel)->Flush(absl::InfiniteDuration()).ok()
              ? 0
              : 1);
  }
  auto accepted = (*listener)->Accept();
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  ExpectNext(**accepted, 7, 10000);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace shoal
