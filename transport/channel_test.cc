// What a channel promises, as its two users see it: one thread, two threads.
#include "shoal/transport/channel.h"

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/transport/test_channels.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Channel, DeliversInTheOrderOfPublishing) {
  Pair pair;
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(Send(*pair.left, i).ok());
  }
  for (uint64_t i = 0; i < 100; ++i) {
    ExpectNext(*pair.right, i);
  }
}

TEST(Channel, CarriesMessagesBothWaysAtOnce) {
  Pair pair;
  ASSERT_TRUE(Send(*pair.left, 1).ok());
  ASSERT_TRUE(Send(*pair.right, 2).ok());
  ExpectNext(*pair.left, 2);
  ExpectNext(*pair.right, 1);
}

TEST(Channel, PublishesInAnotherOrderThanItClaims) {
  Pair pair;
  OutgoingMessage first = Numbered(*pair.left, 1, 100000);
  OutgoingMessage second = Numbered(*pair.left, 2);
  ASSERT_TRUE(pair.left->Publish(std::move(second)).ok());
  ASSERT_TRUE(pair.left->Publish(std::move(first)).ok());
  ExpectNext(*pair.right, 2);
  ExpectNext(*pair.right, 1, 100000);
}

TEST(Channel, DroppingAClaimPublishesNothingAndLeaksNothing) {
  Pair pair;
  for (int i = 0; i < 100; ++i) {
    Numbered(*pair.left, 1, 1 << 20);
  }
  ASSERT_TRUE(Send(*pair.left, 2).ok());
  ExpectNext(*pair.right, 2);
  EXPECT_EQ(pair.left->stats().blocks_claimed, 0);
}

TEST(Channel, LetsMessagesBeReleasedInAnyOrder) {
  Pair pair;
  for (uint64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(Send(*pair.left, i, 10000).ok());
  }
  std::vector<IncomingMessage> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(*pair.right->Receive());
  }
  held.erase(held.begin() + 1);
  ExpectNumbered(held[0], 0, 10000);
  ExpectNumbered(held[1], 2, 10000);
  held.clear();
  ASSERT_TRUE(Send(*pair.left, 3, 10000).ok());  // takes the receipts in
  EXPECT_EQ(pair.left->stats().blocks_lent, 1);
}

TEST(Channel, CopiesNoPayloadOfAMessageThatFitsTheOutbox) {
  Pair pair;
  for (uint64_t i = 0; i < 50; ++i) {
    ASSERT_TRUE(Send(*pair.left, i, 1 << 20).ok());
    ExpectNext(*pair.right, i, 1 << 20);
  }
  EXPECT_EQ(pair.left->stats().words_copied_out, 0);
  EXPECT_EQ(pair.right->stats().words_copied_in, 0);
}

class ChannelSizes : public testing::TestWithParam<size_t> {};

TEST_P(ChannelSizes, ArriveWhole) {
  for (const ChannelOptions& options : {ChannelOptions(), SmallestThat(WhenFull::kSpill)}) {
    Pair pair(options);
    std::thread reader([&] {
      for (uint64_t i = 1; i <= 3; ++i) {
        ExpectNext(*pair.right, i, GetParam());
      }
    });
    for (uint64_t i = 1; i <= 3; ++i) {
      ASSERT_TRUE(Send(*pair.left, i, GetParam()).ok());
    }
    ASSERT_TRUE(pair.left->Flush(absl::InfiniteDuration()).ok());
    reader.join();
  }
}

INSTANTIATE_TEST_SUITE_P(Bytes, ChannelSizes,
                         testing::Values(0, 1, 8, 200, 216, 224, 232, 248, 256, 512, 4096, 65536,
                                         1 << 20, (8 << 20) - 512, 8 << 20, 20 << 20));

TEST(Channel, CarriesAMessageWhoseRootIsNull) {
  Pair pair;
  OutgoingMessage out = pair.left->Claim();
  out.GetRoot<capnp::AnyPointer>();
  ASSERT_TRUE(pair.left->Publish(std::move(out)).ok());
  auto message = pair.right->Receive();
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(message->SizeInWords(), 1);
  EXPECT_EQ(message->Root<test::Blob>().getNumber(), 0);
}

