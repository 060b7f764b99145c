// Serves Echo as the program of a manual does: waiting_server ADDRESS [getPort]
//
// With getPort it asks whether it listens, and ends with status 3 when it hears that it does not.

#include <iostream>
#include <string>

#include "kj/async.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/echo_server.h"

int main(int argc, char** argv) {
  shoal::RpcServer server(kj::heap<shoal::EchoServer>(), argv[1]);
  if (argc > 2) {
    const auto failure =
        kj::runCatchingExceptions([&]() { server.getPort().wait(server.getWaitScope()); });
    if (failure != nullptr) {
      return 3;
    }
  }
  std::cout << "waiting" << std::endl;
  kj::NEVER_DONE.wait(server.getWaitScope());
}
