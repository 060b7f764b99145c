#include "shoal/bench/result_table.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/bench/test_result.h"

namespace shoal {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

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

TEST(ResultTable, TellsCpuTimeFromTime) {
  Result result = SomeResult();
  result.quantity = Quantity::kCpu;
  EXPECT_THAT(ToTable(SomeMachine(), {result}), HasSubstr("  met: 263 ns of CPU = 1.2 floor"));
}

TEST(ResultTable, HasATargetThatIsNoTimeInWordsAlone) {
  Result result = SomeResult();
  result.quantity = Quantity::kPageFaults;
  result.target = "no page fault";
  result.limit_ns.reset();
  EXPECT_THAT(ToTable(SomeMachine(), {result}), HasSubstr("  met: no page fault\n"));
}

TEST(ResultTable, LeavesATargetOpenWhereItWasNotMeasured) {
  Result result = SomeResult();
  result.met = Met::kNone;
  result.limit_ns.reset();
  EXPECT_THAT(ToTable(SomeMachine(), {result}), HasSubstr("  open: 1.2 floor + 120 ns\n"));
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

}  // namespace
}  // namespace shoal
