#include "shoal/transport/handshake.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capnp/any.h"
#include "capnp/message.h"
#include "capnp/serialize.h"
#include "gtest/gtest.h"
#include "shoal/schema/hello.capnp.h"
#include "shoal/transport/link_pair.h"
#include "shoal/transport/packet.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

using Reason = schema::Refusal::Reason;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kFailedPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr absl::StatusCode kInvalidArgument = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kPermissionDenied = absl::StatusCode::kPermissionDenied;
constexpr absl::StatusCode kResourceExhausted = absl::StatusCode::kResourceExhausted;
constexpr absl::StatusCode kUnavailable = absl::StatusCode::kUnavailable;

constexpr uint64_t kEpoch = 4711;
constexpr std::string_view kBothVersions = "version 99 of the protocol, the ";

ChannelOptions SmallOptions() {
  return {.slots = kSmallShape.slots,
          .loans = kSmallShape.receipts,
          .slab_bytes = kSmallShape.slab_bytes};
}

// What a peer made by the test says in its greeting.
struct Terms {
  uint64_t magic = kMagic;
  uint32_t version = kProtocolVersion;
  uint64_t epoch = kEpoch;
  OutboxShape shape = kSmallShape;
  std::string protocol = "";
  uint64_t max_message_words = ChannelOptions::kMaxMessageWords;
};

absl::Status SendMessage(const UniqueFd& socket, capnp::MessageBuilder& message,
                         std::span<const int> fds = {}) {
  const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
  const auto bytes = words.asBytes();
  return SendPacket(socket.get(), std::as_bytes(std::span(bytes.begin(), bytes.size())), fds);
}

absl::Status SendHello(const UniqueFd& socket, const Terms& terms, std::span<const int> fds) {
  capnp::MallocMessageBuilder message;
  auto greeting = message.initRoot<schema::Greeting>();
  greeting.setMagic(terms.magic);
  greeting.setVersion(terms.version);
  auto hello = greeting.initHello();
  hello.setEpoch(terms.epoch);
  hello.setSlots(terms.shape.slots);
  hello.setReceipts(terms.shape.receipts);
  hello.setSlabBytes(terms.shape.slab_bytes);
  hello.setProtocol(terms.protocol);
  hello.setMaxMessageWords(terms.max_message_words);
  return SendMessage(socket, message, fds);
}

absl::Status SendRefusal(const UniqueFd& socket, Reason reason, std::string_view text) {
  capnp::MallocMessageBuilder message;
  auto greeting = message.initRoot<schema::Greeting>();
  greeting.setMagic(kMagic);
  greeting.setVersion(kProtocolVersion + 1);
  auto refusal = greeting.initRefusal();
  refusal.setReason(reason);
  refusal.setText(std::string(text));
  return SendMessage(socket, message);
}

absl::Status SendText(const UniqueFd& socket, std::string_view text) {
  return SendPacket(socket.get(), std::as_bytes(std::span(text)), {});
}

// The refusal that came, as "REASON: text", or what came instead.
std::string ReceivedRefusal(const UniqueFd& socket) {
  const absl::StatusOr<std::optional<Packet>> packet = ReceivePacket(socket.get(), 4096, 2);
  if (!packet.ok() || !*packet) {
    return packet.ok() ? "nothing" : packet.status().ToString();
  }
  kj::Array<capnp::word> words =
      kj::heapArray<capnp::word>((*packet)->bytes.size() / sizeof(capnp::word));
  memcpy(words.begin(), (*packet)->bytes.data(), words.asBytes().size());
  capnp::FlatArrayMessageReader message(words);
  const auto greeting = message.getRoot<schema::Greeting>();
  if (!greeting.isRefusal()) {
    return "no refusal";
  }
  const auto refusal = greeting.getRefusal();
  return std::to_string(static_cast<int>(refusal.getReason())) + ": " + refusal.getText().cStr();
}

class HandshakeTest : public testing::Test {
 protected:
  absl::StatusOr<ClientHandshake> BeginClient(uid_t servers_uid = geteuid()) {
    return ClientHandshake::Begin(std::move(client_socket_), address_, servers_uid, SmallOptions());
  }

