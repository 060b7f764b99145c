// held_server ADDRESS CALLS: a calculator that answers no call before it has received CALLS. Prints
// a line when it listens, and the name of each call that arrives.

#include <cstdlib>
#include <iostream>

#include "shoal/examples/calculator/held_calculator.h"
#include "shoal/examples/calculator/listening.h"
#include "shoal/rpc/server.h"

int main(int argc, char* argv[]) {
  if (argc != 3) return EXIT_FAILURE;
  auto arrived = [](kj::StringPtr call) { std::cout << call.cStr() << std::endl; };
  shoal::RpcServer server(kj::heap<shoal::calculator::HeldCalculator>(std::atoi(argv[2]), arrived),
                          argv[1]);
  auto port = server.getPort().wait(server.getWaitScope());
  std::cout << shoal::calculator::ListeningLine(argv[1], port) << std::endl;
  kj::NEVER_DONE.wait(server.getWaitScope());
}
