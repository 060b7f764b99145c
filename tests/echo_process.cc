// Serves Echo: echo_process ADDRESS [smallest]
//
// Prints the address, with the port that TCP got, when clients can come. "smallest" takes the
// smallest outbox that the options allow.

#include <iostream>
#include <string>

#include "kj/async.h"
#include "shoal/rpc/server.h"
#include "shoal/tests/echo_options.h"
#include "shoal/tests/echo_server.h"
#include "shoal/tests/where_reached.h"

int main(int argc, char** argv) {
  const std::string address = argv[1];
  const std::string size = argc > 2 ? argv[2] : "default";
  shoal::RpcServerOptions options(shoal::EchoOptions(size));
  options.upgrade = false;  // what is tested over TCP shall go over TCP
  shoal::RpcServer server(kj::heap<shoal::EchoServer>(), address.c_str(), 0, capnp::ReaderOptions(),
                          options);
  std::cout << shoal::WhereReached(server, address) << std::endl;
  kj::NEVER_DONE.wait(server.getWaitScope());
}
