// Many pairs of processes that play ping-pong at once, on whatever CPUs there are. Exits with 1
// when a pair gets stuck.

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/stress/packet.capnp.h"
#include "shoal/transport/channel.h"

ABSL_FLAG(int, pairs, 128, "pairs of processes");
ABSL_FLAG(absl::Duration, time, absl::Seconds(60), "how long they play");
ABSL_FLAG(std::string, serve, "", "be one that answers, at this address");
ABSL_FLAG(std::string, play, "", "be one that asks, at this address");

namespace shoal::stress {
namespace {

int Serve(const std::string& address) {
  auto listener = Listen(address);
  if (!listener.ok()) {
    std::cerr << listener.status() << "\n";
    return 1;
  }
  std::cout << "listening" << std::endl;
  auto channel = (*listener)->Accept();
  if (!channel.ok()) {
    return 1;
  }
  while (true) {
    auto message = (*channel)->Receive();
    if (!message.ok()) {
      return (*channel)->ended_by_peer() ? 0 : 1;
    }
    OutgoingMessage answer = (*channel)->Claim();
    answer.InitRoot<Packet>().setNumber(message->Root<Packet>().getNumber());
    if (!(*channel)->Publish(std::move(answer)).ok()) {
      return 1;
    }
  }
}

// Plays and prints: pings, the longest in nanoseconds, the median.
int Play(const std::string& address) {
  ChannelOptions options;
  options.connect_timeout = absl::Seconds(60);
  auto channel = Connect(address, options);
  if (!channel.ok()) {
    std::cerr << channel.status() << "\n";
    return 1;
  }
  std::vector<int64_t> times;
  absl::Time begin = absl::Now();
  const absl::Time end = begin + absl::GetFlag(FLAGS_time);
  do {
    OutgoingMessage message = (*channel)->Claim();
    message.InitRoot<Packet>().setNumber(times.size());
    const absl::Status sent = (*channel)->Publish(std::move(message));
    auto answer = (*channel)->Receive();
    if (!sent.ok() || !answer.ok() || answer->Root<Packet>().getNumber() != times.size()) {
      std::cerr << sent << " " << answer.status() << "\n";
      return 1;
    }
    const absl::Time now = absl::Now();
    times.push_back(absl::ToInt64Nanoseconds(now - begin));
    begin = now;
  } while (begin < end);
  std::sort(times.begin(), times.end());
  std::cout << times.size() << " " << times.back() << " " << times[times.size() / 2] << std::endl;
  return 0;
}

struct Sum {
  int64_t pings = 0;
  int64_t fewest = INT64_MAX;
  int64_t longest_ns = 0;
  int64_t highest_median_ns = 0;
  int stuck = 0;
};

int Lead(const std::string& program) {
  const int pairs = absl::GetFlag(FLAGS_pairs);
  std::vector<std::unique_ptr<UniqueAddress>> addresses;
  std::vector<std::unique_ptr<ChildProcess>> servers;
  std::vector<std::unique_ptr<ChildProcess>> players;
  for (int i = 0; i < pairs; ++i) {
    addresses.push_back(std::make_unique<UniqueAddress>("shm"));
    servers.push_back(std::make_unique<ChildProcess>(
        std::vector<std::string>{program, "--serve=" + addresses.back()->text()}));
    if (servers.back()->ReadLine() != "listening") {
      return 1;
    }
  }
  for (const auto& address : addresses) {
    players.push_back(std::make_unique<ChildProcess>(
        std::vector<std::string>{program, "--play=" + address->text(),
                                 "--time=" + absl::FormatDuration(absl::GetFlag(FLAGS_time))}));
  }
  Sum sum;
  for (int i = 0; i < pairs; ++i) {
    std::istringstream line(players[i]->ReadLine());
    int64_t pings = 0;
    int64_t longest_ns = 0;
    int64_t median_ns = 0;
    line >> pings >> longest_ns >> median_ns;
    sum.stuck += players[i]->Wait() != 0 || servers[i]->Wait() != 0 || pings == 0;
    sum.pings += pings;
    sum.fewest = std::min(sum.fewest, pings);
    sum.longest_ns = std::max(sum.longest_ns, longest_ns);
    sum.highest_median_ns = std::max(sum.highest_median_ns, median_ns);
  }
  std::cout << absl::StrFormat(
      "%d pairs: %d pings, at least %d a pair; highest median %s, longest wait %s; %d stuck\n",
      pairs, sum.pings, sum.fewest, absl::FormatDuration(absl::Nanoseconds(sum.highest_median_ns)),
      absl::FormatDuration(absl::Nanoseconds(sum.longest_ns)), sum.stuck);
  return sum.stuck == 0 ? 0 : 1;
}

}  // namespace
}  // namespace shoal::stress

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("plays ping-pong between many pairs of processes");
  const std::string program = argv[0];
  absl::ParseCommandLine(argc, argv);
  if (!absl::GetFlag(FLAGS_serve).empty()) {
    return shoal::stress::Serve(absl::GetFlag(FLAGS_serve));
  }
  if (!absl::GetFlag(FLAGS_play).empty()) {
    return shoal::stress::Play(absl::GetFlag(FLAGS_play));
  }
  return shoal::stress::Lead(program);
}
