#include "shoal/transport/shm_connect.h"

#include <unistd.h>

#include <latch>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/packet.h"
#include "shoal/transport/shm_listener.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr absl::StatusCode kDeadlineExceeded = absl::StatusCode::kDeadlineExceeded;
constexpr absl::StatusCode kInvalidArgument = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kPermissionDenied = absl::StatusCode::kPermissionDenied;
constexpr absl::StatusCode kUnavailable = absl::StatusCode::kUnavailable;

// How long a test that has failed lasts.
constexpr absl::Duration kPatience = absl::Seconds(20);

ChannelOptions OptionsWithTimeout(absl::Duration connect_timeout) {
  return {.slots = 16, .loans = 16, .slab_bytes = 64 << 10, .connect_timeout = connect_timeout};
}

ChannelOptions PatientOptions() { return OptionsWithTimeout(kPatience); }

std::string FreshName() {
  std::random_device random;
  return "shm:test/" + std::to_string(random()) + std::to_string(random());
}

Address FreshAddress() { return ParseShmAddress(FreshName()).value(); }

TEST(ParseShmAddress, TakesNamesAndPaths) {
  EXPECT_EQ(ParseShmAddress("shm:name").value().kind(), Address::Kind::kShmName);
  EXPECT_EQ(ParseShmAddress("shm:name@0").value().user(), 0u);
  EXPECT_EQ(ParseShmAddress("shm:/path").value().kind(), Address::Kind::kShmPath);
}

TEST(ParseShmAddress, RefusesAddressesOfStreams) {
  EXPECT_THAT(ParseShmAddress("unix:/path"),
              Fails(kInvalidArgument, "unix:/path is not an address of shared memory"));
  EXPECT_THAT(ParseShmAddress("localhost:80"),
              Fails(kInvalidArgument, "localhost:80 is not an address of shared memory"));
}

TEST(ParseShmAddress, RefusesWhatIsNoAddress) {
  EXPECT_THAT(ParseShmAddress(""), Fails(kInvalidArgument, ""));
}

TEST(ServerUid, IsTheOneThatTheAddressNames) {
  EXPECT_EQ(ServerUid(ParseShmAddress("shm:name@4711").value()), 4711u);
}

TEST(ServerUid, IsThisUsersWhenTheAddressNamesNone) {
  EXPECT_EQ(ServerUid(ParseShmAddress("shm:name").value()), geteuid());
  EXPECT_EQ(ServerUid(ParseShmAddress("shm:/path").value()), geteuid());
}

TEST(RetryDelay, IsShortAtFirstAndGrowsUpToALimit) {
  EXPECT_EQ(RetryDelay(1), absl::Milliseconds(1));
  EXPECT_LT(RetryDelay(1), RetryDelay(2));
  EXPECT_EQ(RetryDelay(1000), RetryDelay(1'000'000));
  EXPECT_LE(RetryDelay(1'000'000), absl::Milliseconds(100));
}

TEST(TryConnect, SaysThatNobodyListens) {
  const Address address = FreshAddress();
  EXPECT_THAT(TryConnect(address, PatientOptions()), Fails(kUnavailable, address.text()));
  EXPECT_THAT(TryConnect(address, PatientOptions()),
              Fails(kUnavailable, "only servers of user id " + std::to_string(geteuid()) +
                                      " in this network namespace were looked for"));
}

TEST(TryConnect, GreetsTheServer) {
  const Address address = FreshAddress();
  const auto listener = ShmListener::Listen(address, PatientOptions());
  ASSERT_THAT(listener, Succeeds());
  absl::StatusOr<ClientHandshake> client = TryConnect(address, PatientOptions());
  ASSERT_THAT(client, Succeeds());
  EXPECT_THAT((*listener)->Accept(absl::ZeroDuration()), Fails(kDeadlineExceeded, ""));
  EXPECT_EQ(client->Finish().value(), nullptr);  // it was let in, and greets
  EXPECT_THAT((*listener)->Accept(absl::ZeroDuration()), Succeeds());
  EXPECT_NE(client->Finish().value(), nullptr);
}

TEST(TryConnect, FindsAServerThatWasNotThereBefore) {
  const Address address = FreshAddress();
  ASSERT_THAT(TryConnect(address, PatientOptions()), Fails(kUnavailable, ""));
  const auto listener = ShmListener::Listen(address, PatientOptions());
  ASSERT_THAT(listener, Succeeds());
  EXPECT_THAT(TryConnect(address, PatientOptions()), Succeeds());
}