TEST(Channel, CarriesAMessageOfHundredsOfSegments) {
  Pair pair;
  std::thread reader([&] {
    auto message = pair.right->Receive();
    ASSERT_TRUE(message.ok()) << message.status();
    const auto list = message->Root<test::Blobs>().getBlobs();
    for (uint64_t i = 0; i < list.size(); ++i) {
      ASSERT_EQ(list[i].getNumber(), i);
      ASSERT_EQ(list[i].getData().size(), 40000);
    }
  });
  OutgoingMessage message = pair.left->Claim();
  auto list = message.InitRoot<test::Blobs>().initBlobs(400);
  for (uint64_t i = 0; i < list.size(); ++i) {
    list[i].setNumber(i);
    list[i].initData(40000);
  }
  ASSERT_GT(message.builder().getSegmentsForOutput().size(), 300);
  ASSERT_TRUE(pair.left->Publish(std::move(message)).ok());
  reader.join();
}

TEST(Channel, DeliversEverythingToAPeerThatHoldsEveryBlock) {
  Pair pair(Smallest());
  std::vector<IncomingMessage> held;
  std::thread reader([&] {
    for (uint64_t i = 0; i < 50; ++i) {
      held.push_back(*pair.right->Receive());
    }
  });
  for (uint64_t i = 0; i < 50; ++i) {
    ASSERT_TRUE(Send(*pair.left, i, 10000).ok());
  }
  reader.join();
  for (uint64_t i = 0; i < 50; ++i) {
    ExpectNumbered(held[i], i, 10000);
  }
}

TEST(Channel, KeepsMessagesReadableAfterBothEndsAreGone) {
  auto pair = std::make_unique<Pair>();
  ASSERT_TRUE(Send(*pair->left, 7, 100000).ok());
  IncomingMessage message = *pair->right->Receive();
  OutgoingMessage unsent = Numbered(*pair->left, 8, 100000);
  pair.reset();
  ExpectNumbered(message, 7, 100000);
  EXPECT_EQ(unsent.GetRoot<test::Blob>().getNumber(), 8);
}

TEST(Channel, SaysThatNothingCame) {
  Pair pair;
  const auto message = pair.right->Receive(absl::ZeroDuration());
  EXPECT_TRUE(absl::IsDeadlineExceeded(message.status())) << message.status();
  EXPECT_FALSE(pair.right->TryReceive()->has_value());
}

TEST(Channel, DeliversWhatWasPublishedBeforeTheEndAndThenSaysThatItEnded) {
  Pair pair;
  ASSERT_TRUE(Send(*pair.left, 1).ok());
  pair.left.reset();
  ExpectNext(*pair.right, 1);
  for (int i = 0; i < 2; ++i) {
    const auto message = pair.right->Receive();
    ASSERT_TRUE(absl::IsUnavailable(message.status()));
    EXPECT_THAT(Text(message.status()), HasSubstr("closed the channel"));
  }
  EXPECT_TRUE(pair.right->ended_by_peer());
  EXPECT_TRUE(absl::IsUnavailable(Send(*pair.right, 1)));
}

TEST(Channel, GoesOnReceivingAfterItHasEndedItsOwnDirection) {
  Pair pair;
  pair.left->End();
  EXPECT_TRUE(absl::IsFailedPrecondition(Send(*pair.left, 1)));
  ASSERT_TRUE(Send(*pair.right, 2).ok());
  ExpectNext(*pair.left, 2);
}

TEST(Channel, WakesAReceiverThatSleeps) {
  ChannelOptions options;
  options.spin = absl::ZeroDuration();
  Pair pair(options);
  std::thread echo([&] {
    for (uint64_t i = 0; i < 2000; ++i) {
      ExpectNext(*pair.right, i);
      ASSERT_TRUE(Send(*pair.right, i).ok());
    }
  });
  for (uint64_t i = 0; i < 2000; ++i) {
    ASSERT_TRUE(Send(*pair.left, i).ok());
    ExpectNext(*pair.left, i);
  }
  echo.join();
  EXPECT_GT(pair.left->stats().parks + pair.right->stats().parks, 0);
}

TEST(Channel, WakesAReceiverThatSleepsWhenThePeerGoes) {
  Pair pair;
  std::thread receiver([&] { EXPECT_TRUE(absl::IsUnavailable(pair.right->Receive().status())); });
  pair.left.reset();
  receiver.join();
}

TEST(Channel, NoticesThatThePeerWentAlsoWhenItNeverSleeps) {
  ChannelOptions options;
  options.spin = absl::InfiniteDuration();
  Pair pair(options);
  std::thread receiver([&] { EXPECT_TRUE(absl::IsUnavailable(pair.right->Receive().status())); });
  pair.left.reset();
  receiver.join();
}

