#include "shoal/tests/faults/sum.h"

#include <algorithm>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace shoal::faults {
namespace {

constexpr std::string_view kBegin = "sum:";
constexpr int64_t kNoDeathSeen = -1;

}  // namespace

void Sum::Add(Role survivor, const Outcome& outcome, bool leaks_something) {
  ++(survivor == Role::kServer ? kills_of_clients : kills_of_servers);
  stops += outcome.stops;
  messages += outcome.delivered;
  messages_late += outcome.delivered_late;
  bytes += outcome.delivered_bytes;
  messages_back += outcome.delivered_back;
  bytes_back += outcome.delivered_back_bytes;
  deaths_seen += outcome.seen.has_value();
  deaths_seen_late += outcome.seen > kSeenSoon;
  longest_seen = std::max(longest_seen, outcome.seen);
  longest_dying = std::max(longest_dying, outcome.dying);
  longest_wait = std::max(longest_wait, outcome.longest_wait);
  leaks += leaks_something;
  failures += !outcome.failures.empty();
}

void Sum::Add(const Sum& other) {
  kills_of_clients += other.kills_of_clients;
  kills_of_servers += other.kills_of_servers;
  stops += other.stops;
  messages += other.messages;
  messages_late += other.messages_late;
  bytes += other.bytes;
  messages_back += other.messages_back;
  bytes_back += other.bytes_back;
  deaths_seen += other.deaths_seen;
  deaths_seen_late += other.deaths_seen_late;
  longest_seen = std::max(longest_seen, other.longest_seen);
  longest_dying = std::max(longest_dying, other.longest_dying);
  longest_wait = std::max(longest_wait, other.longest_wait);
  leaks += other.leaks;
  failures += other.failures;
  heap_growth = std::max(heap_growth, other.heap_growth);
}

std::string ToLine(const Sum& sum) {
  const int64_t longest_seen_ns =
      sum.longest_seen ? absl::ToInt64Nanoseconds(*sum.longest_seen) : kNoDeathSeen;
  std::ostringstream line;
  line << kBegin;
  for (const uint64_t count : {sum.kills_of_clients, sum.kills_of_servers, sum.stops, sum.messages,
                               sum.messages_late, sum.bytes, sum.messages_back, sum.bytes_back,
                               sum.deaths_seen, sum.deaths_seen_late, sum.leaks, sum.failures}) {
    line << " " << count;
  }
  line << " " << longest_seen_ns << " " << absl::ToInt64Nanoseconds(sum.longest_dying) << " "
       << absl::ToInt64Nanoseconds(sum.longest_wait) << " " << sum.heap_growth;
  return line.str();
}

std::optional<Sum> FromLine(std::string_view line) {
  std::istringstream in{std::string(line)};
  std::string begin;
  Sum sum;
  in >> begin;
  for (uint64_t* count : {&sum.kills_of_clients, &sum.kills_of_servers, &sum.stops, &sum.messages,
                          &sum.messages_late, &sum.bytes, &sum.messages_back, &sum.bytes_back,
                          &sum.deaths_seen, &sum.deaths_seen_late, &sum.leaks, &sum.failures}) {
    in >> *count;
  }
  int64_t seen_ns = 0;
  int64_t dying_ns = 0;
  int64_t wait_ns = 0;
  in >> seen_ns >> dying_ns >> wait_ns >> sum.heap_growth;
  if (begin != kBegin || in.fail()) {
    return std::nullopt;
  }
  if (seen_ns != kNoDeathSeen) {
    sum.longest_seen = absl::Nanoseconds(seen_ns);
  }
  sum.longest_dying = absl::Nanoseconds(dying_ns);
  sum.longest_wait = absl::Nanoseconds(wait_ns);
  return sum;
}

}  // namespace shoal::faults
