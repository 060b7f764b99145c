// What came of all kills, as a table.
#pragma once

#include <map>
#include <ostream>
#include <string>
#include <utility>

#include "shoal/tests/faults/outcome.h"
#include "shoal/tests/faults/shapes.h"
#include "shoal/tests/faults/sum.h"

namespace shoal::faults {

class Report {
 public:
  void Add(Layer layer, Role role, const Shape& shape, const Outcome& outcome, bool leaks);

  // A line for each layer and shape, and one for all.
  void Print(std::ostream& out) const;

  const Sum& sum() const { return sum_; }

 private:
  static void PrintRow(std::ostream& out, const std::string& name, const Sum& row);

  std::map<std::pair<Layer, const Shape*>, Sum> rows_;
  Sum sum_;
};

}  // namespace shoal::faults
