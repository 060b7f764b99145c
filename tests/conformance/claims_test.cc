// Messages of any size, and how they are built.

#include <algorithm>
#include <utility>
#include <vector>

#include "capnp/message.h"
#include "gmock/gmock.h"
#include "shoal/tests/conformance/conformance.h"
#include "shoal/tests/conformance/pattern.h"

namespace shoal::conformance {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Kind = Command::Kind;

class Claims : public Conformance {};

TEST_P(Claims, CarryEverySizeAroundASlot) {
  const auto ends = Connect();
  for (size_t bytes = 0; bytes <= 320; ++bytes) {
    ends->Send(Kind::ECHO, bytes, bytes);
    ends->ExpectNext(bytes, bytes);
  }
}

TEST_P(Claims, CarryLargeSizesBothWays) {
  const auto ends = Connect();
  for (const size_t bytes : {4096u, 65536u, 1u << 20, (8u << 20) - 512, 20u << 20}) {
    ends->Send(Kind::ECHO, 7, bytes);
    ends->ExpectNext(7, bytes);
  }
}

TEST_P(Claims, AreRefusedWithoutARootAndTheChannelGoesOn) {
  const auto ends = Connect();
  const absl::Status refused = ends->near().Publish(ends->near().Claim());
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  ends->Send(Kind::DATA, 0, 7000);
  ends->ExpectReport(1);
}

TEST_P(Claims, ArePublishedOnceByWhicheverHandle) {
  const auto ends = Connect();
  OutgoingMessage message = ends->Build(Kind::DATA, 0, 7000);
  OutgoingMessage again = message.Share();
  ends->Publish(std::move(message));
  const absl::Status refused = ends->near().Publish(std::move(again));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  again.Reset();
  ends->Send(Kind::DATA, 1, 7000);
  ends->ExpectReport(2);
}

// Large pieces have segments of their own in an outbox, and memory of the user's has everywhere; on
// the heap of a channel over a socket what is built shares a few.
TEST_P(Claims, CarryAMessageOfHundredsOfSegments) {
  const auto ends = Connect();
  constexpr uint32_t kPieces = 400;
  constexpr size_t kForeignWords = 100;
  std::vector<uint64_t> foreign(kPieces * kForeignWords);
  OutgoingMessage message = ends->near().Claim();
  auto pieces = message.InitRoot<Command>().initSegments(2 * kPieces);
  for (uint32_t i = 0; i < kPieces; ++i) {
    Fill(pieces.init(2 * i, 40000), 2 * i);
    const capnp::Data::Builder words(reinterpret_cast<uint8_t*>(&foreign[i * kForeignWords]),
                                     kForeignWords * sizeof(uint64_t));
    Fill(words, 2 * i + 1);
    pieces.adopt(2 * i + 1, message.orphanage().referenceExternalData(words.asReader()));
  }
  ASSERT_GT(message.builder().getSegmentsForOutput().size(), 300);
  ends->Publish(std::move(message));
  ends->ExpectReport(1);
}

TEST_P(Claims, AreRefusedAboveTheLimitAndTheChannelGoesOn) {
  ChannelOptions options = Options();
  options.max_message_words = 1000;
  const auto ends = Connect(options);
  OutgoingMessage message = ends->Build(Kind::DATA, 0, 8000);
  const absl::Status refused = ends->near().Publish(std::move(message));
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_THAT(Text(refused),
              AllOf(HasSubstr("ChannelOptions::max_message_words"), HasSubstr("1000")));
  EXPECT_TRUE(message.has_value());
  ends->Send(Kind::DATA, 0, 7000);
  ends->ExpectReport(1);
}

TEST_P(Claims, TakeAHintAndGrowBeyondIt) {
  const auto ends = Connect();
  uint64_t number = 0;
  for (const uint32_t hint : {1u, 31u, 32u, 1000u, 100000u}) {
    OutgoingMessage message = ends->near().Claim(hint);
    auto command = message.InitRoot<Command>();
    command.setNumber(number);
    Fill(command.initPayload(3 * 8 * hint), number);
    ends->Publish(std::move(message));
    ++number;
  }
  ends->ExpectReport(number);
}

TEST_P(Claims, ThatAreDroppedPublishNothingAndLeakNothing) {
  const auto ends = Connect();
  for (int i = 0; i < 100; ++i) {
    ends->Build(Kind::DATA, 99, 1 << 20);
  }
  ends->ExpectReport(0);
  ends->near().Claim();
  EXPECT_EQ(ends->near().stats().blocks_claimed, 0);
}

TEST_P(Claims, ArePublishedInAnotherOrderThanBegun) {
  const auto ends = Connect();
  OutgoingMessage second = ends->Build(Kind::DATA, 1, 100000);
  OutgoingMessage first = ends->Build(Kind::DATA, 0, 10);
  ends->Publish(std::move(first));
  ends->Publish(std::move(second));
  ends->ExpectReport(2);
}

TEST_P(Claims, MayBeOutstandingByTheThousands) {
  const auto ends = Connect();
  constexpr uint64_t kMany = 5000;
  std::vector<OutgoingMessage> claims;
  for (uint64_t i = 0; i < kMany; ++i) {
    claims.push_back(ends->Build(Kind::DATA, kMany - 1 - i, 500));
  }
  while (!claims.empty()) {
    ends->Publish(std::move(claims.back()));
    claims.pop_back();
  }
  ends->ExpectReport(kMany);
}

TEST_P(Claims, HaveForeignMemoryCopiedWhenTheyArePublished) {
  const auto ends = Connect();
  alignas(8) static uint8_t foreign[100000];
  for (size_t i = 0; i < sizeof(foreign); ++i) {
    foreign[i] = ByteAt(0, i);
  }
  OutgoingMessage message = ends->Build(Kind::DATA);
  message.GetRoot<Command>().adoptPayload(
      message.orphanage().referenceExternalData(kj::arrayPtr(foreign, sizeof(foreign))));
  ends->near().Flush(absl::InfiniteDuration()).IgnoreError();
  ends->Publish(std::move(message));
  std::fill(std::begin(foreign), std::end(foreign), uint8_t{0});
  ends->ExpectReport(1);
}

TEST_P(Claims, AreBuiltAsAnyMessageOfTheLibrary) {
  const auto ends = Connect();
  capnp::MallocMessageBuilder other;
  auto command = other.initRoot<Command>();
  Fill(command.initPayload(5000), 0);
  OutgoingMessage copied = ends->near().Claim();
  copied.builder().setRoot(command.asReader());
  ends->Publish(std::move(copied));

  OutgoingMessage adopted = ends->near().Claim();
  auto orphan = adopted.orphanage().newOrphan<Command>();
  orphan.get().setNumber(1);
  Fill(orphan.get().initPayload(5000), 1);
  adopted.builder().adoptRoot(kj::mv(orphan));
  ends->Publish(std::move(adopted));
  ends->ExpectReport(2);
}

INSTANTIATE_TEST_SUITE_P(Over, Claims, kAllDrivers, NameOfParameter);

}  // namespace
}  // namespace shoal::conformance
