// Processes of other users, which a server does not let in, and descriptors whose closing blocks.
// Only root can be another user, and not in a sandbox with a user namespace, so this test runs
// outside of those.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "capnp/message.h"
#include "capnp/serialize.h"
#include "gtest/gtest.h"
#include "shoal/schema/hello.capnp.h"
#include "shoal/transport/doorbell.h"
#include "shoal/transport/handshake.h"
#include "shoal/transport/outbox.h"
#include "shoal/transport/packet.h"
#include "shoal/transport/shm_listener.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/stuck_file.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

constexpr absl::StatusCode kDeadlineExceeded = absl::StatusCode::kDeadlineExceeded;
constexpr uid_t kStranger = 12345;
constexpr auto kHangs = std::chrono::seconds(20);

Address FreshAddress() {
  return Address::Parse("shm:test/" + std::to_string(std::random_device()())).value();
}

// Runs `act` in a child of another user, until that is killed; returns once it says that it is
// ready.
class Stranger {
 public:
  using Ready = std::function<void()>;

  explicit Stranger(const std::function<void(const Ready&)>& act, uid_t uid = kStranger) {
    int ready[2];
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    child_ = Fork();
    if (child_ == 0) {
      if (setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0 ||
          prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        _exit(1);
      }
      act([&] { [[maybe_unused]] const ssize_t told = write(ready[1], "r", 1); });
      while (true) {
        pause();
      }
    }
    close(ready[1]);
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1) << "this test needs root";
    close(ready[0]);
  }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  ~Stranger() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }

 private:
  pid_t child_;
};

// A TCP socket that, when it is closed, waits longer than kHangs for somebody to read what it sent.
int LingeringSocket() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* const to = reinterpret_cast<sockaddr*>(&address);
  const int sender = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, to, length) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, to, &length) != 0 || connect(sender, to, length) != 0) {
    _exit(1);
  }
  static const std::array<char, 65536> kBytes{};
  while (send(sender, kBytes.data(), kBytes.size(), MSG_DONTWAIT) > 0) {
  }
  const linger patience = {.l_onoff = 1, .l_linger = 40};
  setsockopt(sender, SOL_SOCKET, SO_LINGER, &patience, sizeof(patience));
  return sender;
}

enum class Stuck { kFuseFile, kLingeringSocket };

int Open(Stuck kind, const StuckFileSystem& files) {
  return kind == Stuck::kFuseFile ? open(files.file().c_str(), O_RDWR) : LingeringSocket();
}

// Whether `act` returns. If it does not, it has after `files` is gone.
bool Returns(std::unique_ptr<StuckFileSystem>& files, const std::function<void()>& act) {
  std::future<void> done = std::async(std::launch::async, act);
  const bool returned = done.wait_for(kHangs) == std::future_status::ready;
  files.reset();
  return returned;
}

class StuckDescriptor : public testing::TestWithParam<Stuck> {
 protected:
  std::unique_ptr<StuckFileSystem> files_ = std::make_unique<StuckFileSystem>();
};

INSTANTIATE_TEST_SUITE_P(Of, StuckDescriptor,
                         testing::Values(Stuck::kFuseFile, Stuck::kLingeringSocket));

TEST_P(StuckDescriptor, OfAStrangerHoldsUpNoServer) {
  const Address address = FreshAddress();
  const auto listener = ShmListener::Listen(address, Smallest());
  ASSERT_THAT(listener, Succeeds());
  const Stranger stranger([&](const Stranger::Ready& ready) {
    const int stuck = Open(GetParam(), *files_);
    const auto socket = DialOnce(address.socket_name());
    // Not sent, where the kernel can refuse it. If it is, the server would be the last to have the
    // TCP socket, which lingers for that one; a file waits for each that closes it.
    if (SendPacket(socket->get(), std::as_bytes(std::span("x", 1)), {&stuck, 1}).ok() &&
        GetParam() == Stuck::kLingeringSocket) {
      close(stuck);
    }
    ready();
    pause();
  });
  EXPECT_TRUE(Returns(files_, [&] {
    EXPECT_THAT((*listener)->Accept(absl::Milliseconds(50)), Fails(kDeadlineExceeded, ""));
  }));
  EXPECT_EQ((*listener)->stats().refused, 1u);
}

