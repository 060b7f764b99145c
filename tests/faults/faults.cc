// Kills one of two processes at a random point, over and over, and looks at what becomes of the
// other. Exits with 1 if anything was lost, left behind or given up.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/faults/census.h"
#include "shoal/tests/faults/channel_survivor.h"
#include "shoal/tests/faults/channel_victim.h"
#include "shoal/tests/faults/report.h"
#include "shoal/tests/faults/rpc_survivor.h"
#include "shoal/tests/faults/rpc_victim.h"

ABSL_FLAG(uint64_t, kills, 480, "how many; 48 go once through all phases, layers and roles");
ABSL_FLAG(uint64_t, seed, 0, "of all that is random; 0: another one each time");
ABSL_FLAG(std::string, only, "", "the one phase to run");
ABSL_FLAG(absl::Duration, max_delay, absl::Milliseconds(30),
          "before a kill; half are below 0.5 ms");
ABSL_FLAG(absl::Duration, stop, absl::Milliseconds(20), "how long SIGSTOP lasts, at most");
ABSL_FLAG(absl::Duration, rest, absl::Milliseconds(50),
          "for how long the survivor's CPU time is taken, after one kill in five");

ABSL_FLAG(std::string, victim, "", "be one: channel or rpc");
ABSL_FLAG(std::string, address, "", "the victim's, or its survivor's");
ABSL_FLAG(bool, survivor_serves, false, "whether the victim is the client");
ABSL_FLAG(int, tally, -1, "the victim's descriptor of it");

namespace shoal::faults {
namespace {

constexpr uint64_t kKillsBetweenLines = 1000;

int BeVictim() {
  const Shape* shape = FindShape(absl::GetFlag(FLAGS_only));
  const Role survivor = absl::GetFlag(FLAGS_survivor_serves) ? Role::kServer : Role::kClient;
  Tally tally(absl::GetFlag(FLAGS_tally));
  const auto run = absl::GetFlag(FLAGS_victim) == "rpc" ? RunRpcVictim : RunChannelVictim;
  return run(absl::GetFlag(FLAGS_address), *shape, survivor, absl::GetFlag(FLAGS_seed), tally);
}

// Spread evenly over the orders of magnitude from a microsecond up, for what goes wrong may do so
// within microseconds of a beginning.
absl::Duration RandomDelay(std::mt19937_64& random) {
  const double most = absl::ToDoubleMicroseconds(absl::GetFlag(FLAGS_max_delay));
  const double exponent = std::uniform_real_distribution<>(0, std::log(most))(random);
  return absl::Microseconds(std::exp(exponent));
}

class Lead {
 public:
  Lead(std::string program, uint64_t seed)
      : program_(std::move(program)), seed_(seed), random_(seed) {}

  int Run();

 private:
  struct Turn {
    Layer layer;
    Role role;
    const Shape* shape;
  };

  Turn TurnAt(uint64_t number) const;
  Kill NewKill(const Turn& turn, uint64_t number);
  Outcome Survive(const Turn& turn, uint64_t number);
  void Judge(const Turn& turn, uint64_t number, Outcome outcome);

  const std::string program_;
  const uint64_t seed_;
  std::mt19937_64 random_;
  Tally tally_;
  const UniqueAddress address_{"shm"};  // of all victims that serve
  ChannelSurvivor channel_survivor_;
  RpcSurvivor rpc_survivor_{tally_};
  std::optional<Census> base_;
  Report report_;
};

Lead::Turn Lead::TurnAt(uint64_t number) const {
  const Shape* only = FindShape(absl::GetFlag(FLAGS_only));
  return {.layer = number % 2 == 0 ? Layer::kChannel : Layer::kRpc,
          .role = number / 2 % 2 == 0 ? Role::kServer : Role::kClient,
          .shape = only != nullptr ? only : &Shapes()[number / 4 % Shapes().size()]};
}

Kill Lead::NewKill(const Turn& turn, uint64_t number) {
  const uint64_t seed = random_();
  const KillPlan plan = {
      .waits_for_line = turn.shape->moment != Moment::kConnected,
      .stops = turn.shape->stops,
      .stop_time = absl::GetFlag(FLAGS_stop) * std::uniform_real_distribution<>(0, 1)(random_),
      .delay = RandomDelay(random_)};
  auto start = [this, turn, seed](const std::string& address) {
    return std::make_unique<ChildProcess>(std::vector<std::string>{
        program_, absl::StrCat("--victim=", turn.layer == Layer::kRpc ? "rpc" : "channel"),
        "--address=" + address, absl::StrCat("--only=", std::string(turn.shape->name)),
        absl::StrCat("--survivor_serves=", turn.role == Role::kServer),
        absl::StrCat("--seed=", seed), absl::StrCat("--tally=", tally_.fd())});
  };
  return {.shape = *turn.shape,
          .role = turn.role,
          .seed = seed,
          .plan = plan,
          .address = address_.text(),
          .start_victim = start,
          .tally = tally_,
          .idle = number % 20 < 4 ? absl::GetFlag(FLAGS_rest) : absl::ZeroDuration()};
}

Outcome Lead::Survive(const Turn& turn, uint64_t number) {
  tally_.begun() = 0;
  tally_.published() = 0;
  const Kill kill = NewKill(turn, number);
  return turn.layer == Layer::kChannel ? channel_survivor_.Survive(kill)
                                       : rpc_survivor_.Survive(kill);
}

void Lead::Judge(const Turn& turn, uint64_t number, Outcome outcome) {
  const Census census = TakeCensus();
  const bool leaks = census != *base_;
  if (leaks) {
    outcome.failures.push_back(
        absl::StrCat("there are ", Describe(census), " in place of ", Describe(*base_)));
    base_ = census;
  }
  for (const std::string& failure : outcome.failures) {
    std::cout << "kill " << number << " (" << (turn.layer == Layer::kRpc ? "rpc" : "channel")
              << ", " << turn.shape->name << ", "
              << (turn.role == Role::kServer ? "of the client" : "of the server")
              << "): " << failure << std::endl;
  }
  report_.Add(turn.layer, turn.role, *turn.shape, outcome, leaks);
}

int Lead::Run() {
  std::cout << "seed " << seed_ << std::endl;
  for (uint64_t i = 0; i < 4; ++i) {
    Survive(TurnAt(i), i);  // what is made once is there now
  }
  base_ = TakeCensus();
  const uint64_t heap = HeapBytes();
  const absl::Time begin = absl::Now();
  for (uint64_t i = 0; i < absl::GetFlag(FLAGS_kills); ++i) {
    const Turn turn = TurnAt(i);
    Judge(turn, i, Survive(turn, i));
    if ((i + 1) % kKillsBetweenLines == 0) {
      std::cout << i + 1 << " kills, " << absl::FormatDuration(absl::Now() - begin) << std::endl;
    }
  }
  report_.Print(std::cout);
  std::cout << "seed " << seed_ << ", " << absl::FormatDuration(absl::Now() - begin)
            << "; at the end " << Describe(TakeCensus()) << ", as at the beginning "
            << Describe(*base_) << "; heap " << heap / 1024 << " KiB at the beginning, "
            << HeapBytes() / 1024 << " at the end" << std::endl;
  return report_.all_well() ? 0 : 1;
}

}  // namespace
}  // namespace shoal::faults

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("kills one of two processes and looks at the other");
  const std::string program = argv[0];
  absl::ParseCommandLine(argc, argv);
  if (!absl::GetFlag(FLAGS_victim).empty()) {
    return shoal::faults::BeVictim();
  }
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  return shoal::faults::Lead(program, seed != 0 ? seed : std::random_device()()).Run();
}
