// Keeps the Echo server at ADDRESS busy until it is killed: echo_client_process ADDRESS
//
// Prints "calling" once large answers are held, large calls are under way and one is pending for
// ever.

#include <iostream>
#include <vector>

#include "kj/async.h"
#include "shoal/rpc/client.h"
#include "shoal/tests/echo.capnp.h"

int main(int, char** argv) {
  shoal::RpcClient client(argv[1]);
  auto echo = client.getMain<shoal::test::Echo>();
  auto pending = echo.neverRequest().send();
  std::vector<capnp::Response<shoal::test::Echo::FillResults>> held;
  for (int i = 0; i < 20; ++i) {
    auto request = echo.fillRequest();
    request.setBytes(1 << 20);
    held.push_back(request.send().wait(client.getWaitScope()));
  }
  std::cout << "calling" << std::endl;
  while (true) {
    auto request = echo.sumRequest();
    request.initData(1 << 20);
    request.send().wait(client.getWaitScope());
  }
}
