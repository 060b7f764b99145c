// Descriptors, memory, space and address space run out: at set-up, and while messages flow. RPC's
// part is in rpc_exhaustion_test; docs/security.md lists what is tested elsewhere.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/config.h"
#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/failing_system_call.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr absl::StatusCode kResourceExhausted = absl::StatusCode::kResourceExhausted;
constexpr absl::StatusCode kUnavailable = absl::StatusCode::kUnavailable;
constexpr size_t kMoreThanASlab = 1 << 20;

ChannelOptions SmallSlabs() {
  ChannelOptions options;
  options.slab_bytes = ChannelOptions::kMinSlabBytes;
  options.max_fds_per_message = 1;
  options.when_full = WhenFull::kSpill;
  return options;
}

// A server in another process, which echoes to one client after the other.
struct Server {
  Server() { EXPECT_EQ(process.ReadLine(), "listening"); }

  UniqueAddress address{"shm"};
  ChildProcess process{{"tests/channel_process", address.text(), "serve"}};
};

void ExpectEcho(Channel& channel, uint64_t number, size_t bytes) {
  ASSERT_THAT(Send(channel, number, bytes), Succeeds());
  ExpectNext(channel, number, bytes);
}

// A message that needs another slab, from end to end.
void ExpectToPass(Pair& pair, uint64_t number) {
  ASSERT_THAT(Send(*pair.left, number, kMoreThanASlab), Succeeds());
  auto message = pair.right->TryReceive();
  while (message.ok() && !*message) {
    pair.left->Flush(absl::ZeroDuration()).IgnoreError();
    message = pair.right->TryReceive();
  }
  ASSERT_THAT(message, Succeeds());
  ExpectNumbered(**message, number, kMoreThanASlab);
}

// And more of them, until one lies in a slab: for a moment after a failure none is tried.
void ExpectToGrowAgain(Pair& pair) {
  const absl::Time lost = absl::Now() + absl::Seconds(60);
  uint64_t copied = 0;
  do {
    copied = pair.right->stats().words_copied_in;
    ExpectToPass(pair, 7);
  } while (pair.right->stats().words_copied_in > copied && absl::Now() < lost);
  EXPECT_EQ(pair.right->stats().words_copied_in, copied);
}

struct FailingCall {
  std::string name;
  int number;
  int error;
  std::string text;
};

class Exhaustion : public testing::TestWithParam<FailingCall> {
 protected:
  static void WhileItFails(const std::function<void()>& what) {
    WhileFailing(GetParam().number, GetParam().error, what);
  }
};

TEST_P(Exhaustion, IsNamedByConnectWhichWorksOnceThereIsRoom) {
  const Server server;
  const size_t before = OpenDescriptors();
  WhileItFails([&] {
    EXPECT_THAT(Connect(server.address.text(), SmallSlabs()),
                Fails(kResourceExhausted, GetParam().text));
  });
  EXPECT_EQ(OpenDescriptors(), before);
  const auto channel = Connect(server.address.text(), SmallSlabs());
  ASSERT_THAT(channel, Succeeds());
  ExpectEcho(**channel, 1, kMoreThanASlab);
}

TEST_P(Exhaustion, OfAServerIsAnErrorOfItsClientAloneAndTheNextIsAccepted) {
  const UniqueAddress address("shm");
  const auto listener = Listen(address.text(), SmallSlabs());
  ASSERT_THAT(listener, Succeeds());
  const size_t before = OpenDescriptors();
  absl::Status refused;
  std::atomic<bool> answered = false;
  std::jthread client([&] {
    refused = Connect(address.text(), SmallSlabs()).status();
    answered = true;
  });
  WhileItFails([&] {
    while (!answered) {
      EXPECT_FALSE((*listener)->Accept(absl::Milliseconds(1)).ok());
    }
  });
  client.join();
  const bool told = GetParam().number != SYS_sendmsg;  // which it takes to tell
  EXPECT_THAT(refused,
              Fails(told ? kResourceExhausted : kUnavailable, told ? GetParam().text : ""));
  EXPECT_EQ(OpenDescriptors(), before);
  std::jthread next([&] { EXPECT_THAT(Connect(address.text(), SmallSlabs()), Succeeds()); });
  EXPECT_THAT((*listener)->Accept(absl::Seconds(60)), Succeeds());
}

