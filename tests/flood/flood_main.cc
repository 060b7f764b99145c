// Prints what a stranger's flood costs. usage: flood [--seconds=N]
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "shoal/tests/flood/flood.h"

namespace {

void Print(const char* when, const shoal::CallTimes& times) {
  printf("%-8s %10llu calls  median %8.1f us  p99 %8.1f us  longest %10.1f us\n", when,
         static_cast<unsigned long long>(times.calls), times.median_us, times.p99_us,
         times.longest_us);
}

}  // namespace

int main(int argc, char** argv) {
  constexpr char kSeconds[] = "--seconds=";
  int seconds = 60;
  if (argc == 2 && strncmp(argv[1], kSeconds, strlen(kSeconds)) == 0) {
    seconds = atoi(argv[1] + strlen(kSeconds));
  } else if (argc > 1) {
    seconds = 0;
  }
  if (seconds <= 0 || geteuid() != 0) {
    fprintf(stderr, "usage: flood [--seconds=N], as root\n");
    return 2;
  }
  const shoal::FloodReport report = shoal::Flood(std::chrono::seconds(seconds));
  Print("before", report.before);
  Print("during", report.during);
  printf("ratio    median %.2f  p99 %.2f\n", report.during.median_us / report.before.median_us,
         report.during.p99_us / report.before.p99_us);
  printf(
      "the stranger connected %llu times, %.0f a second; a new client had its answer in %.1f us\n",
      static_cast<unsigned long long>(report.connections),
      static_cast<double>(report.connections) / seconds, report.new_client_us);
  return 0;
}
