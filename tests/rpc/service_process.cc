// Serves Service: service_process ADDRESS OPTIONS [SLAB_BYTES]
//
// Prints the address, with the port that TCP got, when clients can come. OPTIONS as in setup.h.

#include <iostream>
#include <memory>
#include <string>

#include "kj/async.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/rpc/service_server.h"
#include "shoal/tests/rpc/setup.h"
#include "shoal/tests/where_reached.h"

int main(int argc, char** argv) {
  const std::string address = argv[1];
  shoal::RpcServerOptions options(shoal::RpcOptions(argv[2]));
  options.traceEncoder = [](const kj::Exception& exception) {
    return kj::str("trace of ", exception.getDescription());
  };
  options.upgrade = false;  // what is tested over TCP shall go over TCP
  if (argc > 3) {
    options.channel.slab_bytes = std::stoul(argv[3]);
  }
  shoal::RaiseDescriptorLimit();
  shoal::RpcServer server(shoal::ServiceServer::Make(std::make_shared<shoal::ServiceState>()),
                          address.c_str(), 0, capnp::ReaderOptions(), options);
  std::cout << shoal::WhereReached(server, address) << std::endl;
  kj::NEVER_DONE.wait(server.getWaitScope());
}