  absl::StatusOr<ServerHandshake> BeginServer(uid_t clients_uid) {
    return ServerHandshake::Begin(UniqueFd(dup(server_socket_.get())), address_, clients_uid,
                                  SmallOptions());
  }

  ServerHandshake NewServer() {
    return ServerHandshake::Begin(std::move(server_socket_), address_, geteuid(), SmallOptions())
        .value();
  }

  // What a server answers to a client that says this.
  absl::Status ServersAnswerTo(const Terms& terms, const std::vector<int>& fds) {
    EXPECT_THAT(SendHello(client_socket_, terms, fds), Succeeds());
    server_ = NewServer();
    return server_->Finish().status();
  }

  // The descriptors of an outbox of the test's own.
  std::vector<int> Regions() { return {outbox_.control_region().fd(), outbox_.slab_region().fd()}; }

  const Address address_ = Address::Parse("shm:handshake").value();
  UniqueFd client_socket_;
  UniqueFd server_socket_;
  std::optional<ServerHandshake> server_;  // keeps the socket open on which it refused
  Outbox outbox_ = Outbox::Create(kSmallShape, kEpoch).value();

 private:
  void SetUp() override { std::tie(client_socket_, server_socket_) = SocketPair().value(); }
};

TEST_F(HandshakeTest, MakesAChannelThatGoesBothWays) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ASSERT_THAT(client, Succeeds());
  const auto left = NewServer().Finish();
  ASSERT_THAT(left, Succeeds());
  const auto right = client->Finish();
  ASSERT_THAT(right, Succeeds());
  ASSERT_NE(*left, nullptr);
  ASSERT_NE(*right, nullptr);
  for (const auto& [from, to] :
       {std::pair(left->get(), right->get()), {right->get(), left->get()}}) {
    OutgoingMessage out = from->Claim();
    BuildBlob(out.builder(), 1, 10'000);
    ASSERT_THAT(from->Publish(std::move(out)), Succeeds());
    absl::StatusOr<IncomingMessage> in = to->Receive();
    ASSERT_THAT(in, Succeeds());
    ExpectBlob(in->reader(), 1, 10'000);
  }
}

TEST_F(HandshakeTest, TellsEachSideWhoThePeerIs) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  const auto left = NewServer().Finish();
  const auto right = client->Finish();
  EXPECT_EQ((*left)->peer().pid, getpid());
  EXPECT_EQ((*left)->peer().uid, getuid());
  EXPECT_EQ((*left)->peer().address, "shm:handshake");
  EXPECT_EQ((*right)->peer().pid, getpid());
  EXPECT_EQ((*right)->peer().uid, getuid());
}

TEST_F(HandshakeTest, NeedsNoAgreementOnSizes) {
  const ChannelOptions larger = {.slots = 1024, .loans = 64, .slab_bytes = 1 << 20};
  absl::StatusOr<ClientHandshake> client =
      ClientHandshake::Begin(std::move(client_socket_), address_, geteuid(), larger);
  ASSERT_THAT(client, Succeeds());
  EXPECT_THAT(NewServer().Finish(), Succeeds());
  EXPECT_THAT(client->Finish(), Succeeds());
}

TEST_F(HandshakeTest, WaitsForTheOtherSide) {
  ServerHandshake server = NewServer();
  EXPECT_EQ(server.Finish().value(), nullptr);
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ASSERT_THAT(client, Succeeds());
  EXPECT_EQ(client->Finish().value(), nullptr);
  EXPECT_NE(server.Finish().value(), nullptr);
  EXPECT_NE(client->Finish().value(), nullptr);
}

TEST_F(HandshakeTest, LeavesTheSocketAndTheControlRegionOpenOnEachSide) {
  const size_t before = OpenDescriptors();  // the two sockets are among them
  absl::StatusOr<ClientHandshake> client = BeginClient();
  const auto left = NewServer().Finish();
  const auto right = client->Finish();
  ASSERT_NE(*right, nullptr);
  EXPECT_EQ(OpenDescriptors(), before + 2);
}

