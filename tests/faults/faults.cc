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
#include "shoal/tests/faults/sum.h"

ABSL_FLAG(uint64_t, kills, 480, "how many; 52 go once through all phases, layers and roles");
ABSL_FLAG(uint64_t, seed, 0, "of all that is random; 0: another one each time");
ABSL_FLAG(std::string, only, "", "the one phase to run");
ABSL_FLAG(absl::Duration, max_delay, absl::Milliseconds(30),
          "before a kill; half are below 0.5 ms");
ABSL_FLAG(absl::Duration, stop, absl::Milliseconds(20), "how long SIGSTOP lasts, at most");
ABSL_FLAG(uint64_t, stops, 0, "how often a victim of another phase is stopped, at most");
ABSL_FLAG(absl::Duration, time, absl::ZeroDuration(), "go on for so long, instead of --kills");
ABSL_FLAG(absl::Duration, every, absl::ZeroDuration(), "print a line for another program; 0: none");
ABSL_FLAG(absl::Duration, rest, absl::Milliseconds(50),
          "for how long the survivor's CPU time is taken, after one kill in five");

ABSL_FLAG(std::string, victim, "", "be one: channel or rpc");
ABSL_FLAG(std::string, address, "", "the victim's, or its survivor's");
ABSL_FLAG(bool, survivor_serves, false, "whether the victim is the client");
ABSL_FLAG(int, tally, -1, "the victim's descriptor of it");

namespace shoal::faults {
namespace {

constexpr uint64_t kKillsBetweenLines = 1000;
constexpr uint64_t kKillsBetweenStops = 6;

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
  uint64_t StopsOf(const Shape& shape);
  Outcome Survive(const Turn& turn, uint64_t number);
  void Judge(const Turn& turn, uint64_t number, Outcome outcome);
  bool IsOver(uint64_t kills, absl::Duration passed) const;
  Sum SumNow() const;
  void PrintProgress(uint64_t kills);

  const std::string program_;
  const uint64_t seed_;
  std::mt19937_64 random_;
  Tally tally_;
  const UniqueAddress address_{"shm"};  // of all victims that serve
  ChannelSurvivor channel_survivor_;
  RpcSurvivor rpc_survivor_{tally_};
  std::optional<Census> base_;
  uint64_t heap_ = 0;  // bytes of it at the beginning
  Report report_;
  absl::Time line_at_;  // when a line of progress was printed last
};

Lead::Turn Lead::TurnAt(uint64_t number) const {
  const Shape* only = FindShape(absl::GetFlag(FLAGS_only));
  return {.layer = number % 2 == 0 ? Layer::kChannel : Layer::kRpc,
          .role = number / 2 % 2 == 0 ? Role::kServer : Role::kClient,
          .shape = only != nullptr ? only : &Shapes()[number / 4 % Shapes().size()]};
}

uint64_t Lead::StopsOf(const Shape& shape) {
  const bool goes_on_for_ever =
      shape.messages == 0 && shape.moment == Moment::kConnected && shape.reads_before_death;
  if (shape.stops > 0 || !goes_on_for_ever || random_() % kKillsBetweenStops != 0) {
    return shape.stops;
  }
  return random_() % (absl::GetFlag(FLAGS_stops) + 1);
}

Kill Lead::NewKill(const Turn& turn, uint64_t number) {
  const uint64_t seed = random_();
  const KillPlan plan = {
      .waits_for_line = turn.shape->moment != Moment::kConnected,
      .stops = StopsOf(*turn.shape),
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
  tally_.Clear();
  const Kill kill = NewKill(turn, number);
  Outcome outcome =
      turn.layer == Layer::kChannel ? channel_survivor_.Survive(kill) : rpc_survivor_.Survive(kill);
  outcome.stops = kill.plan.stops;
  outcome.delivered_back = tally_.received();
  outcome.delivered_back_bytes = tally_.received_bytes();
  return outcome;
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

bool Lead::IsOver(uint64_t kills, absl::Duration passed) const {
  const absl::Duration time = absl::GetFlag(FLAGS_time);
  return time > absl::ZeroDuration() ? passed >= time : kills >= absl::GetFlag(FLAGS_kills);
}

Sum Lead::SumNow() const {
  Sum sum = report_.sum();
  sum.heap_growth = static_cast<int64_t>(HeapBytes()) - static_cast<int64_t>(heap_);
  return sum;
}

void Lead::PrintProgress(uint64_t kills) {
  const absl::Duration every = absl::GetFlag(FLAGS_every);
  const absl::Time now = absl::Now();
  if (every > absl::ZeroDuration() && now - line_at_ >= every) {
    std::cout << ToLine(SumNow()) << std::endl;
    line_at_ = now;
  } else if (every == absl::ZeroDuration() && kills % kKillsBetweenLines == 0) {
    std::cout << kills << " kills" << std::endl;
  }
}

int Lead::Run() {
  std::cout << "seed " << seed_ << std::endl;
  for (uint64_t i = 0; i < 4; ++i) {
    Survive(TurnAt(i), i);  // what is made once is there now
  }
  base_ = TakeCensus();
  heap_ = HeapBytes();
  const absl::Time begin = absl::Now();
  line_at_ = begin;
  for (uint64_t i = 0; !IsOver(i, absl::Now() - begin); ++i) {
    const Turn turn = TurnAt(i);
    Judge(turn, i, Survive(turn, i));
    PrintProgress(i + 1);
  }
  if (absl::GetFlag(FLAGS_every) > absl::ZeroDuration()) {
    std::cout << ToLine(SumNow()) << std::endl;
  }
  report_.Print(std::cout);
  const Sum sum = SumNow();
  std::cout << "seed " << seed_ << ", " << absl::FormatDuration(absl::Now() - begin)
            << "; at the end " << Describe(TakeCensus()) << ", as at the beginning "
            << Describe(*base_) << "; heap " << heap_ / 1024 << " KiB at the beginning, "
            << sum.heap_growth / 1024 << " KiB more at the end, of " << kHeapMayGrow / 1024
            << " KiB that it may grow" << std::endl;
  return sum.all_well() ? 0 : 1;
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
