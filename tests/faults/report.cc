#include "shoal/tests/faults/report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace shoal::faults {

void Report::Add(Layer layer, Role role, const Shape& shape, const Outcome& outcome, bool leaks) {
  Add(rows_[{layer, &shape}], role, outcome, leaks);
  Add(sum_, role, outcome, leaks);
}

void Report::Add(Row& row, Role role, const Outcome& outcome, bool leaks) {
  ++(role == Role::kServer ? row.kills_of_clients : row.kills_of_servers);
  row.longest = std::max(row.longest, outcome.seen);
  row.delivered += outcome.delivered;
  row.delivered_late += outcome.delivered_late;
  row.leaks += leaks;
  row.failures += !outcome.failures.empty();
}

void Report::Print(std::ostream& out) const {
  out << absl::StrFormat("%-18s %8s %8s %10s %10s %12s %6s %9s\n", "phase", "clients", "servers",
                         "longest", "messages", "after death", "leaks", "failures");
  for (const auto& [key, row] : rows_) {
    const auto& [layer, shape] = key;
    PrintRow(out,
             absl::StrCat(layer == Layer::kChannel ? "channel " : "rpc ", std::string(shape->name)),
             row);
  }
  PrintRow(out, "all", sum_);
}

void Report::PrintRow(std::ostream& out, const std::string& name, const Row& row) {
  const std::string longest =
      row.longest ? absl::StrFormat("%.2f ms", absl::ToDoubleMilliseconds(*row.longest)) : "-";
  out << absl::StrFormat("%-18s %8d %8d %10s %10d %12d %6d %9d\n", name, row.kills_of_clients,
                         row.kills_of_servers, longest, row.delivered, row.delivered_late,
                         row.leaks, row.failures);
}

}  // namespace shoal::faults
