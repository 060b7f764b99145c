// A program of somebody else's that takes Shoal as a dependency: it starts itself again as a
// server, and calls that over shared memory. usage: greeter                      ends with 1, and
// says why, unless the answer is right
//        greeter ADDRESS              the server alone

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <random>
#include <string>

#include "greeter.capnp.h"
#include "kj/async.h"
#include "kj/exception.h"
#include "shoal/rpc/client.h"
#include "shoal/rpc/server.h"

namespace {

class GreeterServer final : public Greeter::Server {
 public:
  kj::Promise<void> greet(GreetContext context) override {
    context.getResults().setGreeting(kj::str("Hello, ", context.getParams().getName(), "!"));
    return kj::READY_NOW;
  }
};

void Serve(const char* address) {
  shoal::RpcServer server(kj::heap<GreeterServer>(), address);
  kj::NEVER_DONE.wait(server.getWaitScope());
}

std::string Greet(const std::string& address) {
  shoal::RpcClient client(address.c_str());
  auto request = client.getMain<Greeter>().greetRequest();
  request.setName("consumer");
  return request.send().wait(client.getWaitScope()).getGreeting().cStr();
}

// Greets through a server in another process, which is gone when this returns.
int GreetAcrossProcesses() {
  const std::string address = "shm:greeter-" + std::to_string(std::random_device()());
  const pid_t server = fork();
  if (server == 0) {
    execl("/proc/self/exe", "greeter", address.c_str(), nullptr);
    _exit(1);
  }
  if (server < 0) {
    std::cerr << "greeter: fork() failed\n";
    return 1;
  }
  std::string greeting;
  try {
    greeting = Greet(address);
  } catch (const kj::Exception& exception) {
    greeting = exception.getDescription().cStr();
  }
  kill(server, SIGTERM);
  waitpid(server, nullptr, 0);
  if (greeting != "Hello, consumer!") {
    std::cerr << "greeter: the answer over " << address << " is wrong: " << greeting << "\n";
    return 1;
  }
  std::cout << greeting << "\n";
  return 0;
}

}  // namespace

int main(int argc, char* argv[]) {
  if (argc == 1) {
    return GreetAcrossProcesses();
  }
  Serve(argv[1]);
}
