// What publishing does when there is no room.

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "shoal/tests/conformance/conformance.h"
#include "shoal/tests/conformance/pattern.h"

namespace shoal::conformance {
namespace {

using testing::HasSubstr;
using Kind = Command::Kind;

class Policies : public Conformance {
 protected:
  // An end whose other one reads nothing until the gate is opened.
  std::unique_ptr<Ends> ConnectToOneAtTheGate(const ChannelOptions& options) {
    auto ends = Connect(options);
    ends->Send(Kind::WAIT_AT_GATE);
    ends->Pump();
    return ends;
  }

  struct Filled {
    uint64_t count;
    OutgoingMessage message;  // for which there was no room
    absl::Status refused;
  };

  // Publishes data until there is no room.
  static Filled Fill(Ends& ends, size_t bytes, absl::StatusCode expected) {
    for (uint64_t i = 0;; ++i) {
      OutgoingMessage message = ends.Build(Kind::DATA, i, bytes);
      const absl::Status sent = ends.near().Publish(std::move(message), absl::Milliseconds(1));
      if (!sent.ok()) {
        EXPECT_EQ(sent.code(), expected) << sent;
        return {i, std::move(message), sent};
      }
    }
  }
};

TEST_P(Policies, BlockUntilTheDeadlineAndLeaveTheMessageAsItWas) {
  const auto ends = ConnectToOneAtTheGate(Options(WhenFull::kBlock));
  auto [count, message, refused] = Fill(*ends, 3000, absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(message.GetRoot<Command>().getNumber(), count);
  ends->OpenGate();
  ends->Publish(std::move(message));
  ends->ExpectReport(count + 1);
}

TEST_P(Policies, FailAtOnceAndLeaveTheMessageAsItWas) {
  const auto ends = ConnectToOneAtTheGate(Options(WhenFull::kFail));
  auto [count, message, refused] = Fill(*ends, 3000, absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE(message.has_value());
  ends->OpenGate();
  while (!ends->near().Publish(std::move(message)).ok()) {
    ends->Pump();
  }
  ends->Pump();
  while (!ends->near().Publish(ends->Build(Kind::REPORT)).ok()) {
    ends->Pump();
  }
  auto report = ends->Receive();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->Root<Report>().getMessages(), count + 1);
  EXPECT_EQ(std::string(report->Root<Report>().getError().cStr()), "");
}

TEST_P(Policies, SpillInOrderWithoutWaiting) {
  const auto ends = ConnectToOneAtTheGate(Options(WhenFull::kSpill));
  uint64_t count = 0;
  while (ends->near().pending_messages() < 500) {  // a socket's buffers hold thousands before
    const absl::Status sent = ends->near().Publish(ends->Build(Kind::DATA, count, count % 3000));
    ASSERT_TRUE(sent.ok()) << sent;
    ++count;
  }
  EXPECT_GT(ends->near().pending_bytes(), 0);
  EXPECT_GT(ends->near().stats().spills, 0);
  ends->OpenGate();
  ends->ExpectReport(count);
  EXPECT_EQ(ends->near().pending_messages(), 0);
  EXPECT_EQ(ends->near().pending_bytes(), 0);
}

TEST_P(Policies, SpillACopyOfForeignMemory) {
  const auto ends = ConnectToOneAtTheGate(Options(WhenFull::kSpill));
  uint64_t count = 0;
  while (ends->near().pending_messages() == 0) {
    ASSERT_TRUE(ends->near().Publish(ends->Build(Kind::DATA, count++, 3000)).ok());
  }
  alignas(8) static uint8_t foreign[100000];
  for (size_t i = 0; i < sizeof(foreign); ++i) {
    foreign[i] = ByteAt(count, i);
  }
  OutgoingMessage message = ends->Build(Kind::DATA, count);
  message.GetRoot<Command>().adoptPayload(
      message.orphanage().referenceExternalData(kj::arrayPtr(foreign, sizeof(foreign))));
  ASSERT_TRUE(ends->near().Publish(std::move(message)).ok());
  std::fill(std::begin(foreign), std::end(foreign), uint8_t{0});
  ends->OpenGate();
  ends->ExpectReport(count + 1);
}

TEST_P(Policies, SpillUpToTheLimitAndNameIt) {
  ChannelOptions options = Options(WhenFull::kSpill);
  options.max_pending_bytes = 1 << 20;
  const auto ends = ConnectToOneAtTheGate(options);
  auto [count, message, refused] = Fill(*ends, 3000, absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE(message.has_value());
  EXPECT_LE(ends->near().pending_bytes(), 1 << 20);
  EXPECT_THAT(Text(refused), HasSubstr("ChannelOptions::max_pending_bytes"));
  ends->OpenGate();
  while (!ends->near().Flush(ends->patience()).ok()) {
    ends->Pump();
  }
  ends->Publish(std::move(message));
  ends->ExpectReport(count + 1);
}

TEST_P(Policies, FlushUntilTheDeadline) {
  const auto ends = ConnectToOneAtTheGate(Options(WhenFull::kSpill));
  for (uint64_t i = 0; i < 3000; ++i) {
    ASSERT_TRUE(ends->near().Publish(ends->Build(Kind::DATA, i, 10000)).ok());
  }
  const absl::Status flushed = ends->near().Flush(absl::Milliseconds(5));
  EXPECT_TRUE(absl::IsDeadlineExceeded(flushed)) << flushed;
  ends->OpenGate();
}

TEST_P(Policies, FullInOneDirectionBlockNothingInTheOther) {
  const auto ends = Connect(Options(WhenFull::kBlock));
  ends->SendMake(5, 100);
  ends->Send(Kind::WAIT_AT_GATE);
  ends->Pump();
  auto [count, message, refused] = Fill(*ends, 3000, absl::StatusCode::kDeadlineExceeded);
  for (uint64_t i = 0; i < 5; ++i) {
    ends->ExpectNext(i, 100);
  }
  ends->OpenGate();
  ends->Publish(std::move(message));
  ends->ExpectReport(count + 1);
}

TEST_P(Policies, PublishABatchInItsOrder) {
  const auto ends = Connect();
  std::vector<OutgoingMessage> batch;
  for (uint64_t i = 0; i < 100; ++i) {
    batch.push_back(ends->Build(Kind::DATA, i, i * 30));
  }
  ASSERT_TRUE(ends->near().PublishBatch(batch).ok());
  EXPECT_FALSE(batch[99].has_value());
  ends->ExpectReport(100);
  ends->SendMake(100, 300, Kind::MAKE_BATCH);
  for (uint64_t i = 0; i < 100; ++i) {
    ends->ExpectNext(i, 300);
  }
}

TEST_P(Policies, LeaveTheRestOfABatchAsItWasWhenThereIsNoRoom) {
  const auto ends = ConnectToOneAtTheGate(Options(WhenFull::kBlock));
  std::vector<OutgoingMessage> batch;
  for (uint64_t i = 0; i < 3000; ++i) {
    batch.push_back(ends->Build(Kind::DATA, i, 3000));
  }
  const absl::Status sent = ends->near().PublishBatch(batch, absl::Milliseconds(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(sent)) << sent;
  size_t published = 0;
  while (!batch[published].has_value()) {
    ++published;
  }
  EXPECT_GT(published, 0);
  ends->OpenGate();
  for (size_t i = published; i < 3000; ++i) {
    ASSERT_TRUE(batch[i].has_value());
    while (!ends->near().Publish(std::move(batch[i]), ends->patience()).ok()) {
      ends->Pump();
    }
  }
  ends->ExpectReport(3000);
}

INSTANTIATE_TEST_SUITE_P(Over, Policies, kAllDrivers, NameOfParameter);

// With a far end that reads on its own.
class Blocking : public Conformance {};

TEST_P(Blocking, GoesOnWhenThereIsRoomForAllOfAMessageAndNotForAPart) {
  const auto ends = Connect(Options(WhenFull::kBlock));
  for (uint64_t i = 0; i < 200; ++i) {
    const absl::Status sent = ends->near().Publish(ends->Build(Kind::DATA, i, 200000));
    ASSERT_TRUE(sent.ok()) << sent;
  }
  ends->ExpectReport(200);
}

TEST_P(Blocking, CarriesBothDirectionsAtOnce) {
  const auto ends = Connect(Options(WhenFull::kBlock));
  constexpr uint64_t kCount = 2000;
  std::thread reader([&] {
    for (uint64_t i = 0; i < kCount; ++i) {
      auto message = ends->near().Receive();
      ASSERT_TRUE(message.ok()) << message.status();
      ASSERT_EQ(message->Root<Command>().getNumber(), i);
    }
  });
  for (uint64_t i = 0; i < kCount; ++i) {
    ASSERT_TRUE(ends->near().Publish(ends->Build(Kind::ECHO, i, i % 97 * 131)).ok());
  }
  reader.join();
}

INSTANTIATE_TEST_SUITE_P(Over, Blocking,
                         testing::Combine(testing::Values(Driver::kTwoThreads, Driver::kFork,
                                                          Driver::kExec, Driver::kUnixSocket,
                                                          Driver::kTcp),
                                          testing::Values("Default", "Smallest")),
                         NameOfParameter);

}  // namespace
}  // namespace shoal::conformance
