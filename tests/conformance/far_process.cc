// A far end in a process of its own: far_process ADDRESS GATE OPTIONS
//
// Listens, prints the address, takes one client, and does what that says. GATE is a FIFO; OPTIONS
// is the name of an outbox, see outboxes.h.

#include <fcntl.h>

#include <iostream>
#include <utility>

#include "shoal/tests/conformance/far_end.h"
#include "shoal/tests/conformance/outboxes.h"

int main(int, char** argv) {
  using namespace shoal;
  using namespace shoal::conformance;
  auto listener = Listen(argv[1], FarOptions(OptionsFor(argv[3])));
  if (!listener.ok()) {
    std::cerr << listener.status() << "\n";
    return 1;
  }
  std::cout << (*listener)->address() << std::endl;
  auto channel = (*listener)->Accept();
  if (!channel.ok()) {
    std::cerr << channel.status() << "\n";
    return 1;
  }
  FarEnd(*std::move(channel), open(argv[2], O_RDWR | O_CLOEXEC)).Run();
  return 0;
}
