// Clients that claim to have another connection with their server.

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/transport/handshake.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class HandshakeClaim : public testing::Test {
 protected:
  void Claim(const std::string& claim) {
    auto ends = SocketPair();
    ASSERT_THAT(ends.status(), Succeeds());
    auto server =
        ServerHandshake::Begin(std::move(ends->second), address_, geteuid(), ChannelOptions());
    ASSERT_THAT(server, Succeeds());
    server_.emplace(*std::move(server));
    auto client = ClientHandshake::Begin(std::move(ends->first), address_, geteuid(),
                                         ChannelOptions(), claim);
    ASSERT_THAT(client.status(), Succeeds());
    client_.emplace(*std::move(client));
  }

  const Address address_ = *Address::Parse("shm:claims");
  std::optional<ServerHandshake> server_;
  std::optional<ClientHandshake> client_;
};

TEST_F(HandshakeClaim, IsHeardByTheServerBeforeItAnswers) {
  Claim("this one");
  EXPECT_EQ(server_->claim(), "");
  EXPECT_EQ(server_->Finish()->get(), nullptr);
  EXPECT_EQ(server_->claim(), "this one");
  EXPECT_EQ(client_->Finish()->get(), nullptr);
}

TEST_F(HandshakeClaim, LetsAClientInThatTheServerConfirms) {
  Claim("this one");
  ASSERT_EQ(server_->Finish()->get(), nullptr);
  server_->ConfirmClaim();
  EXPECT_NE(server_->Finish()->get(), nullptr);
  EXPECT_NE(client_->Finish()->get(), nullptr);
}

TEST_F(HandshakeClaim, IsRefusedUnlessItIsConfirmed) {
  Claim("this one");
  ASSERT_EQ(server_->Finish()->get(), nullptr);
  EXPECT_EQ(server_->RefuseClaim().code(), absl::StatusCode::kFailedPrecondition);
  const absl::Status heard = client_->Finish().status();
  EXPECT_EQ(heard.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(heard.message()), AllOf(HasSubstr("shm:claims"), HasSubstr("this one")));
}

TEST_F(HandshakeClaim, IsEmptyForMost) {
  Claim("");
  EXPECT_NE(server_->Finish()->get(), nullptr);
  EXPECT_NE(client_->Finish()->get(), nullptr);
}

}  // namespace
}  // namespace shoal
