// What a program does wrong with a channel or a message is told to it, and harms nobody else.

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/exception.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_socket.h"

namespace shoal {
namespace {

using testing::HasSubstr;

ChannelOptions Waiting(WhenFull when_full) {
  ChannelOptions options = SmallestThat(when_full);
  options.linger = absl::ZeroDuration();
  return options;
}

template <typename Func>
std::string Thrown(Func func) {
  try {
    func();
  } catch (const kj::Exception& exception) {
    return exception.getDescription().cStr();
  }
  return "nothing was thrown";
}

void ExpectRefused(const absl::Status& status, const std::string& text) {
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(Text(status), HasSubstr(text));
}

// ---- a message that was published ----

TEST(PublishedMessage, IsNotPublishedAgainByAnotherHandle) {
  for (const size_t bytes : {0u, 1000u, 100'000u}) {
    Pair pair;
    OutgoingMessage message = Numbered(*pair.left, 7, bytes);
    OutgoingMessage again = message.Share();
    ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
    ExpectRefused(pair.left->Publish(std::move(again)), "was published before, by another handle");
    EXPECT_TRUE(again.has_value());
    ExpectNext(*pair.right, 7, bytes);
    again.Reset();
    ASSERT_TRUE(Send(*pair.left, 8, bytes).ok());
    ExpectNext(*pair.right, 8, bytes);
    EXPECT_FALSE(pair.right->Readable());
    EXPECT_LE(pair.left->stats().blocks_claimed, 1);
  }
}

TEST(PublishedMessage, IsNotPublishedTwiceInOneBatch) {
  Pair pair;
  std::vector<OutgoingMessage> batch;
  batch.push_back(Numbered(*pair.left, 7, 1000));
  batch.push_back(batch[0].Share());
  ExpectRefused(pair.left->PublishBatch(batch), "was published before");
  EXPECT_FALSE(batch[0].has_value());
  EXPECT_TRUE(batch[1].has_value());
}

TEST(PublishedMessage, ThatWaitsIsNotPublishedAgain) {
  Pair pair(Waiting(WhenFull::kSpill));
  for (uint64_t i = 0; i < ChannelOptions::kMinSlots; ++i) {
    ASSERT_TRUE(Send(*pair.left, i).ok());
  }
  OutgoingMessage message = Numbered(*pair.left, 7, 1000);
  OutgoingMessage again = message.Share();
  ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
  ASSERT_EQ(pair.left->pending_messages(), 1);
  ExpectRefused(pair.left->Publish(std::move(again)), "was published before");
}

TEST(PublishedMessage, OverASocketIsNotPublishedAgain) {
  ChannelAndSocket ends;
  OutgoingMessage message = Numbered(*ends.channel, 7, 1000);
  OutgoingMessage again = message.Share();
  ASSERT_TRUE(ends.channel->Publish(std::move(message)).ok());
  ExpectRefused(ends.channel->Publish(std::move(again)), "was published before");
}

TEST(PublishedMessage, ThatFailedIsPublishedByAnotherHandle) {
  Pair pair(Waiting(WhenFull::kFail));
  Fill(*pair.left);
  OutgoingMessage message = Numbered(*pair.left, 7);
  OutgoingMessage again = message.Share();
  ASSERT_FALSE(pair.left->Publish(std::move(message)).ok());
  ExpectNext(*pair.right, 0);
  EXPECT_TRUE(pair.left->Publish(std::move(again)).ok());
}

TEST(PublishedMessage, CannotBeBuiltByTheHandleThatPublishedIt) {
  Pair pair;
  OutgoingMessage message = Numbered(*pair.left, 7);
  ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
  const std::string text = "was published or moved away before; claim another";
  EXPECT_THAT(Thrown([&] { message.InitRoot<test::Blob>(); }), HasSubstr(text));
  EXPECT_THAT(Thrown([&] { message.GetRoot<test::Blob>(); }), HasSubstr(text));
  EXPECT_THAT(Thrown([&] { message.builder(); }), HasSubstr(text));
  EXPECT_THAT(Thrown([&] { message.orphanage(); }), HasSubstr(text));
  EXPECT_THAT(Thrown([&] { message.SetFds({}); }), HasSubstr(text));
  EXPECT_EQ(message.SizeInWords(), 0u);
  EXPECT_FALSE(message.Share().has_value());
  message.Reset();
}

TEST(PublishedMessage, CannotBeChangedByAnotherHandleAndCanBeRead) {
  Pair pair;
  OutgoingMessage message = Numbered(*pair.left, 7, 1000);
  OutgoingMessage kept = message.Share();
  ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
  const std::string text = "published before, by another handle, and must not be changed";
  EXPECT_THAT(Thrown([&] { kept.InitRoot<test::Blob>(); }), HasSubstr(text));
  EXPECT_THAT(Thrown([&] { kept.orphanage(); }), HasSubstr(text));
  EXPECT_THAT(Thrown([&] { kept.SetFds({}); }), HasSubstr(text));
  EXPECT_EQ(kept.GetRoot<test::Blob>().getNumber(), 7u);
  EXPECT_GT(kept.SizeInWords(), 125u);
  EXPECT_EQ(kept.Share().GetRoot<test::Blob>().getData().size(), 1000u);
}

TEST(PublishedMessage, MayBeUsedAfterItsChannelIsGone) {
  Pair pair;
  OutgoingMessage published = Numbered(*pair.left, 7, 1000);
  OutgoingMessage kept = published.Share();
  OutgoingMessage begun = pair.left->Claim();
  ASSERT_TRUE(pair.left->Publish(std::move(published)).ok());
  pair.left.reset();
  EXPECT_EQ(kept.GetRoot<test::Blob>().getData().size(), 1000u);
  begun.InitRoot<test::Blob>().initData(100'000);
  EXPECT_GT(begun.SizeInWords(), 12'500u);
  EXPECT_TRUE(absl::IsInvalidArgument(pair.right->Publish(std::move(begun))));
}

#ifndef NDEBUG
// Publishes and receives until a publish fails.
absl::Status NextFailure(Pair& pair) {
  absl::Status status;
  for (int i = 0; i < 10 && status.ok(); ++i) {
    status = Send(*pair.left, 1, 1000);
    if (status.ok()) {
      ExpectNext(*pair.right, 1, 1000);
    }
  }
  return status;
}

TEST(PublishedMessage, ThatIsChangedInItsBlockIsReportedByADebugBuild) {
  Pair pair;
  OutgoingMessage message = Numbered(*pair.left, 7, 1000);
  OutgoingMessage kept = message.Share();
  auto data = kept.GetRoot<test::Blob>().getData();
  ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
  data[500] = 8;
  EXPECT_EQ(pair.right->Receive()->Root<test::Blob>().getData()[500], 8) << "the peer reads it";
  kept.Reset();
  ExpectRefused(NextFailure(pair), "changed afterwards by a builder that was kept");
  EXPECT_TRUE(NextFailure(pair).ok()) << "once";
}

TEST(PublishedMessage, ThatIsUnchangedIsNotReported) {
  Pair pair;
  for (const size_t bytes : {0u, 100u, 1000u, 100'000u}) {
    ASSERT_TRUE(Send(*pair.left, 7, bytes).ok());
    ExpectNext(*pair.right, 7, bytes);
  }
  EXPECT_TRUE(NextFailure(pair).ok());
}

#ifndef ABSL_HAVE_ADDRESS_SANITIZER
TEST(PublishedMessage, ThatIsChangedAfterItsEndIsReportedByADebugBuild) {
  Pair pair;
  OutgoingMessage message = pair.left->Claim();
  auto blob = message.InitRoot<test::Blob>();
  ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
  blob.setNumber(8);
  ExpectNext(*pair.right, 0);
  ExpectRefused(NextFailure(pair), "changed afterwards by a builder that was kept");
}
#endif
#endif

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
TEST(PublishedMessageDeathTest, CannotBeChangedInABuildWithAddressSanitizer) {
  for (const size_t bytes : {0u, 1000u, 100'000u}) {
    EXPECT_DEATH(
        {
          Pair pair;
          OutgoingMessage message = Numbered(*pair.left, 7, bytes);
          auto blob = message.GetRoot<test::Blob>();
          auto data = blob.getData();
          pair.left->Publish(std::move(message)).IgnoreError();
          if (bytes > 0) {
            data[0] = 1;
          }
          blob.setNumber(8);
        },
        "AddressSanitizer: use-after-poison");
  }
}
#endif

// ---- a message without a root ----

TEST(MessageWithoutARoot, IsRefusedAndTheReceiverSeesNothing) {
  Pair pair;
  OutgoingMessage message = pair.left->Claim();
  const absl::Status refused = pair.left->Publish(std::move(message));
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_THAT(Text(refused), HasSubstr("has no root, so nobody could read it; InitRoot()"));
  EXPECT_FALSE(pair.right->Readable());
  message.InitRoot<test::Blob>().setNumber(7);
  ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
  ExpectNext(*pair.right, 7);
}

TEST(MessageWithoutARoot, IsRefusedOverASocket) {
  ChannelAndSocket ends;
  EXPECT_TRUE(absl::IsInvalidArgument(ends.channel->Publish(ends.channel->Claim())));
}

// ---- two threads ----

// ThreadSanitizer tells of these two threads itself.
#ifndef ABSL_HAVE_THREAD_SANITIZER
const absl::Status& StatusOf(const absl::Status& status) { return status; }
const absl::Status& StatusOf(const absl::StatusOr<IncomingMessage>& result) {
  return result.status();
}

ChannelOptions Sleepy() {
  ChannelOptions options = Smallest();
  options.spin = absl::ZeroDuration();
  return options;
}

// What `call` says once another thread is in such a call, which waits there.
template <typename Call>
absl::Status OnceTheOtherIsThere(Call call) {
  while (true) {
    const absl::Status status = call();
    if (absl::IsFailedPrecondition(status)) {
      return status;
    }
    std::this_thread::yield();
  }
}

// What `call` says when this thread was there first.
template <typename Call>
auto OnceAlone(Call call) {
  auto result = call();
  while (absl::IsFailedPrecondition(StatusOf(result))) {
    result = call();
  }
  return result;
}

TEST(TwoThreads, ThatPublishAtATimeHearOfItAndThePeerIsNotBlamed) {
  Pair pair(Sleepy());
  const uint64_t first = [&] {
    uint64_t number = 0;
    while (pair.left->Publish(Numbered(*pair.left, number), absl::ZeroDuration()).ok()) {
      ++number;
    }
    return number;
  }();
  OutgoingMessage theirs = Numbered(*pair.left, first);
  OutgoingMessage ours = Numbered(*pair.left, 99);
  absl::Status their_status;
  std::thread thread(
      [&] { their_status = OnceAlone([&] { return pair.left->Publish(std::move(theirs)); }); });
  ExpectRefused(OnceTheOtherIsThere(
                    [&] { return pair.left->Publish(std::move(ours), absl::ZeroDuration()); }),
                "two threads publish on the channel to");
  ExpectRefused(pair.left->Flush(absl::ZeroDuration()), "two threads publish");
  ExpectRefused(pair.left->Notify(), "two threads publish");
  EXPECT_TRUE(ours.has_value());
  for (uint64_t i = 0; i <= first; ++i) {
    ExpectNext(*pair.right, i);
  }
  thread.join();
  EXPECT_TRUE(their_status.ok()) << their_status;
  EXPECT_TRUE(pair.left->Publish(std::move(ours)).ok()) << "once the other is done";
  ExpectNext(*pair.right, 99);
}

TEST(TwoThreads, ThatReceiveAtATimeHearOfIt) {
  Pair pair(Sleepy());
  absl::StatusOr<IncomingMessage> theirs = absl::UnknownError("");
  std::thread thread([&] { theirs = OnceAlone([&] { return pair.right->Receive(); }); });
  ExpectRefused(OnceTheOtherIsThere([&] { return pair.right->TryReceive().status(); }),
                "two threads receive on the channel to");
  ExpectRefused(pair.right->Receive(absl::ZeroDuration()).status(), "two threads receive");
  ASSERT_TRUE(Send(*pair.left, 7).ok());
  thread.join();
  ASSERT_TRUE(theirs.ok()) << theirs.status();
  ExpectNumbered(*theirs, 7);
}

TEST(TwoThreads, OverASocketHearOfItToo) {
  ChannelAndSocket ends;
  absl::StatusOr<IncomingMessage> theirs = absl::UnknownError("");
  std::thread thread([&] { theirs = OnceAlone([&] { return ends.channel->Receive(); }); });
  ExpectRefused(OnceTheOtherIsThere([&] { return ends.channel->TryReceive().status(); }),
                "two threads receive on the channel to");
  ends.socket = UniqueFd();
  thread.join();
}

#endif

TEST(TwoThreads, MayPublishInTurn) {
  Pair pair;
  for (uint64_t i = 0; i < 4; ++i) {
    std::thread([&] { EXPECT_TRUE(Send(*pair.left, i, 1000).ok()); }).join();
    ExpectNext(*pair.right, i, 1000);
  }
}

// ---- a channel that is bound to its thread ----

TEST(BoundChannel, PublishesOnItsThreadAlone) {
  Pair pair;
  pair.left->BindToThread();
  std::thread([&] {
    OutgoingMessage message = Numbered(*pair.left, 7);
    ExpectRefused(pair.left->Publish(std::move(message)),
                  "belongs to the thread of its event loop");
    ExpectRefused(pair.left->Flush(absl::ZeroDuration()), "belongs to the thread");
    ExpectRefused(pair.left->Notify(), "belongs to the thread");
    EXPECT_TRUE(message.has_value());
  }).join();
  ASSERT_TRUE(Send(*pair.left, 8).ok());
  ExpectNext(*pair.right, 8);
}

TEST(BoundChannel, OverASocketPublishesOnItsThreadAlone) {
  ChannelAndSocket ends;
  ends.channel->BindToThread();
  std::thread([&] {
    ExpectRefused(Send(*ends.channel, 7), "belongs to the thread of its event loop");
  }).join();
  EXPECT_TRUE(Send(*ends.channel, 7).ok());
}

TEST(BoundChannel, CarriesWhatOtherThreadsHaveBegunAndBuilt) {
  Pair pair;
  pair.left->BindToThread();
  for (const size_t bytes : {0u, 100u, 1000u, 1'000'000u}) {
    std::optional<OutgoingMessage> message;
    std::thread([&] { message = Numbered(*pair.left, 7, bytes); }).join();
    ASSERT_TRUE(pair.left->Publish(*std::move(message)).ok());
    ExpectNext(*pair.right, 7, bytes);
  }
  ASSERT_TRUE(Send(*pair.left, 8, 1000).ok());
  ExpectNext(*pair.right, 8, 1000);
  EXPECT_LE(pair.left->stats().blocks_claimed, 1) << "all blocks came back";
}

TEST(BoundChannel, CarriesWhatOtherThreadsHaveBuiltFurther) {
  Pair pair;
  pair.left->BindToThread();
  OutgoingMessage message = pair.left->Claim();
  auto blobs = message.InitRoot<test::Blobs>().initBlobs(40);
  blobs[0].initData(1000);
  std::thread([&] {
    for (uint32_t i = 1; i < 40; ++i) {
      blobs[i].setNumber(i);
      blobs[i].initData(1000);
    }
  }).join();
  ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
  IncomingMessage received = *pair.right->Receive();
  const auto seen = received.Root<test::Blobs>().getBlobs();
  for (uint32_t i = 1; i < 40; ++i) {
    EXPECT_EQ(seen[i].getNumber(), i);
    EXPECT_EQ(seen[i].getData().size(), 1000u);
  }
}

TEST(BoundChannel, CarriesWhatManyThreadsBuildAtOnce) {
  Pair pair;
  pair.left->BindToThread();
  constexpr int kThreads = 4;
  constexpr uint64_t kEach = 50;
  std::vector<std::vector<OutgoingMessage>> built(kThreads);
  std::vector<OutgoingMessage> begun;
  for (int i = 0; i < kThreads; ++i) {
    begun.push_back(pair.left->Claim());
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      begun[i].InitRoot<test::Blob>().initData(50'000);
      for (uint64_t number = 0; number < kEach; ++number) {
        built[i].push_back(Numbered(*pair.left, number, 10'000));
        Numbered(*pair.left, number, 10'000);  // and dropped
      }
      begun[i].Reset();
    });
  }
  for (uint64_t number = 0; number < 500; ++number) {
    ASSERT_TRUE(Send(*pair.left, number, 10'000).ok());
    ExpectNext(*pair.right, number, 10'000);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (auto& messages : built) {
    for (uint64_t number = 0; number < kEach; ++number) {
      ASSERT_TRUE(pair.left->Publish(std::move(messages[number])).ok());
      ExpectNext(*pair.right, number, 10'000);
    }
  }
}

}  // namespace
}  // namespace shoal
