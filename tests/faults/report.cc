#include "shoal/tests/faults/report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace shoal::faults {
namespace {

std::string Milliseconds(absl::Duration duration) {
  return absl::StrFormat("%.2f ms", absl::ToDoubleMilliseconds(duration));
}

}  // namespace

void Report::Add(Layer layer, Role role, const Shape& shape, const Outcome& outcome, bool leaks) {
  rows_[{layer, &shape}].Add(role, outcome, leaks);
  sum_.Add(role, outcome, leaks);
}

void Report::Print(std::ostream& out) const {
  out << absl::StrFormat("%-18s %8s %8s %10s %6s %10s %11s %10s %12s %6s %9s\n", "phase", "clients",
                         "servers", "longest", "late", "dying", "wait", "messages", "after death",
                         "leaks", "failures");
  for (const auto& [key, row] : rows_) {
    const auto& [layer, shape] = key;
    PrintRow(out,
             absl::StrCat(layer == Layer::kChannel ? "channel " : "rpc ", std::string(shape->name)),
             row);
  }
  PrintRow(out, "all", sum_);
}

void Report::PrintRow(std::ostream& out, const std::string& name, const Sum& row) {
  out << absl::StrFormat(
      "%-18s %8d %8d %10s %6d %10s %11s %10d %12d %6d %9d\n", name, row.kills_of_clients,
      row.kills_of_servers, row.longest_seen ? Milliseconds(*row.longest_seen) : "-",
      row.deaths_seen_late, Milliseconds(row.longest_dying), Milliseconds(row.longest_wait),
      row.messages, row.messages_late, row.leaks, row.failures);
}

}  // namespace shoal::faults
