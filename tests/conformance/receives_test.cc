// Messages held, and waits for them.

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "shoal/tests/conformance/conformance.h"
#include "shoal/tests/conformance/pattern.h"

namespace shoal::conformance {
namespace {

using Kind = Command::Kind;
using Clock = std::chrono::steady_clock;

class Receives : public Conformance {};

TEST_P(Receives, LetMessagesBeHeldAndReleasedInAnyOrder) {
  const auto ends = Connect();
  constexpr uint32_t kCount = 100;
  ends->SendMake(kCount, 20000);
  std::vector<IncomingMessage> held;
  for (uint32_t i = 0; i < kCount; ++i) {
    auto message = ends->Receive();
    ASSERT_TRUE(message.ok()) << message.status();
    held.push_back(*std::move(message));
  }
  for (uint32_t i = 0; !held.empty(); i = i * 7 + 3) {
    const size_t at = i % held.size();
    const auto command = held[at].Root<Command>();
    ASSERT_EQ(command.getPayload().size(), 20000);
    ASSERT_TRUE(Follows(command.getPayload(), command.getNumber()));
    held.erase(held.begin() + static_cast<ptrdiff_t>(at));
  }
  ends->SendMake(kCount, 20000);
  for (uint32_t i = 0; i < kCount; ++i) {
    ends->ExpectNext(i, 20000);
  }
}

TEST_P(Receives, DeliverEverythingToAnEndThatHoldsEveryBlock) {
  const auto ends = Connect();
  ends->Send(Kind::HOLD);
  for (uint64_t i = 0; i < 100; ++i) {
    ends->Send(Kind::DATA, i, 30000);
  }
  ends->ExpectReport(100);
  ends->Send(Kind::RELEASE_ODD);
  for (uint64_t i = 100; i < 150; ++i) {
    ends->Send(Kind::DATA, i, 30000);
  }
  ends->ExpectReport(150);
  ends->Send(Kind::RELEASE_ALL);
  ends->Send(Kind::DATA, 150, 30000);
  ends->ExpectReport(151);
}

TEST_P(Receives, KeepMessagesReadableWhenTheChannelIsGone) {
  const auto ends = Connect();
  ends->SendMake(2, 100000);
  auto message = ends->Receive();
  ASSERT_TRUE(message.ok());
  OutgoingMessage unsent = ends->Build(Kind::DATA, 5, 100000);
  ends->LeaveNear();
  EXPECT_TRUE(Follows(message->Root<Command>().getPayload(), 0));
  EXPECT_TRUE(Follows(unsent.GetRoot<Command>().asReader().getPayload(), 5));
}

TEST_P(Receives, SayAtOnceThatNothingCame) {
  const auto ends = Connect();
  EXPECT_TRUE(absl::IsDeadlineExceeded(ends->near().Receive(absl::ZeroDuration()).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(ends->near().Receive(absl::Seconds(-5)).status()));
  EXPECT_FALSE(ends->near().TryReceive()->has_value());
}

TEST_P(Receives, NeverGiveUpEarly) {
  const auto ends = Connect();
  const Clock::time_point begin = Clock::now();
  EXPECT_TRUE(absl::IsDeadlineExceeded(ends->near().Receive(absl::Milliseconds(50)).status()));
  EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(50));
}

TEST_P(Receives, WaitOnWhenSignalsInterruptThem) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  struct sigaction before {};
  sigaction(SIGUSR1, &action, &before);  // without SA_RESTART
  const auto ends = Connect();
  const pthread_t waiter = pthread_self();
  std::atomic<bool> done = false;
  std::thread signals([&] {
    for (int i = 0; i < 300 && !done; ++i) {
      pthread_kill(waiter, SIGUSR1);
      std::this_thread::yield();
    }
  });
  const Clock::time_point begin = Clock::now();
  EXPECT_TRUE(absl::IsDeadlineExceeded(ends->near().Receive(absl::Milliseconds(50)).status()));
  EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(50));
  done = true;
  signals.join();
  sigaction(SIGUSR1, &before, nullptr);
}

TEST_P(Receives, ShowThatSomethingIsThereBeforeItIsTaken) {
  const auto ends = Connect();
  EXPECT_FALSE(ends->near().Readable());
  ends->SendMake(1, 10);
  while (!ends->near().Readable()) {
    ends->Pump();
  }
  ends->ExpectNext(0, 10);
  EXPECT_FALSE(ends->near().Readable());
}

INSTANTIATE_TEST_SUITE_P(Over, Receives, kAllDrivers, NameOfParameter);

// With an end elsewhere, which answers while this one sleeps.
class Waits : public Conformance {};

TEST_P(Waits, OfFiftyDaysEndWithTheMessage) {
  const auto ends = Connect();
  for (uint64_t i = 0; i < 100; ++i) {
    ends->Send(Kind::ECHO, i, 100);
    const auto message = ends->near().Receive(absl::Hours(24 * 50));
    ASSERT_TRUE(message.ok()) << message.status();
  }
}

TEST_P(Waits, EndWithTheMessageWhenNeverSpun) {
  ChannelOptions options = Options();
  options.spin = absl::ZeroDuration();
  const auto ends = Connect(options);
  for (uint64_t i = 0; i < 500; ++i) {
    ends->Send(Kind::ECHO, i, 100);
    ASSERT_TRUE(ends->near().Receive().ok());
  }
  EXPECT_GT(ends->near().stats().parks, 0);
}

TEST_P(Waits, OfAPublishingAndAReceivingThreadDisturbEachOtherInNothing) {
  ChannelOptions options = Options(WhenFull::kBlock);
  options.spin = absl::ZeroDuration();
  const auto ends = Connect(options);
  constexpr uint64_t kCount = 3000;
  std::thread publisher([&] {
    for (uint64_t i = 0; i < kCount; ++i) {
      const absl::Status sent = ends->near().Publish(ends->Build(Kind::ECHO, i, i % 50 * 40));
      ASSERT_TRUE(sent.ok()) << sent;
    }
  });
  for (uint64_t i = 0; i < kCount; ++i) {
    const auto message = ends->near().Receive();
    ASSERT_TRUE(message.ok()) << message.status();
  }
  publisher.join();
}

INSTANTIATE_TEST_SUITE_P(Over, Waits,
                         testing::Combine(testing::Values(Driver::kTwoThreads, Driver::kFork,
                                                          Driver::kExec, Driver::kUnixSocket,
                                                          Driver::kTcp),
                                          testing::Values("Default", "Smallest")),
                         NameOfParameter);

// Beyond what 32 bits of nanoseconds hold. Once, as it takes its time.
class LongWaits : public Conformance {};

TEST_P(LongWaits, NeverGiveUpEarly) {
  const auto ends = Connect();
  const Clock::time_point begin = Clock::now();
  EXPECT_TRUE(absl::IsDeadlineExceeded(ends->near().Receive(absl::Milliseconds(4400)).status()));
  EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(4400));
}

INSTANTIATE_TEST_SUITE_P(Over, LongWaits,
                         testing::Combine(testing::Values(Driver::kSameThread, Driver::kTcp),
                                          testing::Values("Default")),
                         NameOfParameter);

}  // namespace
}  // namespace shoal::conformance