// ---- clients that a server refuses ----

TEST_F(HandshakeTest, RefusesAForeignClient) {
  ASSERT_THAT(SendText(client_socket_, "GET / HTTP/1.1\r\n\r\n"), Succeeds());
  ServerHandshake server = NewServer();
  EXPECT_THAT(server.Finish(), Fails(kInvalidArgument, "does not speak Shoal's protocol"));
  EXPECT_NE(ReceivedRefusal(client_socket_).find("does not speak"), std::string::npos);
}

TEST_F(HandshakeTest, RefusesAGreetingWithAnotherMagic) {
  EXPECT_THAT(ServersAnswerTo({.magic = kMagic + 1}, Regions()),
              Fails(kInvalidArgument, "does not speak Shoal's protocol"));
}

TEST_F(HandshakeTest, RefusesWhateverBytesCome) {
  std::mt19937 random(1);  // NOLINT: the same in every run
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(1 + random() % 200, '\0');
    for (char& byte : bytes) {
      byte = static_cast<char>(random() % 4 == 0 ? random() : 0);
    }
    ASSERT_THAT(SendText(client_socket_, bytes), Succeeds());
    ServerHandshake server = BeginServer(geteuid()).value();
    EXPECT_THAT(server.Finish(), Fails(kInvalidArgument, "does not speak Shoal's protocol"));
    ReceivedRefusal(client_socket_);
  }
}

TEST_F(HandshakeTest, RefusesAPacketThatIsTooLongForAGreeting) {
  ASSERT_THAT(SendText(client_socket_, std::string(5000, 'x')), Succeeds());
  EXPECT_THAT(NewServer().Finish(), Fails(kDataLoss, "5000 bytes"));
}

TEST_F(HandshakeTest, RefusesAClientOfAnotherVersionAndTellsItBoth) {
  EXPECT_THAT(ServersAnswerTo({.version = 99}, Regions()),
              Fails(kFailedPrecondition, kBothVersions));
  EXPECT_NE(ReceivedRefusal(client_socket_).find(kBothVersions), std::string::npos);
}

TEST_F(HandshakeTest, RefusesAClientOfAnotherVersionWhateverElseItSends) {
  EXPECT_THAT(ServersAnswerTo({.version = 9}, {}), Fails(kFailedPrecondition, "version 9"));
}

TEST_F(HandshakeTest, RefusesAGreetingOfAKindThatIsNotKnown) {
  capnp::MallocMessageBuilder message;
  auto greeting = message.initRoot<schema::Greeting>();
  greeting.setMagic(kMagic);
  greeting.setVersion(kProtocolVersion);
  constexpr size_t kUnionTag = 12;  // in bytes, behind magic and version
  capnp::toAny(greeting).getDataSection()[kUnionTag] = 7;
  ASSERT_THAT(SendMessage(client_socket_, message, Regions()), Succeeds());
  EXPECT_THAT(NewServer().Finish(), Fails(kDataLoss, "sent a greeting of kind 7"));
}

TEST_F(HandshakeTest, RefusesAGreetingWithoutRegions) {
  EXPECT_THAT(ServersAnswerTo({}, {}),
              Fails(kDataLoss, "sent 0 regions in its greeting; 2 belong there"));
}

TEST_F(HandshakeTest, RefusesAGreetingWithOneRegion) {
  EXPECT_THAT(ServersAnswerTo({}, {Regions()[0]}),
              Fails(kDataLoss, "sent 1 regions in its greeting; 2 belong there"));
}

TEST_F(HandshakeTest, RefusesAGreetingWithMoreRegions) {
  EXPECT_THAT(ServersAnswerTo({}, {Regions()[0], Regions()[1], Regions()[1]}),
              Fails(kDataLoss, "more descriptors"));
}

TEST_F(HandshakeTest, RefusesDescriptorsThatAreNoRegions) {
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_THAT(ServersAnswerTo({}, {null.get(), Regions()[1]}), Fails(kDataLoss, "file type"));
}

