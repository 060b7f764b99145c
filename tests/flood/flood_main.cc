// Prints what a stranger's flood costs. usage: flood [--seconds=N]
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "shoal/tests/flood/flood.h"

namespace {

void Print(const char* when, const shoal::CallTimes& times) {
  printf("%-18s %10llu calls  median %8.1f us  p99 %8.1f us  longest %10.1f us\n", when,
         static_cast<unsigned long long>(times.calls), times.median_us, times.p99_us,
         times.longest_us);
}

void PrintRatio(const char* to, const shoal::CallTimes& during, const shoal::CallTimes& times) {
  printf("during/%-18s  median %.2f  p99 %.2f\n", to, during.median_us / times.median_us,
         during.p99_us / times.p99_us);
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
  Print("beside a neighbour", report.beside_a_neighbour);
  Print("during", report.during);
  PrintRatio("before", report.during, report.before);
  PrintRatio("beside a neighbour", report.during, report.beside_a_neighbour);
  printf(
      "the stranger connected %llu times, %.0f a second; a new client had its answer in %.1f us\n",
      static_cast<unsigned long long>(report.connections),
      static_cast<double>(report.connections) / seconds, report.new_client_us);
  return 0;
}
