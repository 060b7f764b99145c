#include "shoal/transport/fragments.h"

#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "capnp/serialize.h"
#include "gtest/gtest.h"
#include "kj/array.h"
#include "shoal/transport/peer.h"

namespace shoal {
namespace {

constexpr uint64_t kMaxWords = 1000;

const Peer kPeer = {.address = "shm:test", .pid = 1};

// A message of segments of these sizes, all words of which differ.
class Message {
 public:
  explicit Message(const std::vector<size_t>& sizes)
      : words_(std::accumulate(sizes.begin(), sizes.end(), size_t{0})) {
    std::iota(words_.begin(), words_.end(), uint64_t{1000});
    auto next = reinterpret_cast<const capnp::word*>(words_.data());
    for (const size_t size : sizes) {
      segments_.push_back(kj::arrayPtr(next, size));
      next += size;
    }
  }

  Segments segments() const { return kj::arrayPtr(segments_.data(), segments_.size()); }

  // As Cap'n Proto writes it to a stream.
  std::vector<uint64_t> Stream() const {
    const kj::Array<capnp::word> flat = capnp::messageToFlatArray(segments());
    const auto begin = reinterpret_cast<const uint64_t*>(flat.begin());
    return {begin, begin + flat.size()};
  }

 private:
  std::vector<uint64_t> words_;
  std::vector<kj::ArrayPtr<const capnp::word>> segments_;
};

std::vector<std::vector<uint64_t>> Contents(Segments segments) {
  std::vector<std::vector<uint64_t>> contents;
  for (const auto& segment : segments) {
    const auto begin = reinterpret_cast<const uint64_t*>(segment.begin());
    contents.emplace_back(begin, begin + segment.size());
  }
  return contents;
}

std::vector<std::vector<uint64_t>> Contents(const JoinedMessage& message) {
  return Contents(kj::arrayPtr(message.segments.data(), message.segments.size()));
}

// The message in pieces of `size` words; the last may be smaller.
std::vector<std::vector<uint64_t>> Cut(const Message& message, size_t size) {
  FragmentCutter cutter(message.segments());
  std::vector<std::vector<uint64_t>> pieces;
  while (!cutter.done() && pieces.size() < 10'000) {
    std::vector<uint64_t> piece(size);
    piece.resize(cutter.Next(piece));
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

std::vector<uint64_t> Together(const std::vector<std::vector<uint64_t>>& pieces) {
  std::vector<uint64_t> together;
  for (const std::vector<uint64_t>& piece : pieces) {
    together.insert(together.end(), piece.begin(), piece.end());
  }
  return together;
}

// The pieces joined, if the last one of them finishes the message and no earlier one does.
std::optional<JoinedMessage> Join(FragmentJoiner& joiner,
                                  const std::vector<std::vector<uint64_t>>& pieces) {
  std::optional<JoinedMessage> message;
  for (const std::vector<uint64_t>& piece : pieces) {
    EXPECT_FALSE(message) << "finished ahead of its last piece";
    EXPECT_EQ(joiner.Add(piece, kPeer), absl::OkStatus());
    message = joiner.TakeFinished();
    EXPECT_EQ(joiner.joining(), !message);
  }
  return message;
}

void ExpectCutAndJoinedAtEverySize(const std::vector<size_t>& segment_words) {
  const Message message(segment_words);
  const std::vector<uint64_t> stream = message.Stream();
  FragmentJoiner joiner(kMaxWords);
  for (size_t size = 1; size <= stream.size() + 1; ++size) {
    SCOPED_TRACE(size);
    const std::vector<std::vector<uint64_t>> pieces = Cut(message, size);
    EXPECT_EQ(pieces.size(), (stream.size() + size - 1) / size);
    EXPECT_EQ(Together(pieces), stream);
    const std::optional<JoinedMessage> joined = Join(joiner, pieces);
    ASSERT_TRUE(joined);
    EXPECT_EQ(Contents(*joined), Contents(message.segments()));
  }
}

// A table that announces segments of these sizes, the first word's lower half being `count` - 1.
std::vector<uint64_t> Table(uint32_t count, const std::vector<uint32_t>& sizes) {
  std::vector<uint64_t> table(sizes.size() / 2 + 1);
  table[0] = count - 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    table[(i + 1) / 2] |= uint64_t{sizes[i]} << (32 * ((i + 1) % 2));
  }
  return table;
}

// Cut and joined

TEST(Fragments, AreTheStreamFormatCutAtAnySize) { ExpectCutAndJoinedAtEverySize({40}); }

TEST(Fragments, CarrySeveralSegments) {
  ExpectCutAndJoinedAtEverySize({5, 31});
  ExpectCutAndJoinedAtEverySize({1, 2, 3});
  ExpectCutAndJoinedAtEverySize({31, 31, 31, 31});
}

TEST(Fragments, CarrySegmentsWithoutWords) {
  ExpectCutAndJoinedAtEverySize({0});
  ExpectCutAndJoinedAtEverySize({0, 0});
  ExpectCutAndJoinedAtEverySize({0, 7, 0});
  ExpectCutAndJoinedAtEverySize({7, 0, 0, 7, 0, 0});
}

TEST(Fragments, CarryATableThatIsLargerThanAFragment) {
  ExpectCutAndJoinedAtEverySize(std::vector<size_t>(101, 1));
}

TEST(FragmentCutter, IsDoneWithTheLastWordAndNotBefore) {
  const Message message({30});
  FragmentCutter cutter(message.segments());
  uint64_t words[31];
  EXPECT_FALSE(cutter.done());
  EXPECT_EQ(cutter.Next(std::span(words, 30)), 30u);
  EXPECT_FALSE(cutter.done());
  EXPECT_EQ(cutter.Next(std::span(words, 31)), 1u);
  EXPECT_TRUE(cutter.done());
  EXPECT_EQ(cutter.Next(std::span(words, 31)), 0u);
}

TEST(FragmentJoiner, JoinsOneMessageAfterTheOther) {
  FragmentJoiner joiner(kMaxWords);
  const Message large({500, 100});
  const Message small({3});
  EXPECT_EQ(Contents(Join(joiner, Cut(large, 31)).value()), Contents(large.segments()));
  EXPECT_EQ(Contents(Join(joiner, Cut(small, 31)).value()), Contents(small.segments()));
  EXPECT_EQ(Contents(Join(joiner, Cut(large, 31)).value()), Contents(large.segments()));
}

TEST(FragmentJoiner, HasNothingFinishedAtFirst) {
  FragmentJoiner joiner(kMaxWords);
  EXPECT_FALSE(joiner.joining());
  EXPECT_FALSE(joiner.TakeFinished());
}

TEST(FragmentJoiner, GivesAMessageOnce) {
  FragmentJoiner joiner(kMaxWords);
  ASSERT_TRUE(Join(joiner, Cut(Message({3}), 31)));
  EXPECT_FALSE(joiner.TakeFinished());
  EXPECT_FALSE(joiner.joining());
}

TEST(FragmentJoiner, TakesAnEmptyFragmentForNothing) {
  FragmentJoiner joiner(kMaxWords);
  EXPECT_EQ(joiner.Add({}, kPeer), absl::OkStatus());
  EXPECT_FALSE(joiner.joining());
  EXPECT_FALSE(joiner.TakeFinished());
}

TEST(FragmentJoiner, ForgetsAMessageThatIsAbandonedInItsTable) {
  FragmentJoiner joiner(kMaxWords);
  ASSERT_EQ(joiner.Add({{99}}, kPeer), absl::OkStatus());
  EXPECT_TRUE(joiner.joining());
  joiner.Abandon();
  EXPECT_FALSE(joiner.joining());
  const Message next({4, 4});
  EXPECT_EQ(Contents(Join(joiner, Cut(next, 2)).value()), Contents(next.segments()));
}

TEST(FragmentJoiner, ForgetsAMessageThatIsAbandonedInItsWords) {
  FragmentJoiner joiner(kMaxWords);
  ASSERT_EQ(joiner.Add(Cut(Message({100}), 31)[0], kPeer), absl::OkStatus());
  joiner.Abandon();
  EXPECT_FALSE(joiner.joining());
  EXPECT_FALSE(joiner.TakeFinished());
  const Message next({4, 4});
  EXPECT_EQ(Contents(Join(joiner, Cut(next, 2)).value()), Contents(next.segments()));
}

// A peer that writes nonsense

TEST(FragmentJoiner, TakesAMessageAsLargeAsItsLimit) {
  FragmentJoiner joiner(kMaxWords);
  EXPECT_TRUE(Join(joiner, Cut(Message({kMaxWords}), 31)));
  EXPECT_TRUE(Join(joiner, Cut(Message({1, kMaxWords - 1}), 31)));
}

TEST(FragmentJoiner, RefusesAMessageAboveItsLimit) {
  FragmentJoiner joiner(kMaxWords);
  const std::string bound = "at most ChannelOptions::max_message_words, 1000";
  EXPECT_EQ(joiner.Add(Table(1, {1001}), kPeer),
            CorruptPeer(kPeer, "the size in words of a message in fragments", 1001, bound));
}

TEST(FragmentJoiner, RefusesSegmentsThatAreAboveItsLimitTogether) {
  FragmentJoiner joiner(kMaxWords);
  const std::string bound = "at most ChannelOptions::max_message_words, 1000";
  EXPECT_EQ(joiner.Add(Table(4, {UINT32_MAX, UINT32_MAX, 2, 1000}), kPeer),
            CorruptPeer(kPeer, "the size in words of a message in fragments",
                        2 * uint64_t{UINT32_MAX} + 1002, bound));
}

TEST(FragmentJoiner, RefusesMoreSegmentsThanItKeepsATableFor) {
  FragmentJoiner joiner(kMaxWords);
  const std::string bound = "at most 1048576";
  EXPECT_EQ(joiner.Add(Table(1048577, {0}), kPeer),
            CorruptPeer(kPeer, "the segment count of a message in fragments", 1048577, bound));
}

TEST(FragmentJoiner, RefusesTheLargestSegmentCount) {
  FragmentJoiner joiner(kMaxWords);
  EXPECT_EQ(joiner.Add({{UINT64_MAX}}, kPeer),
            CorruptPeer(kPeer, "the segment count of a message in fragments",
                        uint64_t{UINT32_MAX} + 1, "at most 1048576"));
}

TEST(FragmentJoiner, KeepsATableOfAsManySegmentsAsItAllows) {
  FragmentJoiner joiner(kMaxWords);
  ASSERT_EQ(joiner.Add(Table(1 << 20, std::vector<uint32_t>(1 << 20, 0)), kPeer), absl::OkStatus());
  const std::optional<JoinedMessage> message = joiner.TakeFinished();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->segments.size(), 1u << 20);
}

TEST(FragmentJoiner, RefusesMoreWordsThanWereAnnounced) {
  FragmentJoiner joiner(kMaxWords);
  ASSERT_EQ(joiner.Add(Table(1, {3}), kPeer), absl::OkStatus());
  ASSERT_EQ(joiner.Add({{1, 2}}, kPeer), absl::OkStatus());
  EXPECT_EQ(joiner.Add({{3, 4}}, kPeer), CorruptPeer(kPeer, "the words of a message in fragments",
                                                     4, "at most the 3 announced"));
}

TEST(FragmentJoiner, RefusesWordsBehindAMessageWithoutAny) {
  FragmentJoiner joiner(kMaxWords);
  EXPECT_EQ(joiner.Add({{0, 1}}, kPeer), CorruptPeer(kPeer, "the words of a message in fragments",
                                                     1, "at most the 0 announced"));
}

TEST(FragmentJoiner, ForgetsAMessageThatItRefused) {
  FragmentJoiner joiner(kMaxWords);
  ASSERT_FALSE(joiner.Add(Table(1, {1001}), kPeer).ok());
  EXPECT_FALSE(joiner.joining());
  EXPECT_FALSE(joiner.TakeFinished());
  const Message next({4, 4});
  EXPECT_EQ(Contents(Join(joiner, Cut(next, 2)).value()), Contents(next.segments()));
}

// 2^52 words are more than a process can address.
TEST(FragmentJoiner, SaysSoWhenThereIsNoMemory) {
  FragmentJoiner joiner(UINT64_MAX);
  const uint32_t segments = 1 << 20;
  const absl::Status status =
      joiner.Add(Table(segments, std::vector<uint32_t>(segments, UINT32_MAX)), kPeer);
  EXPECT_EQ(status, absl::ResourceExhaustedError(
                        "no memory for a message of 4503599626321920 words from shm:test (pid 1); "
                        "lower ChannelOptions::max_message_words"));
  EXPECT_FALSE(joiner.TakeFinished());
}

}  // namespace
}  // namespace shoal