// By a sender that may send: a file is not closed by who never had it.
TEST(StuckFile, ThatComesWithARingHoldsUpNobody) {
  auto files = std::make_unique<StuckFileSystem>();
  auto [here, there] = SocketPair().value();
  Doorbell doorbell(std::move(here), {.packet = 1});
  const Stranger sender([&, &socket = there](const Stranger::Ready& ready) {
    const int stuck = open(files->file().c_str(), O_RDWR);
    if (SendPacket(socket.get(), std::as_bytes(std::span("x", 1)), {&stuck, 1}).ok()) {
      ready();
    }
  });
  EXPECT_TRUE(Returns(files, [&] { doorbell.Drain(); }));
  EXPECT_EQ(doorbell.rings(), 1u);
}

TEST(StuckFile, ThatComesWithARefusalHoldsUpNoClient) {
  auto files = std::make_unique<StuckFileSystem>();
  auto [here, there] = SocketPair().value();
  auto client = ClientHandshake::Begin(std::move(here), FreshAddress(), geteuid(), Smallest());
  ASSERT_THAT(client, Succeeds());
  const Stranger server(
      [&, &socket = there](const Stranger::Ready& ready) {
        capnp::MallocMessageBuilder message;
        auto greeting = message.initRoot<schema::Greeting>();
        greeting.setMagic(kMagic);
        greeting.setVersion(kProtocolVersion);
        greeting.initRefusal().setText("go");
        const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
        const auto bytes = words.asBytes();
        const int stuck = open(files->file().c_str(), O_RDWR);
        if (SendPacket(socket.get(), std::as_bytes(std::span(bytes.begin(), bytes.size())),
                       {&stuck, 1})
                .ok()) {
          ready();
        }
      },
      geteuid());
  EXPECT_TRUE(Returns(files, [&] {
    EXPECT_THAT(client->Finish(), Fails(absl::StatusCode::kFailedPrecondition, "go"));
  }));
}

// ---- floods ----

// As many as are taken, up to `count`.
std::vector<UniqueFd> ConnectSilently(const Address& address, int count) {
  std::vector<UniqueFd> sockets;
  for (int i = 0; i < count; ++i) {
    absl::StatusOr<UniqueFd> socket = DialOnce(address.socket_name());
    if (!socket.ok()) {
      break;
    }
    sockets.push_back(*std::move(socket));
  }
  return sockets;
}

TEST(Strangers, ThatStaySilentKeepNobodyOut) {
  const Address address = FreshAddress();
  const auto listener = ShmListener::Listen(address, Smallest());
  ASSERT_THAT(listener, Succeeds());
  const Stranger stranger([&](const Stranger::Ready& ready) {
    const std::vector<UniqueFd> sockets = ConnectSilently(address, 300);
    ready();
    pause();
  });
  const LoweredLimit limit(RLIMIT_NOFILE, OpenDescriptors() + 32);
  std::jthread client([&] { EXPECT_THAT(Connect(address.text(), Smallest()), Succeeds()); });
  EXPECT_THAT((*listener)->Accept(absl::Seconds(20)), Succeeds());
  EXPECT_EQ((*listener)->stats().refused, 300u);
  EXPECT_EQ((*listener)->stats().silent, 0u);
}

// Connects and leaves for as long as it lives.
void Flood(const Address& address, const Stranger::Ready& ready) {
  ready();
  while (true) {
    DialOnce(address.socket_name()).status().IgnoreError();
  }
}

TEST(Strangers, ThatFloodHoldUpNoDeadline) {
  const Address address = FreshAddress();
  const auto listener = ShmListener::Listen(address, Smallest());
  ASSERT_THAT(listener, Succeeds());
  const Stranger stranger([&](const Stranger::Ready& ready) { Flood(address, ready); });
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT((*listener)->Accept(absl::Milliseconds(20)), Fails(kDeadlineExceeded, ""));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kHangs);
  EXPECT_GT((*listener)->stats().refused, 0u);
}

TEST(Strangers, ThatFloodKeepNobodyOut) {
  const Address address = FreshAddress();
  const auto listener = ShmListener::Listen(address, Smallest());
  ASSERT_THAT(listener, Succeeds());
  const Stranger stranger([&](const Stranger::Ready& ready) { Flood(address, ready); });
  ChannelOptions patient = Smallest();
  patient.connect_timeout = absl::Seconds(20);
  std::jthread client([&] { EXPECT_THAT(Connect(address.text(), patient), Succeeds()); });
  EXPECT_THAT((*listener)->Accept(absl::Seconds(20)), Succeeds());
}

}  // namespace
}  // namespace shoal
