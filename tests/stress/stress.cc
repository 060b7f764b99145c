// Passes messages of random size between two processes, in both directions at once, and verifies
// every word. Exits with 1 on a loss, a wrong order or a changed word.

#include <cstdint>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/stress/exchange.h"

ABSL_FLAG(uint64_t, messages, 100'000, "messages in each direction");
ABSL_FLAG(uint64_t, max_bytes, 64 << 10, "bytes of payload in a message, at most; from 0 up");
ABSL_FLAG(uint64_t, seed, 1, "of the sizes");
ABSL_FLAG(uint64_t, hold, 0, "messages that the receiver keeps for a while, at most");
ABSL_FLAG(bool, smallest, false, "the smallest outbox that is allowed, instead of the default");
ABSL_FLAG(bool, spill, false, "keep what finds no room, instead of waiting");
ABSL_FLAG(absl::Duration, spin, absl::Microseconds(50), "ChannelOptions::spin");
ABSL_FLAG(std::string, connect, "", "be the other end, of this address");

namespace shoal::stress {
namespace {

ChannelOptions Options() {
  ChannelOptions options;
  if (absl::GetFlag(FLAGS_smallest)) {
    options.slots = ChannelOptions::kMinSlots;
    options.loans = ChannelOptions::kMinLoans;
    options.slab_bytes = ChannelOptions::kMinSlabBytes;
    options.max_slabs_bytes = ChannelOptions::kMinSlabBytes;
  }
  options.when_full = absl::GetFlag(FLAGS_spill) ? WhenFull::kSpill : WhenFull::kBlock;
  options.spin = absl::GetFlag(FLAGS_spin);
  options.max_pending_bytes = UINT64_MAX;
  return options;
}

Load LoadOf(uint64_t own_seed, uint64_t peer_seed) {
  return {.messages = absl::GetFlag(FLAGS_messages),
          .max_bytes = absl::GetFlag(FLAGS_max_bytes),
          .seed = own_seed,
          .peer_seed = peer_seed,
          .hold = absl::GetFlag(FLAGS_hold)};
}

int Report(const char* end, const Outcome& outcome, absl::Duration took) {
  std::cout << absl::StrFormat(
      "%s: %d messages, %d bytes, %.1f s, %.2f GB/s, longest wait %s\n", end, outcome.received,
      outcome.received_bytes, absl::ToDoubleSeconds(took),
      static_cast<double>(outcome.received_bytes) / 1e9 / absl::ToDoubleSeconds(took),
      absl::FormatDuration(outcome.longest_wait));
  if (!outcome.status.ok()) {
    std::cout << end << ": " << outcome.status << "\n";
  }
  std::cout << std::flush;
  return outcome.status.ok() ? 0 : 1;
}

int Run(const char* end, absl::StatusOr<std::unique_ptr<Channel>> channel, const Load& load) {
  if (!channel.ok()) {
    std::cout << end << ": " << channel.status() << std::endl;
    return 1;
  }
  const absl::Time begin = absl::Now();
  const Outcome outcome = Exchange(**channel, load);
  return Report(end, outcome, absl::Now() - begin);
}

int Lead(const std::vector<std::string>& arguments) {
  const UniqueAddress address("shm");
  auto listener = Listen(address.text(), Options());
  if (!listener.ok()) {
    std::cout << listener.status() << std::endl;
    return 1;
  }
  std::vector<std::string> command = arguments;
  command.push_back("--connect=" + address.text());
  ChildProcess follower(command);
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  const int led = Run("one end", (*listener)->Accept(absl::Seconds(30)), LoadOf(seed, ~seed));
  for (std::string line = follower.ReadLine(); !line.empty(); line = follower.ReadLine()) {
    std::cout << line << std::endl;
  }
  const int followed = follower.Wait();
  return led != 0 ? led : followed;
}

int Follow() {
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  return Run("other end", Connect(absl::GetFlag(FLAGS_connect), Options()), LoadOf(~seed, seed));
}

}  // namespace
}  // namespace shoal::stress

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("passes messages between two processes and verifies every word");
  const std::vector<std::string> arguments(argv, argv + argc);
  absl::ParseCommandLine(argc, argv);
  return absl::GetFlag(FLAGS_connect).empty() ? shoal::stress::Lead(arguments)
                                              : shoal::stress::Follow();
}