class ChannelSpins : public testing::TestWithParam<absl::Duration> {};

TEST_P(ChannelSpins, CarryBothDirectionsAtOnceThroughTheSmallestRing) {
  ChannelOptions options = Smallest();
  options.spin = GetParam();
  Pair pair(options);
  constexpr uint64_t kMessages = 5000;
  auto send = [&](Channel& channel) {
    for (uint64_t i = 0; i < kMessages; ++i) {
      ASSERT_TRUE(Send(channel, i, i % 97 * 13).ok());
    }
  };
  auto receive = [&](Channel& channel) {
    for (uint64_t i = 0; i < kMessages; ++i) {
      ExpectNext(channel, i, i % 97 * 13);
    }
  };
  std::thread threads[] = {
      std::thread([&] { send(*pair.left); }), std::thread([&] { send(*pair.right); }),
      std::thread([&] { receive(*pair.left); }), std::thread([&] { receive(*pair.right); })};
  for (std::thread& thread : threads) {
    thread.join();
  }
}

INSTANTIATE_TEST_SUITE_P(Budgets, ChannelSpins,
                         testing::Values(absl::ZeroDuration(), absl::Microseconds(50),
                                         absl::InfiniteDuration()));

TEST(Channel, LetsMessagesBeDroppedOnOtherThreads) {
  Pair pair(Smallest());
  for (uint64_t round = 0; round < 200; ++round) {
    for (uint64_t i = 0; i < 8; ++i) {
      ASSERT_TRUE(Send(*pair.left, i, 1000).ok());
    }
    std::vector<IncomingMessage> batch;
    for (uint64_t i = 0; i < 8; ++i) {
      batch.push_back(*pair.right->Receive());
    }
    std::thread first(
        [half = std::vector<IncomingMessage>(std::make_move_iterator(batch.begin()),
                                             std::make_move_iterator(batch.begin() + 4))] {});
    std::thread second([unsent = Numbered(*pair.left, 1, 1000)] {});
    batch.erase(batch.begin(), batch.begin() + 4);
    batch.clear();
    first.join();
    second.join();
  }
  ASSERT_TRUE(Send(*pair.left, 0, 1000).ok());
  EXPECT_EQ(pair.left->stats().blocks_claimed, 1);
}

TEST(Channel, RefusesAMessageAboveTheLimitAndNamesIt) {
  ChannelOptions options;
  options.max_message_words = 1000;
  Pair pair(options);
  const absl::Status status = Send(*pair.left, 1, 8000);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(Text(status), AllOf(HasSubstr("max_message_words"), HasSubstr("1000")));
  ASSERT_TRUE(Send(*pair.left, 2, 7000).ok());
  ExpectNext(*pair.right, 2, 7000);
}

TEST(Channel, RefusesOptionsOutOfRange) {
  ChannelOptions options;
  options.slots = 3;
  EXPECT_TRUE(absl::IsInvalidArgument(ChannelPair(options).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Listen("shm:x", options).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Connect("shm:x", options).status()));
}

TEST(Channel, ConnectsByAnyNameHoweverLong) {
  const std::string unique = std::to_string(std::random_device()());
  const std::string long_name(5000, 'x');
  const std::vector<std::string> names = {"a/b//c",  "two words\t",   "\u6f01 \u7fa4",
                                          long_name, "y" + long_name, "user@place@0"};
  for (const std::string& name : names) {
    const std::string address = "shm:" + unique + name;
    auto listener = Listen(address);
    ASSERT_TRUE(listener.ok()) << listener.status();
    EXPECT_EQ((*listener)->address(), address);
    std::thread client([&] {
      auto channel = Connect(address);
      ASSERT_TRUE(channel.ok()) << channel.status();
      EXPECT_EQ((*channel)->peer().address, address);
      ASSERT_TRUE(Send(**channel, 7).ok());
    });
    auto channel = (*listener)->Accept();
    ASSERT_TRUE(channel.ok()) << channel.status();
    ExpectNext(**channel, 7);
    client.join();
  }
}

TEST(Channel, NeitherListensNorConnectsAtWhatIsNoAddress) {
  for (const char* address : {"", "shm:", "unix:", "127.0.0.1", "127.0.0.1:http"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Listen(address).status())) << address;
    EXPECT_TRUE(absl::IsInvalidArgument(Connect(address).status())) << address;
  }
}

}  // namespace
}  // namespace shoal