TEST_F(HandshakeTest, RefusesASocketAsASlab) {
  EXPECT_THAT(ServersAnswerTo({}, {Regions()[0], client_socket_.get()}),
              Fails(kDataLoss, "file type"));
}

TEST_F(HandshakeTest, RefusesRegionsInAnotherOrder) {
  EXPECT_THAT(ServersAnswerTo({}, {Regions()[1], Regions()[0]}), Fails(kDataLoss, "size in bytes"));
}

TEST_F(HandshakeTest, RefusesSlotsThatAreNoPowerOfTwo) {
  EXPECT_THAT(
      ServersAnswerTo({.shape = {.slots = 17, .receipts = 16, .slab_bytes = 64 << 10}}, Regions()),
      Fails(kDataLoss, "slots is 17"));
}

TEST_F(HandshakeTest, RefusesNoSlots) {
  EXPECT_THAT(
      ServersAnswerTo({.shape = {.slots = 0, .receipts = 16, .slab_bytes = 64 << 10}}, Regions()),
      Fails(kDataLoss, "slots is 0"));
}

TEST_F(HandshakeTest, RefusesReceiptsWithoutBound) {
  EXPECT_THAT(
      ServersAnswerTo({.shape = {.slots = 16, .receipts = 1u << 31, .slab_bytes = 64 << 10}},
                      Regions()),
      Fails(kDataLoss, "loans is 2147483648"));
}

TEST_F(HandshakeTest, RefusesASlabThatIsLargerThanItsRegion) {
  EXPECT_THAT(
      ServersAnswerTo({.shape = {.slots = 16, .receipts = 16, .slab_bytes = 128 << 10}}, Regions()),
      Fails(kDataLoss, "size in bytes is 65536, expected 131072"));
}

TEST_F(HandshakeTest, RefusesRegionsOfAnotherConnection) {
  EXPECT_THAT(ServersAnswerTo({.epoch = kEpoch + 1}, Regions()), Fails(kDataLoss, "epoch"));
}

TEST_F(HandshakeTest, RefusesAnotherUserBeforeItReadsAnything) {
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const std::vector<int> no_regions = {null.get(), null.get()};
  ASSERT_THAT(SendHello(client_socket_, {}, no_regions), Succeeds());
  const std::string both =
      "has user id " + std::to_string(getuid()) + "; allowed is " + std::to_string(getuid() + 1);
  EXPECT_THAT(BeginServer(getuid() + 1), Fails(kPermissionDenied, both));
  EXPECT_NE(ReceivedRefusal(client_socket_).find(both), std::string::npos);
  EXPECT_TRUE(PeekPacket(server_socket_.get(), 1).has_value());
}

// ---- sockets that take no descriptors before their peer is known ----

void TakeNoDescriptors(const UniqueFd& socket) {
  constexpr int kPassRights = 83;  // SO_PASSRIGHTS
  const int off = 0;
  ASSERT_EQ(setsockopt(socket.get(), SOL_SOCKET, kPassRights, &off, sizeof(off)), 0)
      << "this test needs Linux 6.16";
}