// A server at the name of a user whom it does not belong to.
TEST(TryConnect, RefusesAServerOfAnotherUserThanItsAddressSays) {
  const uid_t other = geteuid() + 1;
  const Address address = ParseShmAddress(FreshName() + "@" + std::to_string(other)).value();
  const absl::StatusOr<UniqueFd> impostor = ListenOn(address.socket_name());
  ASSERT_THAT(impostor, Succeeds());
  EXPECT_THAT(TryConnect(address, PatientOptions()),
              Fails(kPermissionDenied, "has user id " + std::to_string(geteuid()) +
                                           "; allowed is " + std::to_string(other)));
  const UniqueFd accepted = AcceptOnce(impostor->get()).value().value();
  EXPECT_THAT(ReceivePacket(accepted.get(), 4096, 2), Fails(kUnavailable, ""));
}

TEST(TryConnect, LeavesNothingOpenWhenItFails) {
  const Address address = FreshAddress();
  const size_t before = OpenDescriptors();
  ASSERT_THAT(TryConnect(address, PatientOptions()), Fails(kUnavailable, ""));
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST(Connect, WaitsForAServerThatStartsLater) {
  const Address address = FreshAddress();
  ASSERT_THAT(TryConnect(address, PatientOptions()), Fails(kUnavailable, ""));
  std::latch begun(1);
  std::jthread client([&] {
    begun.count_down();
    EXPECT_THAT(Connect(address.text(), PatientOptions()), Succeeds());
  });
  begun.wait();
  const auto listener = ShmListener::Listen(address, PatientOptions());
  ASSERT_THAT(listener, Succeeds());
  EXPECT_THAT((*listener)->Accept(kPatience), Succeeds());
}

TEST(Connect, NamesTheAddressThatNobodyServes) {
  const std::string name = FreshName();
  EXPECT_THAT(Connect(name, OptionsWithTimeout(absl::Milliseconds(5))), Fails(kUnavailable, name));
}

TEST(Connect, TriesOnceWithoutATimeout) {
  const std::string name = FreshName();
  EXPECT_THAT(Connect(name, OptionsWithTimeout(absl::ZeroDuration())), Fails(kUnavailable, name));
}

TEST(Connect, NamesTheServerThatDoesNotAnswer) {
  const Address address = FreshAddress();
  const absl::StatusOr<UniqueFd> silent = ListenOn(address.socket_name());
  ASSERT_THAT(silent, Succeeds());
  EXPECT_THAT(Connect(address.text(), OptionsWithTimeout(absl::Milliseconds(5))),
              Fails(kDeadlineExceeded, address.text() + " did not answer within 5ms"));
}

TEST(Connect, NoticesThatTheServerIsAnotherKindOfProgram) {
  const Address address = FreshAddress();
  const absl::StatusOr<UniqueFd> foreign = ListenOn(address.socket_name());
  ASSERT_THAT(foreign, Succeeds());
  std::jthread server([&] {
    ASSERT_THAT(WaitReadable(foreign->get(), Deadline::After(kPatience)), Succeeds());
    const UniqueFd client = AcceptOnce(foreign->get()).value().value();
    constexpr std::string_view kText = "220 mail ready";
    ASSERT_THAT(SendPacket(client.get(), std::as_bytes(std::span(kText)), {}), Succeeds());
    EXPECT_THAT(WaitReadable(client.get(), Deadline::After(kPatience)), Succeeds());
  });
  EXPECT_THAT(Connect(address.text(), PatientOptions()),
              Fails(kInvalidArgument, "does not speak Shoal's protocol"));
}

TEST(Connect, NoticesThatTheServerWentAwayInsteadOfAnswering) {
  const Address address = FreshAddress();
  absl::StatusOr<UniqueFd> dying = ListenOn(address.socket_name());
  ASSERT_THAT(dying, Succeeds());
  std::jthread server([&] {
    ASSERT_THAT(WaitReadable(dying->get(), Deadline::After(kPatience)), Succeeds());
    const UniqueFd client = AcceptOnce(dying->get()).value().value();
    ASSERT_THAT(WaitReadable(client.get(), Deadline::After(kPatience)), Succeeds());
  });
  EXPECT_THAT(Connect(address.text(), PatientOptions()), Fails(kUnavailable, ""));
}

TEST(Connect, RefusesOptionsThatAreNotAllowed) {
  EXPECT_THAT(Connect("shm:test", {.loans = 3}), Fails(kInvalidArgument, "loans is 3"));
}

}  // namespace
}  // namespace shoal
