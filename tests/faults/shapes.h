// What the two processes do with each other when one of them is killed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "shoal/transport/options.h"

namespace shoal::faults {

// When the kill comes, a random time after this.
enum class Moment {
  kConnected,   // the survivor has its connection
  kConnecting,  // the victim begins to connect and to leave, over and over
  kClosing,     // the victim begins to end its connection
};

// Both processes publish, or call, as fast as they can and verify all that comes.
struct Shape {
  std::string_view name;
  ChannelOptions options;
  size_t max_bytes = 200;  // of a message; the sizes are random, from 0 up
  size_t hold = 0;         // messages, or answers, that each keeps for a while
  size_t claims = 0;       // messages that each has begun and leaves half-built
  size_t fds = 0;          // descriptors that every third message carries
  uint64_t messages = 0;   // after which each falls silent; 0: never
  uint64_t stops = 0;      // how often the victim is stopped and continued before it is killed
  bool reads_before_death = true;  // the survivor; otherwise all is delivered after the death
  Moment moment = Moment::kConnected;
};

// All of them. Each is run at both layers and in both roles.
std::span<const Shape> Shapes();

// The one of that name, or nullptr.
const Shape* FindShape(std::string_view name);

}  // namespace shoal::faults
