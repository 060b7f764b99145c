#include "shoal/bench/result_json.h"

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "shoal/bench/histogram.h"

namespace shoal {
namespace {

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += absl::StrFormat("\\u%04x", c);
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string Number(std::optional<double> value) {
  // JSON has no infinity, and no other way to say that there is none.
  return value && std::isfinite(*value) ? absl::StrFormat("%.6g", *value) : "null";
}

// [[the bucket's lower bound in nanoseconds, how many samples it has], ...]
std::string Buckets(const std::vector<Bucket>& histogram) {
  const auto pair = [](std::string* out, const Bucket& bucket) {
    absl::StrAppend(out, "[", Number(bucket.lower_ns), ", ", bucket.count, "]");
  };
  return absl::StrCat("[", absl::StrJoin(histogram, ", ", pair), "]");
}

std::string Truth(Met met) {
  switch (met) {
    case Met::kYes:
      return "true";
    case Met::kNo:
      return "false";
    case Met::kNone:
      break;
  }
  return "null";
}

std::string NameOf(Quantity quantity) {
  switch (quantity) {
    case Quantity::kTime:
      return "time";
    case Quantity::kCpu:
      return "cpu";
    case Quantity::kSleeps:
      return "sleeps";
    case Quantity::kPageFaults:
      return "page_faults";
    case Quantity::kCopiedWords:
      return "copied_words";
  }
  return "";
}

// The members of an object, in the order in which they were added.
class Members {
 public:
  void Add(std::string_view name, std::string_view json) {
    members_.push_back(absl::StrCat(Quoted(name), ": ", std::string(json)));
  }
  std::string ToObject() const { return absl::StrCat("{", absl::StrJoin(members_, ", "), "}"); }

 private:
  std::vector<std::string> members_;
};

std::string ToObject(const Machine& machine, const Result& result) {
  Members members;
  members.Add("work", Quoted(result.work));
  members.Add("transport", Quoted(result.transport));
  members.Add("size", absl::StrCat(result.size));
  const auto time = [&](double ns) {
    return result.samples == 0 ? std::nullopt : std::optional(ns);
  };
  members.Add("p50_ns", Number(time(result.p50_ns)));
  members.Add("p99_ns", Number(time(result.p99_ns)));
  members.Add("p999_ns", Number(time(result.p999_ns)));
  members.Add("max_ns", Number(time(result.max_ns)));
  members.Add("floor_ns", Number(result.floor_ns));
  members.Add("ratio", Number(result.ratio));
  members.Add("target", result.target.empty() ? "null" : Quoted(result.target));
  members.Add("limit_ns", Number(result.limit_ns));
  members.Add("met", Truth(result.met));
  members.Add("quantity", Quoted(NameOf(result.quantity)));
  members.Add("samples", absl::StrCat(result.samples));
  members.Add("blocks", absl::StrCat(result.blocks));
  members.Add("moved_blocks", absl::StrCat(result.moved_blocks));
  members.Add("floor_moved", result.floor_moved ? "true" : "false");
  members.Add("allocations", Number(result.allocations));
  members.Add("system_calls", Number(result.system_calls));
  members.Add("sleeps", Number(result.sleeps));
  members.Add("parks", Number(result.parks));
  members.Add("rings", Number(result.rings));
  members.Add("page_faults", Number(result.page_faults));
  members.Add("copied_words", Number(result.copied_words));
  members.Add("cpu_ns", Number(result.cpu_ns));
  members.Add("messages_per_second", Number(result.messages_per_second));
  members.Add("gigabytes_per_second", Number(result.gigabytes_per_second));
  members.Add("memory_bytes", Number(result.memory_bytes));
  members.Add("histogram", Buckets(result.histogram));
  members.Add("cpu", Quoted(machine.cpu));
  members.Add("kernel", Quoted(machine.kernel));
  members.Add("capnp", Quoted(machine.capnp));
  members.Add("abseil", Quoted(machine.abseil));
  members.Add("compiler", Quoted(machine.compiler));
  members.Add("compile_mode", Quoted(machine.compile_mode));
  members.Add("client_cpu", absl::StrCat(machine.client_cpu));
  members.Add("server_cpu", absl::StrCat(machine.server_cpu));
  return members.ToObject();
}

}  // namespace

std::string ToJson(const Machine& machine, const std::vector<Result>& results) {
  std::vector<std::string> objects;
  for (const Result& result : results) {
    objects.push_back(ToObject(machine, result));
  }
  return absl::StrCat("[\n", absl::StrJoin(objects, ",\n"), "\n]\n");
}

}  // namespace shoal
