// What the conformance tests of all topics share: a fixture over a driver and an outbox.
#pragma once

#include <memory>
#include <string>
#include <tuple>

#include "gtest/gtest.h"
#include "shoal/tests/conformance/ends.h"
#include "shoal/tests/conformance/outboxes.h"

namespace shoal::conformance {

using Parameter = std::tuple<Driver, std::string>;

inline std::string NameOfParameter(const testing::TestParamInfo<Parameter>& info) {
  return NameOf(std::get<0>(info.param)) + std::get<1>(info.param);
}

class Conformance : public testing::TestWithParam<Parameter> {
 protected:
  const std::string& outbox() const { return std::get<1>(GetParam()); }
  Driver driver() const { return std::get<0>(GetParam()); }

  // Of the near end. Where both ends are in one thread nothing may block, so spilling is what tests
  // use that are not about blocking.
  ChannelOptions Options(WhenFull when_full = WhenFull::kSpill) const {
    ChannelOptions options = OptionsFor(outbox());
    options.when_full = when_full;
    return options;
  }

  std::unique_ptr<Ends> Connect(const ChannelOptions& options) const {
    return Ends::Connect(driver(), outbox(), options);
  }
  std::unique_ptr<Ends> Connect() const { return Connect(Options()); }
};

inline const auto kAllDrivers =
    testing::Combine(testing::ValuesIn(kDrivers), testing::Values("Default", "Smallest"));
inline const auto kAllShmDrivers =
    testing::Combine(testing::ValuesIn(kShmDrivers), testing::Values("Default", "Smallest"));
inline const auto kAllProcessDrivers =
    testing::Combine(testing::ValuesIn(kProcessDrivers), testing::Values("Default", "Smallest"));

inline std::string Text(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

}  // namespace shoal::conformance
