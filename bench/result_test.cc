#include "shoal/bench/result.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace shoal {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Machine SomeMachine() {
  return {.cpu = "Abacus \"9\"",
          .kernel = "Linux 6.1",
          .capnp = "0.9.2",
          .abseil = "20220623.1",
          .compiler = "g++ 12.2",
          .compile_mode = "optimised",
          .client_cpu = 0,
          .server_cpu = 1};
}

Result SomeResult() {
  return {.work = "round trip",
          .transport = "shm",
          .size = 64,
          .blocks = 3,
          .moved_blocks = 1,
          .samples = 300,
          .p50_ns = 261,
          .p99_ns = 12300,
          .p999_ns = 4.5e6,
          .max_ns = 25.1e6,
          .floor_ns = 119,
          .ratio = 2.19,
          .target = "1.2 floor + 120 ns",
          .limit_ns = 262.8,
          .met = Met::kYes,
          .allocations = 0.5};
}

TEST(ResultTable, HasALineForEachResultWithTimesInReadableUnits) {
  EXPECT_THAT(ToTable(SomeMachine(), {SomeResult()}),
              HasSubstr("round trip                       shm             64 B      300    261 ns"
                        "   12.3 us 4500.0 us   25.1 ms   119 ns       2.2"
                        "  met: 263 ns = 1.2 floor + 120 ns\n"));
}

TEST(ResultTable, SaysOnWhichMachineAndCpus) {
  EXPECT_THAT(ToTable(SomeMachine(), {}),
              StartsWith("Abacus \"9\"; Linux 6.1\n"
                         "Cap'n Proto 0.9.2, Abseil 20220623.1, g++ 12.2, optimised\n"
                         "client on CPU 0, server on CPU 1\n"));
}

TEST(ResultTable, SaysWhenThereIsOnlyOneCpu) {
  Machine machine = SomeMachine();
  machine.server_cpu = 0;
  EXPECT_THAT(ToTable(machine, {}),
              HasSubstr("server on CPU 0: only one may be used, so nothing is measured across"));
}

TEST(ResultTable, MarksATargetThatIsNotMet) {
  Result result = SomeResult();
  result.met = Met::kNo;
  EXPECT_THAT(ToTable(SomeMachine(), {result}), HasSubstr("  NOT met: 263 ns = "));
}

TEST(ResultTable, MarksAFloorThatMovedInEveryBlock) {
  Result result = SomeResult();
  result.floor_moved = true;
  EXPECT_THAT(ToTable(SomeMachine(), {result}), HasSubstr("119 ns~"));
}

TEST(ResultTable, HasMemoryOnlyAmongWhatAnOperationUses) {
  const std::string table =
      ToTable(SomeMachine(), {{.work = "connection", .memory_bytes = 3 << 20}});
  EXPECT_THAT(table, HasSubstr("3 MiB\n"));
  EXPECT_THAT(table.substr(0, table.find("per operation")), Not(HasSubstr("connection")));
}

TEST(ResultTable, HasWhatAnOperationUsesOnceWhereItHasSeveralTargets) {
  const std::string table = ToTable(SomeMachine(), {SomeResult(), SomeResult()});
  const std::string uses = table.substr(table.find("per operation"));
  EXPECT_EQ(uses.find("round trip"), uses.rfind("round trip"));
}

TEST(ResultTable, EndsWithHowManyTargetsAreMet) {
  Result missed = SomeResult();
  missed.met = Met::kNo;
  Result without;
  EXPECT_THAT(ToTable(SomeMachine(), {SomeResult(), missed, without}),
              EndsWith("\n1 of 2 targets met\n"));
}

TEST(ResultJson, IsAListWithAnObjectForEachResult) {
  EXPECT_THAT(ToJson(SomeMachine(), {SomeResult(), SomeResult()}),
              testing::MatchesRegex("\\[\n\\{[^{}]*\\},\n\\{[^{}]*\\}\n\\]\n"));
}

TEST(ResultJson, HasTheFiguresAndTheMachine) {
  const std::string json = ToJson(SomeMachine(), {SomeResult()});
  EXPECT_THAT(
      json,
      StartsWith("[\n{\"work\": \"round trip\", \"transport\": \"shm\", \"size\": 64, \"p50_ns\": "
                 "261, \"p99_ns\": 12300, \"p999_ns\": 4.5e+06, \"max_ns\": 2.51e+07, "
                 "\"floor_ns\": 119, \"ratio\": 2.19, \"target\": \"1.2 floor + 120 ns\", "
                 "\"limit_ns\": 262.8, \"met\": true, \"samples\": 300, \"blocks\": 3, "
                 "\"moved_blocks\": 1, \"floor_moved\": false, \"allocations\": 0.5, "));
  EXPECT_THAT(json, HasSubstr("\"cpu\": \"Abacus \\\"9\\\"\", \"kernel\": \"Linux 6.1\""));
  EXPECT_THAT(json, HasSubstr("\"client_cpu\": 0, \"server_cpu\": 1}"));
}

TEST(ResultJson, HasNullForWhatWasNotMeasured) {
  const std::string json = ToJson(SomeMachine(), {{.work = "connection"}});
  EXPECT_THAT(json, HasSubstr("\"p50_ns\": null"));
  EXPECT_THAT(json, HasSubstr("\"ratio\": null, \"target\": null, \"limit_ns\": null, "
                              "\"met\": null"));
  EXPECT_THAT(json, HasSubstr("\"memory_bytes\": null"));
}

}  // namespace
}  // namespace shoal
