// How a channel ends, by will and by death; and what wakes an end without a message.

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "shoal/tests/conformance/conformance.h"

namespace shoal::conformance {
namespace {

using testing::HasSubstr;
using Kind = Command::Kind;

class Endings : public Conformance {};

TEST_P(Endings, ComeAfterAllThatWasPublished) {
  const auto ends = Connect();
  ends->SendMake(10, 200);
  ends->Send(Kind::LEAVE);
  for (uint64_t i = 0; i < 10; ++i) {
    ends->ExpectNext(i, 200);
  }
  for (int i = 0; i < 2; ++i) {
    const absl::Status ended = ends->Receive().status();
    EXPECT_TRUE(absl::IsUnavailable(ended)) << ended;
    EXPECT_THAT(Text(ended), HasSubstr(ends->near().peer().address));
  }
  EXPECT_TRUE(ends->near().ended_by_peer());
}

TEST_P(Endings, OfOneDirectionLeaveTheOtherOpen) {
  const auto ends = Connect();
  ends->Send(Kind::END);
  const absl::Status ended = ends->Receive().status();
  EXPECT_TRUE(absl::IsUnavailable(ended)) << ended;
  EXPECT_TRUE(ends->near().ended_by_peer());
  for (uint64_t i = 0; i < 20; ++i) {
    ends->Send(Kind::DATA, i, 1000);
  }
}

TEST_P(Endings, OfTheNearEndLeaveTheFarOneToAnswer) {
  const auto ends = Connect();
  for (uint64_t i = 0; i < 20; ++i) {
    ends->Send(Kind::ECHO, i, 1000);
  }
  ends->near().End();
  const absl::Status sent = ends->near().Publish(ends->Build(Kind::DATA));
  EXPECT_TRUE(absl::IsFailedPrecondition(sent)) << sent;
  for (uint64_t i = 0; i < 20; ++i) {
    ends->ExpectNext(i, 1000);
  }
}

TEST_P(Endings, MakePublishingFail) {
  const auto ends = Connect(Options(WhenFull::kFail));
  ends->Send(Kind::LEAVE);
  EXPECT_TRUE(absl::IsUnavailable(ends->Receive().status()));
  absl::Status sent = absl::OkStatus();
  while (sent.ok() || absl::IsResourceExhausted(sent)) {
    sent = ends->near().Publish(ends->Build(Kind::DATA, 0, 1000));
  }
  EXPECT_TRUE(absl::IsUnavailable(sent)) << sent;
}

INSTANTIATE_TEST_SUITE_P(Over, Endings, kAllDrivers, NameOfParameter);

class Deaths : public Conformance {};

TEST_P(Deaths, ComeAfterMessagesWithoutAGapAndNameThePeer) {
  const auto ends = Connect();
  constexpr uint32_t kCount = 5000;
  ends->SendMake(kCount, 500);
  ends->ExpectNext(0, 500);
  ends->Kill();
  uint64_t next = 1;
  absl::StatusOr<IncomingMessage> message = ends->Receive();
  for (; message.ok(); message = ends->Receive()) {
    ASSERT_EQ(message->Root<Command>().getNumber(), next++);
  }
  EXPECT_TRUE(absl::IsUnavailable(message.status())) << message.status();
  EXPECT_THAT(Text(message.status()), HasSubstr(ends->near().peer().Describe()));
}

TEST_P(Deaths, EndAWaitForRoom) {
  const auto ends = Connect(Options(WhenFull::kBlock));
  ends->Send(Kind::WAIT_AT_GATE);
  absl::Status sent = absl::OkStatus();
  while (sent.ok()) {
    sent = ends->near().Publish(ends->Build(Kind::DATA, 0, 3000), absl::Milliseconds(1));
  }
  ASSERT_TRUE(absl::IsDeadlineExceeded(sent)) << sent;
  ends->Kill();
  sent = absl::OkStatus();
  while (sent.ok()) {
    sent = ends->near().Publish(ends->Build(Kind::DATA, 0, 3000));
  }
  EXPECT_TRUE(absl::IsUnavailable(sent)) << sent;
}

INSTANTIATE_TEST_SUITE_P(Over, Deaths, kAllProcessDrivers, NameOfParameter);

class Notices : public Conformance {};

TEST_P(Notices, EndAWaitAfterWhatWasPublishedBefore) {
  const auto ends = Connect();
  ends->SendMake(5, 100);
  ends->Send(Kind::NOTIFY);
  for (uint64_t i = 0; i < 5; ++i) {
    ends->ExpectNext(i, 100);
  }
  const absl::Status noticed = ends->Receive().status();
  EXPECT_TRUE(absl::IsCancelled(noticed)) << noticed;
  EXPECT_FALSE(ends->near().HasNotice());
  ends->ExpectReport(0);
}

TEST_P(Notices, AreNeverLost) {
  const auto ends = Connect();
  for (int i = 0; i < 300; ++i) {
    ends->Send(Kind::AWAIT_NOTICE);
    ASSERT_TRUE(ends->near().Notify().ok());
    ASSERT_TRUE(ends->Receive().ok()) << "the report that follows a notice";
  }
}

INSTANTIATE_TEST_SUITE_P(Over, Notices, kAllShmDrivers, NameOfParameter);

class ManyChannels : public Conformance {};

TEST_P(ManyChannels, AreWaitedForTogether) {
  std::vector<std::unique_ptr<Ends>> all;
  std::vector<Channel*> channels;
  for (int i = 0; i < 10; ++i) {
    all.push_back(Connect());
    channels.push_back(&all.back()->near());
  }
  size_t next = 0;
  for (int round = 0; round < 50; ++round) {
    const size_t asked = static_cast<size_t>(round) * 7 % all.size();
    all[asked]->Send(Kind::ECHO, asked, 100);
    all[asked]->Pump();
    const absl::StatusOr<size_t> ready = WaitAny(channels, absl::InfiniteDuration(), next);
    ASSERT_TRUE(ready.ok()) << ready.status();
    ASSERT_EQ(*ready, asked);
    all[asked]->ExpectNext(asked, 100);
    next = *ready + 1;
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(WaitAny(channels, absl::ZeroDuration()).status()));
  all[3]->Send(Kind::LEAVE);
  all[3]->Pump();
  EXPECT_EQ(*WaitAny(channels), 3);
}

INSTANTIATE_TEST_SUITE_P(Over, ManyChannels, kAllDrivers, NameOfParameter);

}  // namespace
}  // namespace shoal::conformance
