#include "shoal/tests/flood/flood.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "capnp/message.h"
#include "capnp/serialize.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"
#include "shoal/schema/hello.capnp.h"
#include "shoal/tests/echo_server.h"
#include "shoal/transport/address.h"
#include "shoal/transport/outbox.h"
#include "shoal/transport/packet.h"
#include "shoal/transport/socket.h"

namespace shoal {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uid_t kStranger = 12345;
constexpr size_t kMostSilent = 500;  // connections that the stranger keeps

// A process that runs `act`, which does not return, until this object is gone.
class Child {
 public:
  explicit Child(const std::function<void()>& act) : pid_(fork()) {
    if (pid_ < 0) {
      throw std::runtime_error("fork");
    }
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      act();
      _exit(1);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

 private:
  const pid_t pid_;
};

// Counts connections in memory that two processes share.
std::atomic<uint64_t>& NewSharedCounter() {
  void* const memory = mmap(nullptr, sizeof(std::atomic<uint64_t>), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::runtime_error("mmap");
  }
  return *new (memory) std::atomic<uint64_t>(0);
}

std::vector<std::byte> Greeting() {
  capnp::MallocMessageBuilder message;
  auto greeting = message.initRoot<schema::Greeting>();
  greeting.setMagic(kMagic);
  greeting.setVersion(kProtocolVersion);
  greeting.initHello().setSlots(16);
  const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
  const auto bytes = std::as_bytes(std::span(words.asBytes().begin(), words.asBytes().size()));
  return {bytes.begin(), bytes.end()};
}

[[noreturn]] void BeStranger(const Address& server, std::atomic<uint64_t>& connections) {
  if (setresgid(kStranger, kStranger, kStranger) != 0 ||
      setresuid(kStranger, kStranger, kStranger) != 0 ||
      prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {  // anew: the kernel forgets it with the user
    _exit(1);
  }
  const std::vector<std::byte> greeting = Greeting();
  const std::array<int, 2> fds = {STDIN_FILENO, STDIN_FILENO};
  std::deque<UniqueFd> silent;
  while (true) {
    absl::StatusOr<UniqueFd> socket = DialOnce(server.socket_name());
    if (!socket.ok()) {
      continue;  // too many wait
    }
    // relaxed: a count for the report, which is read when this process is gone.
    switch (connections.fetch_add(1, std::memory_order_relaxed) % 4) {
      case 0:
        break;
      case 1:
        silent.push_back(*std::move(socket));
        if (silent.size() > kMostSilent) {
          silent.pop_front();
        }
        break;
      case 2:
        SendPacket(socket->get(), greeting, {}).IgnoreError();
        break;
      default:
        SendPacket(socket->get(), greeting, fds).IgnoreError();
    }
  }
}

[[noreturn]] void Serve(const std::string& address) {
  RpcServer server(kj::heap<EchoServer>(), address.c_str());
  kj::NEVER_DONE.wait(server.getWaitScope());
}

[[noreturn]] void Compute() {
  std::atomic<uint64_t> count = 0;
  while (true) {
    count.fetch_add(1, std::memory_order_relaxed);  // which no compiler leaves out
  }
}

double Ping(RpcClient& client) {
  const auto begin = Clock::now();
  auto request = client.getMain<test::Echo>().pingRequest();
  request.setValue(5);
  if (request.send().wait(client.getWaitScope()).getValue() != 5) {
    throw std::runtime_error("a ping came back as another");
  }
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

CallTimes CallFor(std::chrono::milliseconds time, RpcClient& client) {
  std::vector<float> times;
  for (const auto end = Clock::now() + time; Clock::now() < end;) {
    times.push_back(static_cast<float>(Ping(client)));
  }
  std::sort(times.begin(), times.end());
  return {.calls = times.size(),
          .median_us = times[times.size() / 2],
          .p99_us = times[times.size() * 99 / 100],
          .longest_us = times.back()};
}

}  // namespace

FloodReport Flood(std::chrono::milliseconds time) {
  const std::string text = "shm:flood/" + std::to_string(std::random_device()());
  const Address address = Address::Parse(text).value();
  std::atomic<uint64_t>& connections = NewSharedCounter();
  const Child server([&] { Serve(text); });
  RpcClient client(text.c_str());
  Ping(client);
  FloodReport report;
  report.before = CallFor(time, client);
  {
    const Child neighbour([] { Compute(); });
    report.beside_a_neighbour = CallFor(time, client);
  }
  {
    const Child stranger([&] { BeStranger(address, connections); });
    while (connections.load(std::memory_order_relaxed) == 0) {
      Ping(client);
    }
    const auto begin = Clock::now();
    RpcClient newcomer(text.c_str());
    Ping(newcomer);
    report.new_client_us = std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
    report.during = CallFor(time, client);
  }
  report.connections = connections.load(std::memory_order_relaxed);
  munmap(&connections, sizeof(connections));
  return report;
}

}  // namespace shoal