TEST_P(Exhaustion, WhereASlabIsWantedSendsInFragmentsUntilThereIsRoom) {
  Pair pair(SmallSlabs());
  WhileItFails([&] {
    ExpectToPass(pair, 1);
    ExpectToPass(pair, 2);
  });
  EXPECT_GE(pair.right->stats().words_copied_in, 2 * kMoreThanASlab / sizeof(capnp::word));
  ExpectToGrowAgain(pair);
}

INSTANTIATE_TEST_SUITE_P(
    Of, Exhaustion,
    testing::Values(FailingCall{"Memory", SYS_memfd_create, ENOMEM, "free memory or ask for less"},
                    FailingCall{"Files", SYS_memfd_create, ENFILE, "raise fs.file-max"},
                    FailingCall{"Descriptors", SYS_memfd_create, EMFILE, "RLIMIT_NOFILE is "},
                    FailingCall{"Pages", SYS_fallocate, ENOMEM, "free memory or ask for less"},
                    FailingCall{"Space", SYS_fallocate, ENOSPC, "free space or ask for less"},
                    FailingCall{"SocketMemory", SYS_sendmsg, ENOBUFS, "free memory"}),
    [](const auto& info) { return info.param.name; });

TEST(ExhaustedSocketMemory, FailsAMessageWithDescriptorsWhichCanBePublishedLater) {
  Pair pair(SmallSlabs());
  OutgoingMessage message = Numbered(*pair.left, 1);
  const int fd = STDIN_FILENO;
  message.SetFds({&fd, 1});
  WhileFailing(SYS_sendmsg, ENOBUFS, [&] {
    EXPECT_THAT(pair.left->Publish(std::move(message)), Fails(kResourceExhausted, "free memory"));
  });
  EXPECT_TRUE(message.has_value());
  ASSERT_THAT(pair.left->Publish(std::move(message)), Succeeds());
  ExpectNext(*pair.right, 1);
}

TEST(DescriptorLimit, IsNamedByListenWhicheverDescriptorIsOneTooMany) {
  const UniqueAddress address("shm");
  const size_t before = OpenDescriptors();
  absl::Status status = absl::ResourceExhaustedError("RLIMIT_NOFILE");
  for (rlim_t more = 0; !status.ok(); ++more) {
    ASSERT_THAT(status, Fails(kResourceExhausted, "RLIMIT_NOFILE"));
    ASSERT_EQ(OpenDescriptors(), before);
    const LoweredLimit limit(RLIMIT_NOFILE, 3 + more);
    status = Listen(address.text()).status();
  }
}

TEST(DescriptorLimit, IsNamedByConnectWhicheverDescriptorIsOneTooMany) {
  const Server server;
  const size_t before = OpenDescriptors();
  absl::Status status = absl::ResourceExhaustedError("RLIMIT_NOFILE");
  for (rlim_t more = 0; !status.ok(); ++more) {
    ASSERT_THAT(status, Fails(kResourceExhausted, "RLIMIT_NOFILE"));
    ASSERT_EQ(OpenDescriptors(), before);
    const LoweredLimit limit(RLIMIT_NOFILE, 3 + more);
    status = Connect(server.address.text(), SmallSlabs()).status();
  }
}

TEST(DescriptorLimit, OfASenderHasItSendInFragmentsUntilItIsLifted) {
  Pair pair(SmallSlabs());
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    ExpectToPass(pair, 1);
  }
  EXPECT_EQ(pair.left->stats().slabs, 1);
  ExpectToGrowAgain(pair);
}

