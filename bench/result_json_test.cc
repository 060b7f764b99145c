#include "shoal/bench/result_json.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/bench/test_result.h"

namespace shoal {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

TEST(ResultJson, IsAListWithAnObjectForEachResult) {
  EXPECT_THAT(ToJson(SomeMachine(), {SomeResult(), SomeResult()}),
              MatchesRegex("\\[\n\\{[^{}]*\\},\n\\{[^{}]*\\}\n\\]\n"));
}

TEST(ResultJson, HasTheFiguresAndTheMachine) {
  const std::string json = ToJson(SomeMachine(), {SomeResult()});
  EXPECT_THAT(
      json,
      StartsWith("[\n{\"work\": \"round trip\", \"transport\": \"shm\", \"size\": 64, \"p50_ns\": "
                 "261, \"p99_ns\": 12300, \"p999_ns\": 4.5e+06, \"max_ns\": 2.51e+07, "
                 "\"floor_ns\": 119, \"ratio\": 2.19, \"target\": \"1.2 floor + 120 ns\", "
                 "\"limit_ns\": 262.8, \"met\": true, \"quantity\": \"time\", \"samples\": 300, "
                 "\"blocks\": 3, "
                 "\"moved_blocks\": 1, \"floor_moved\": false, \"allocations\": 0.5, "));
  EXPECT_THAT(json, HasSubstr("\"cpu\": \"Abacus \\\"9\\\"\", \"kernel\": \"Linux 6.1\""));
  EXPECT_THAT(json, HasSubstr("\"histogram\": [[256, 299], [512, 1]], "));
  EXPECT_THAT(json, HasSubstr("\"client_cpu\": 0, \"server_cpu\": 1}"));
}

TEST(ResultJson, HasNullForWhatWasNotMeasured) {
  const std::string json = ToJson(SomeMachine(), {{.work = "connection"}});
  EXPECT_THAT(json, HasSubstr("\"p50_ns\": null"));
  EXPECT_THAT(json, HasSubstr("\"ratio\": null, \"target\": null, \"limit_ns\": null, "
                              "\"met\": null"));
  EXPECT_THAT(json, HasSubstr("\"memory_bytes\": null"));
  EXPECT_THAT(json, HasSubstr("\"histogram\": []"));
}

}  // namespace
}  // namespace shoal