TEST_F(HandshakeTest, HasAClientKnockThatIsTooEarly) {
  TakeNoDescriptors(server_socket_);
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ASSERT_THAT(client, Succeeds());
  ServerHandshake server = NewServer();
  EXPECT_EQ(server.Finish().value(), nullptr);   // the knock, and its answer
  EXPECT_EQ(client->Finish().value(), nullptr);  // the welcome, and the greeting
  const auto left = server.Finish();
  const auto right = client->Finish();
  ASSERT_NE(*left, nullptr);
  ASSERT_NE(*right, nullptr);
  OutgoingMessage out = (*right)->Claim();
  BuildBlob(out.builder(), 1, 10'000);
  ASSERT_THAT((*right)->Publish(std::move(out)), Succeeds());
  absl::StatusOr<IncomingMessage> in = (*left)->Receive();
  ASSERT_THAT(in, Succeeds());
  ExpectBlob(in->reader(), 1, 10'000);
}

TEST_F(HandshakeTest, TakesDescriptorsOnceItKnowsTheClient) {
  TakeNoDescriptors(server_socket_);
  EXPECT_THAT(SendHello(client_socket_, {}, Regions()), Fails(kPermissionDenied, ""));
  ServerHandshake server = NewServer();
  EXPECT_THAT(SendHello(client_socket_, {}, Regions()), Succeeds());
  EXPECT_NE(server.Finish().value(), nullptr);
}

TEST_F(HandshakeTest, TakesNoDescriptorsFromAnotherUser) {
  TakeNoDescriptors(server_socket_);
  EXPECT_THAT(BeginServer(getuid() + 1), Fails(kPermissionDenied, ""));
  EXPECT_THAT(SendHello(client_socket_, {}, Regions()), Fails(kPermissionDenied, ""));
}

TEST_F(HandshakeTest, TellsAKnockingClientWhichVersionItSpeaks) {
  capnp::MallocMessageBuilder message;
  auto greeting = message.initRoot<schema::Greeting>();
  greeting.setMagic(kMagic);
  greeting.setVersion(99);
  greeting.setKnock();
  ASSERT_THAT(SendMessage(client_socket_, message), Succeeds());
  server_ = NewServer();
  EXPECT_THAT(server_->Finish(), Fails(kFailedPrecondition, kBothVersions));
}

TEST_F(HandshakeTest, RefusesAWelcomeThatNobodyWaitsFor) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  capnp::MallocMessageBuilder message;
  auto greeting = message.initRoot<schema::Greeting>();
  greeting.setMagic(kMagic);
  greeting.setVersion(kProtocolVersion);
  greeting.setWelcome();
  ASSERT_THAT(SendMessage(server_socket_, message), Succeeds());
  EXPECT_THAT(client->Finish(), Fails(kDataLoss, "a welcome that nobody waits for"));
}

TEST_F(HandshakeTest, ClosesWhatARefusedClientSent) {
  ServerHandshake server = NewServer();
  ASSERT_THAT(SendHello(client_socket_, {.epoch = 1}, Regions()), Succeeds());
  const size_t before = OpenDescriptors();
  EXPECT_THAT(server.Finish(), Fails(kDataLoss, ""));
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(HandshakeTest, NoticesThatTheClientWentAway) {
  ServerHandshake server = NewServer();
  client_socket_ = UniqueFd();
  EXPECT_THAT(server.Finish(), Fails(kUnavailable, "closed the connection"));
}

TEST_F(HandshakeTest, NoticesThatTheClientWentAwayAfterItsGreeting) {
  ServerHandshake server = NewServer();
  ASSERT_THAT(SendHello(client_socket_, {}, Regions()), Succeeds());
  client_socket_ = UniqueFd();
  EXPECT_THAT(server.Finish(), Fails(kUnavailable, "closed the connection"));
}

// ---- servers that a client refuses, and refusals ----

TEST_F(HandshakeTest, TellsAForeignServerNothingMore) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ASSERT_THAT(SendText(server_socket_, "220 mail ready"), Succeeds());
  EXPECT_THAT(client->Finish(), Fails(kInvalidArgument, "check the address"));
}

TEST_F(HandshakeTest, RefusesAClientThatSpeaksSomethingElse) {
  const absl::Status refused = ServersAnswerTo({.protocol = "ticks\n"}, Regions());
  EXPECT_THAT(refused, Fails(kFailedPrecondition, "the client at shm:handshake (pid " +
                                                      std::to_string(getpid()) +
                                                      ") speaks \"ticks\\n\", the server \"\""));
  EXPECT_NE(ReceivedRefusal(client_socket_).find("speaks"), std::string::npos);
}

TEST_F(HandshakeTest, RefusesAServerThatSpeaksSomethingElse) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ASSERT_THAT(SendHello(server_socket_, {.protocol = "ticks"}, Regions()), Succeeds());
  EXPECT_THAT(client->Finish(), Fails(kFailedPrecondition, "speaks \"ticks\", the client \"\""));
}

