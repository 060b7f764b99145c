// Doorbells for tests, and threads that wait at them.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <utility>

#include "absl/time/time.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/doorbell.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {

// Two connected sockets: a doorbell's, and its peer's.
inline std::pair<UniqueFd, UniqueFd> Sockets() { return SocketPair().value(); }

// The two ends of a connection.
struct Connection {
  Connection() : Connection(Sockets()) {}

  Doorbell here;
  Doorbell there;

 private:
  explicit Connection(std::pair<UniqueFd, UniqueFd> sockets)
      : here(std::move(sockets.first)), there(std::move(sockets.second)) {}
};

// A lost wake-up shows as a sleep that lasts until here.
inline Deadline Lost() { return Deadline::After(absl::Seconds(20)); }

// Sleeps until the connection ends; false if that shows only at a deadline.
inline bool SleepUntilHungUp(Doorbell& doorbell) {
  const Deadline lost = Lost();
  while (!doorbell.hung_up() && !lost.passed()) {
    doorbell.Sleep(doorbell.rings(), lost);
  }
  return doorbell.hung_up();
}

// What one thread waits for.
struct News {
  std::atomic<uint64_t> told = 0;
  std::atomic<uint64_t> heard = 0;
  std::atomic<bool> lost = false;
};

// Hears of everything that it is told, asleep in between, as a reader or a writer waits.
inline void Hear(const std::stop_token& stop, Doorbell& doorbell, News& news) {
  while (!stop.stop_requested()) {
    const Deadline lost = Lost();
    const auto came = [&] {
      return news.told.load(std::memory_order_seq_cst) > news.heard || stop.stop_requested();
    };
    while (!came()) {
      const uint64_t rings = doorbell.rings();
      if (!came()) {
        doorbell.Sleep(rings, lost);
      }
      if (lost.passed()) {
        news.lost = true;
        return;
      }
    }
    news.heard.store(news.told.load(std::memory_order_seq_cst), std::memory_order_release);
  }
}

// Tells one thing and rings once for it.
inline void Tell(Connection& connection, News& news) {
  news.told.fetch_add(1, std::memory_order_seq_cst);
  connection.there.Ring();
}

inline bool Heard(const News& news) {
  return news.heard.load(std::memory_order_acquire) == news.told || news.lost;
}

}  // namespace shoal