TEST(DescriptorLimit, OfAReceiverIsNamedAndHasAMessageInANewSlabWaitUntilItIsLifted) {
  Pair pair(SmallSlabs());
  ASSERT_THAT(Send(*pair.left, 1), Succeeds());
  ASSERT_THAT(Send(*pair.left, 2, kMoreThanASlab), Succeeds());
  ASSERT_THAT(Send(*pair.left, 3), Succeeds());
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    ExpectNext(*pair.right, 1);
    EXPECT_THAT(pair.right->Receive(), Fails(kResourceExhausted, "RLIMIT_NOFILE is 3"));
    EXPECT_THAT(pair.right->TryReceive(), Fails(kResourceExhausted, "RLIMIT_NOFILE is 3"));
    EXPECT_TRUE(pair.right->short_of_descriptors());
    ASSERT_THAT(Send(*pair.right, 4), Succeeds());
    ExpectNext(*pair.left, 4);
  }
  ExpectNext(*pair.right, 2, kMoreThanASlab);
  EXPECT_FALSE(pair.right->short_of_descriptors());
  ExpectNext(*pair.right, 3);
  ExpectToPass(pair, 5);
}

TEST(DescriptorLimit, OfAReceiverIsNamedAndHasAMessageWithDescriptorsWaitUntilItIsLifted) {
  Pair pair(SmallSlabs());
  OutgoingMessage message = Numbered(*pair.left, 1);
  const int fd = STDIN_FILENO;
  message.SetFds({&fd, 1});
  ASSERT_THAT(pair.left->Publish(std::move(message)), Succeeds());
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    EXPECT_THAT(pair.right->Receive(), Fails(kResourceExhausted, "RLIMIT_NOFILE is 3"));
  }
  auto received = pair.right->Receive();
  ASSERT_THAT(received, Succeeds());
  ExpectNumbered(*received, 1);
  EXPECT_EQ(received->fds().size(), 1u);
}

TEST(DescriptorLimit, OfAReceiverDoesNotHideThePeersDeathNorWhatItPublishedBefore) {
  Pair pair(SmallSlabs());
  ASSERT_THAT(Send(*pair.left, 1, kMoreThanASlab), Succeeds());
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    EXPECT_THAT(pair.right->Receive(), Fails(kResourceExhausted, "RLIMIT_NOFILE is 3"));
    pair.left->HangUp();
    EXPECT_THAT(pair.right->Receive(), Fails(kResourceExhausted, "RLIMIT_NOFILE is 3"));
    EXPECT_TRUE(pair.right->hung_up());
    EXPECT_THAT(Send(*pair.right, 2), Fails(kUnavailable, "is gone"));
  }
  ExpectNext(*pair.right, 1, kMoreThanASlab);
  EXPECT_THAT(pair.right->Receive(), Fails(kUnavailable, "is gone"));
}

TEST(FileSizeLimit, HasASenderSendInFragmentsWithoutASignalUntilItIsLifted) {
  Pair pair(SmallSlabs());
  {
    const LoweredLimit limit(RLIMIT_FSIZE, ChannelOptions::kMinSlabBytes);
    ExpectToPass(pair, 1);
  }
  EXPECT_EQ(pair.left->stats().slabs, 1);
  ExpectToGrowAgain(pair);
}

TEST(FileSizeLimit, DoesNotConcernThePeersRegions) {
  Pair pair(SmallSlabs());
  ASSERT_THAT(Send(*pair.left, 1, kMoreThanASlab), Succeeds());
  const LoweredLimit limit(RLIMIT_FSIZE, 4096);
  ExpectNext(*pair.right, 1, kMoreThanASlab);
}

#if !defined(ABSL_HAVE_ADDRESS_SANITIZER) && !defined(ABSL_HAVE_THREAD_SANITIZER)
// A sanitizer has the whole address space.
TEST(AddressSpaceLimit, HasASenderSendInFragmentsUntilItIsLifted) {
  Pair pair(SmallSlabs());
  {
    rlim_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    // For the message on the heap at both ends, and not for the slab that would be added.
    constexpr rlim_t kSlack = 5 * kMoreThanASlab;
    const LoweredLimit limit(RLIMIT_AS,
                             pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + kSlack);
    ExpectToPass(pair, 1);
  }
  EXPECT_EQ(pair.left->stats().slabs, 1);
  ExpectToGrowAgain(pair);
}
#endif

}  // namespace
}  // namespace shoal
