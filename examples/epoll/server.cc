// Squares numbers for any number of clients, in one thread on plain epoll: server ADDRESS
//
// How a channel fits an event loop: it is asked for with ArmDoorbell() before the loop sleeps, and
// that says no when there is something to do already; a doorbell that became readable is drained
// and disarmed, and then the channel is served until it has nothing more.

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <iostream>
#include <memory>
#include <unordered_map>
#include <utility>

#include "shoal/examples/epoll/square.capnp.h"
#include "shoal/transport/channel.h"

namespace {

// So many questions of one client are answered before the next client has its turn.
constexpr int kQuestionsPerTurn = 64;

constexpr absl::Duration kLongestSleep = absl::Hours(1);

class Server {
 public:
  explicit Server(std::unique_ptr<shoal::Listener> listener)
      : listener_(std::move(listener)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    Watch(listener_->doorbell());
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() { close(epoll_); }

  // Returns only when the system has no descriptors or memory left to go on.
  absl::Status Run() {
    while (true) {
      epoll_event events[64];
      const int timeout_ms = turns_.empty() ? MillisecondsToSleep() : 0;
      const int count = epoll_wait(epoll_, events, 64, timeout_ms);
      if (count < 0 && errno != EINTR) {
        return absl::InternalError("epoll_wait failed");
      }
      for (int i = 0; i < count; ++i) {
        if (events[i].data.fd == listener_->doorbell()) {
          AcceptClients();
        } else {
          Wake(events[i].data.fd);
        }
      }
      GiveTurns();
    }
  }

 private:
  struct Client {
    std::unique_ptr<shoal::Channel> channel;
    bool has_turn = false;  // it is in turns_
  };

  void Watch(int doorbell) {
    epoll_event event = {.events = EPOLLIN, .data = {.fd = doorbell}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, doorbell, &event);
  }

  void AcceptClients() {
    while (true) {
      auto client = listener_->Accept(absl::ZeroDuration());
      if (!client.ok()) {
        return;
      }
      const int doorbell = (*client)->doorbell();
      clients_[doorbell].channel = *std::move(client);
      Watch(doorbell);
      GetInTurn(doorbell);
    }
  }

  void Wake(int doorbell) {
    shoal::Channel& client = *clients_[doorbell].channel;
    client.DrainDoorbell();
    client.DisarmDoorbell();
    GetInTurn(doorbell);
  }

  void GetInTurn(int doorbell) {
    if (!std::exchange(clients_[doorbell].has_turn, true)) {
      turns_.push_back(doorbell);
    }
  }

  // One turn for each that has something to do now; who has more gets another one later.
  void GiveTurns() {
    for (size_t i = turns_.size(); i > 0; --i) {
      const int doorbell = turns_.front();
      turns_.pop_front();
      clients_[doorbell].has_turn = false;
      shoal::Channel& client = *clients_[doorbell].channel;
      if (!Serve(client)) {
        clients_.erase(doorbell);  // the descriptor leaves the epoll when it is closed
      } else if (!client.ArmDoorbell()) {
        client.DisarmDoorbell();
        GetInTurn(doorbell);
      }
    }
  }

  // False when the client is gone, or does not read its answers.
  static bool Serve(shoal::Channel& client) {
    client.TakeNotice();  // a client may wake this server, and need not have a question
    for (int i = 0; i < kQuestionsPerTurn; ++i) {
      auto question = client.TryReceive();
      if (!question.ok()) {
        return false;
      }
      if (!*question) {
        break;
      }
      const int64_t number = (*question)->Root<square::Question>().getNumber();
      shoal::OutgoingMessage answer = client.Claim();
      answer.InitRoot<square::Answer>().setSquare(number * number);
      if (!client.Publish(std::move(answer)).ok()) {
        return false;
      }
    }
    const absl::Status flushed = client.Flush(absl::ZeroDuration());
    return flushed.ok() || absl::IsDeadlineExceeded(flushed);
  }

  int MillisecondsToSleep() {
    absl::Duration longest = kLongestSleep;
    for (const auto& [doorbell, client] : clients_) {
      longest = std::min(longest, client.channel->Trim());
    }
    return static_cast<int>(absl::ToInt64Milliseconds(longest)) + 1;
  }

  std::unique_ptr<shoal::Listener> listener_;
  const int epoll_;
  std::unordered_map<int, Client> clients_;  // by doorbell
  std::deque<int> turns_;                    // doorbells of clients that may have something to do
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: server ADDRESS    for example: server shm:squares\n";
    return 2;
  }
  // An answer for which a slow client has no room waits here, and nobody else does.
  shoal::ChannelOptions options;
  options.when_full = shoal::WhenFull::kSpill;
  options.max_pending_bytes = 1 << 20;
  options.linger = absl::ZeroDuration();
  auto listener = shoal::Listen(argv[1], options);
  if (!listener.ok()) {
    std::cerr << listener.status() << "\n";
    return 1;
  }
  std::cout << (*listener)->address() << std::endl;
  std::cerr << Server(*std::move(listener)).Run() << "\n";
  return 1;
}