TEST_F(HandshakeTest, RefusesAServerOfAnotherVersion) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ASSERT_THAT(SendHello(server_socket_, {.version = 99}, Regions()), Succeeds());
  EXPECT_THAT(client->Finish(), Fails(kFailedPrecondition, kBothVersions));
}

TEST_F(HandshakeTest, RefusesAServerWhoseRegionsAreOfAnotherConnection) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ASSERT_THAT(SendHello(server_socket_, {.epoch = 1}, Regions()), Succeeds());
  EXPECT_THAT(client->Finish(), Fails(kDataLoss, "epoch"));
}

TEST_F(HandshakeTest, GivesAServerOfAnotherUserNothing) {
  const uid_t other = geteuid() + 1;
  EXPECT_THAT(BeginClient(other),
              Fails(kPermissionDenied, "has user id " + std::to_string(geteuid()) +
                                           "; allowed is " + std::to_string(other)));
  EXPECT_THAT(ReceivePacket(server_socket_.get(), 4096, 2), Fails(kUnavailable, ""));
}

TEST_F(HandshakeTest, TellsTheClientThatTheServerWantsAnotherUser) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ASSERT_THAT(BeginServer(getuid() + 1), Fails(kPermissionDenied, ""));
  EXPECT_THAT(client->Finish(),
              Fails(kPermissionDenied, "; allowed is " + std::to_string(getuid() + 1)));
}

TEST_F(HandshakeTest, TellsTheClientWhichLimitTheServerRanInto) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ServerHandshake server = NewServer();
  {
    const LoweredLimit limit(RLIMIT_FSIZE, 4096);
    ASSERT_THAT(server.Finish(), Fails(kResourceExhausted, "RLIMIT_FSIZE"));
  }
  EXPECT_THAT(client->Finish(), Fails(kResourceExhausted, "RLIMIT_FSIZE"));
}

TEST_F(HandshakeTest, TellsTheClientWhichVersionAServerSpeaks) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ASSERT_THAT(SendRefusal(server_socket_, Reason::VERSION, "version 1 is too old, 2 it must be"),
              Succeeds());
  EXPECT_THAT(client->Finish(),
              Fails(kFailedPrecondition, "refused the connection: version 1 is too old, 2"));
}

TEST_F(HandshakeTest, TellsTheClientWhatTheServerTakesItsGreetingFor) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ASSERT_THAT(SendRefusal(server_socket_, Reason::PROTOCOL, "nonsense"), Succeeds());
  EXPECT_THAT(client->Finish(), Fails(kDataLoss, "refused the connection: nonsense"));
}

TEST_F(HandshakeTest, EscapesWhatARefusalCouldDoToATerminal) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ASSERT_THAT(SendRefusal(server_socket_, Reason::PROTOCOL, "a\nb\x1b[2Jc\"d\"\xc2\x9b"),
              Succeeds());
  EXPECT_THAT(client->Finish(), Fails(kDataLoss, "connection: a\\nb\\x1b[2Jc\"d\"\\xc2\\x9b"));
}

TEST_F(HandshakeTest, TakesOnlySoMuchOfARefusal) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ASSERT_THAT(SendRefusal(server_socket_, Reason::PROTOCOL, std::string(3000, 'x')), Succeeds());
  const absl::Status refused = client->Finish().status();
  EXPECT_THAT(refused, Fails(kDataLoss, "refused the connection: xxx"));
  EXPECT_LT(refused.message().size(), 2000);
}

TEST_F(HandshakeTest, NoticesThatTheServerWentAwayInsteadOfAnswering) {
  absl::StatusOr<ClientHandshake> client = BeginClient();
  ASSERT_THAT(client, Succeeds());
  server_socket_ = UniqueFd();
  EXPECT_THAT(client->Finish(), Fails(kUnavailable, "closed the connection"));
}

TEST_F(HandshakeTest, NoticesThatTheServerWentAwayBeforeTheGreeting) {
  server_socket_ = UniqueFd();
  EXPECT_THAT(BeginClient(), Fails(kUnavailable, "closed the connection"));
}

}  // namespace
}  // namespace shoal
