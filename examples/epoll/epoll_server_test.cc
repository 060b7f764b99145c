// The server as its users meet it: many clients, slow ones, dead ones.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "shoal/examples/epoll/square.capnp.h"
#include "shoal/tests/child_process.h"
#include "shoal/transport/channel.h"

namespace shoal {
namespace {

class EpollServer : public testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Channel> NewClient(const ChannelOptions& options = {}) {
    auto client = Connect(listening_, options);
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  static absl::Status Ask(Channel& client, int64_t number) {
    OutgoingMessage question = client.Claim();
    question.InitRoot<square::Question>().setNumber(number);
    return client.Publish(std::move(question));
  }

  static void ExpectAnswer(Channel& client, int64_t number) {
    auto answer = client.Receive();
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->Root<square::Answer>().getSquare(), number * number);
  }

  UniqueAddress address_{GetParam()};
  ChildProcess server_{{"examples/epoll/server", address_.text()}};
  const std::string listening_ = server_.ReadLine();
};

TEST_P(EpollServer, AnswersAHundredClientsOfOneThread) {
  std::vector<std::unique_ptr<Channel>> clients;
  std::vector<Channel*> channels;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(NewClient());
    channels.push_back(clients.back().get());
  }
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(Ask(*channels[i], i + round).ok());
    }
    size_t next = 0;
    for (int i = 0; i < 100; ++i) {
      const absl::StatusOr<size_t> ready = WaitAny(channels, absl::InfiniteDuration(), next);
      ASSERT_TRUE(ready.ok()) << ready.status();
      ExpectAnswer(*channels[*ready], static_cast<int64_t>(*ready) + round);
      next = *ready + 1;
    }
  }
}

TEST_P(EpollServer, AnswersOthersWhileOneNeverReads) {
  const auto deaf = NewClient();
  absl::Status asked = absl::OkStatus();
  for (int i = 0; asked.ok(); ++i) {  // until its answers fill whatever is between the two
    asked = Ask(*deaf, i);
  }
  EXPECT_TRUE(absl::IsUnavailable(asked)) << "it is left when it does not read: " << asked;
  const auto other = NewClient();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(Ask(*other, i).ok());
    ExpectAnswer(*other, i);
  }
}

TEST_P(EpollServer, GoesOnWhenClientsLeaveWithAnswersUnread) {
  for (int i = 0; i < 50; ++i) {
    const auto client = NewClient();
    ASSERT_TRUE(Ask(*client, i).ok());
  }
  const auto last = NewClient();
  ASSERT_TRUE(Ask(*last, 12).ok());
  ExpectAnswer(*last, 12);
}

INSTANTIATE_TEST_SUITE_P(Over, EpollServer, testing::Values("shm", "unix", "tcp"));

class EpollServerNotices : public EpollServer {};

TEST_P(EpollServerNotices, DoNotDisturbIt) {
  const auto client = NewClient();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(client->Notify().ok());
  }
  ASSERT_TRUE(Ask(*client, 12).ok());
  ExpectAnswer(*client, 12);
}

INSTANTIATE_TEST_SUITE_P(Over, EpollServerNotices, testing::Values("shm"));

}  // namespace
}  // namespace shoal
