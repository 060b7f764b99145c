#include "shoal/tests/faults/shapes.h"

#include <vector>

namespace shoal::faults {
namespace {

constexpr size_t kKiB = 1 << 10;
constexpr size_t kMiB = 1 << 20;

// Every limit is met at once: messages wait for room, and are sent in fragments.
ChannelOptions Smallest() {
  ChannelOptions options;
  options.slots = ChannelOptions::kMinSlots;
  options.loans = ChannelOptions::kMinLoans;
  options.slab_bytes = ChannelOptions::kMinSlabBytes;
  options.max_slabs_bytes = ChannelOptions::kMinSlabBytes;
  return options;
}

// Slabs come and go all the time.
ChannelOptions Growing() {
  ChannelOptions options;
  options.slab_bytes = ChannelOptions::kMinSlabBytes;
  options.max_slabs_bytes = 64 * kMiB;
  options.slab_idle_time = absl::Milliseconds(1);
  options.max_idle_slabs_bytes = kMiB;
  return options;
}

// Messages of which each needs a slab of its own, a few at a time.
ChannelOptions Huge() {
  ChannelOptions options;
  options.max_slabs_bytes = 64 * kMiB;
  return options;
}

ChannelOptions WithFds() {
  ChannelOptions options;
  options.max_fds_per_message = 4;
  return options;
}

// Set up quickly, and nobody waits long for a server that is dead.
ChannelOptions Quick() {
  ChannelOptions options = Smallest();
  options.connect_timeout = absl::Milliseconds(50);
  return options;
}

const std::vector<Shape>& All() {
  static const std::vector<Shape> shapes = {
      {.name = "handshake", .options = Quick(), .moment = Moment::kConnecting},
      {.name = "small", .options = {}},
      {.name = "large", .options = {}, .max_bytes = kMiB},
      {.name = "huge", .options = Huge(), .max_bytes = 8 * kMiB},
      {.name = "fragments", .options = Smallest(), .max_bytes = 100 * kKiB},
      {.name = "held", .options = Smallest(), .max_bytes = 20 * kKiB, .hold = 40},
      {.name = "claims", .options = Smallest(), .max_bytes = 20 * kKiB, .claims = 20},
      {.name = "fds", .options = WithFds(), .max_bytes = 2 * kKiB, .hold = 20, .fds = 2},
      {.name = "growth", .options = Growing(), .max_bytes = 256 * kKiB, .hold = 8},
      {.name = "unread",
       .options = {},
       .max_bytes = 20 * kKiB,
       .fds = 0,
       .reads_before_death = false},
      {.name = "idle", .options = {}, .messages = 1},
      {.name = "shutdown",
       .options = Smallest(),
       .max_bytes = 20 * kKiB,
       .messages = 40,
       .moment = Moment::kClosing},
      {.name = "stopped", .options = Smallest(), .max_bytes = 20 * kKiB, .stops = 3},
  };
  return shapes;
}

}  // namespace

std::span<const Shape> Shapes() { return All(); }

const Shape* FindShape(std::string_view name) {
  for (const Shape& shape : All()) {
    if (shape.name == name) {
      return &shape;
    }
  }
  return nullptr;
}

}  // namespace shoal::faults
