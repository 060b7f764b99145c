// What came of all kills, as a table.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "shoal/tests/faults/outcome.h"
#include "shoal/tests/faults/shapes.h"

namespace shoal::faults {

class Report {
 public:
  void Add(Layer layer, Role role, const Shape& shape, const Outcome& outcome, bool leaks);

  // A line for each layer and shape, and one for all.
  void Print(std::ostream& out) const;

  bool all_well() const { return sum_.failures == 0 && sum_.leaks == 0; }

 private:
  struct Row {
    uint64_t kills_of_clients = 0;
    uint64_t kills_of_servers = 0;
    std::optional<absl::Duration> longest;  // until seen
    uint64_t delivered = 0;
    uint64_t delivered_late = 0;
    uint64_t leaks = 0;
    uint64_t failures = 0;
  };

  static void Add(Row& row, Role role, const Outcome& outcome, bool leaks);
  static void PrintRow(std::ostream& out, const std::string& name, const Row& row);

  std::map<std::pair<Layer, const Shape*>, Row> rows_;
  Row sum_;
};

}  // namespace shoal::faults
