// The other side of a channel: channel_process ADDRESS COMMAND
//
// Prints "listening", takes one client, except for serve, and then
//   echo      sends each message back, until the client ends the channel
//   serve     the same for one client after the other
//   publish   publishes 100 messages, prints "published", and waits to be killed
//   hold      holds every message that comes, and prints "held" after each
//   return    receives one message, and returns from main()
//   end       the same, and calls End() before
//   _exit     the same, past all destructors

#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shoal/transport/channel.h"
#include "shoal/transport/test_data.capnp.h"

namespace shoal {
namespace {

int Echo(Channel& channel) {
  while (true) {
    auto in = channel.Receive();
    if (!in.ok()) {
      return channel.ended_by_peer() ? 0 : 1;
    }
    OutgoingMessage out = channel.Claim();
    out.builder().setRoot(in->Root<test::Blob>());
    if (!channel.Publish(std::move(out)).ok()) {
      return 1;
    }
  }
}

int Serve(Listener& listener) {
  while (true) {
    auto channel = listener.Accept();
    if (!channel.ok()) {
      std::cerr << channel.status() << "\n";
      return 1;
    }
    Echo(**channel);
  }
}

int Publish(Channel& channel) {
  for (uint64_t i = 0; i < 100; ++i) {
    OutgoingMessage out = channel.Claim();
    auto blob = out.InitRoot<test::Blob>();
    blob.setNumber(i);
    blob.initData(i * 1000);
    if (!channel.Publish(std::move(out)).ok()) {
      return 1;
    }
  }
  std::cout << "published" << std::endl;
  pause();
  return 1;
}

int Hold(Channel& channel) {
  std::vector<IncomingMessage> held;
  while (true) {
    auto in = channel.Receive();
    if (!in.ok()) {
      return 0;
    }
    held.push_back(*std::move(in));
    std::cout << "held" << std::endl;
  }
}

int Leave(Channel& channel, const std::string& how) {
  if (!channel.Receive().ok()) {
    return 1;
  }
  if (how == "_exit") {
    _exit(0);
  }
  if (how == "end") {
    channel.End();
  }
  return 0;
}

int Run(const std::string& address, const std::string& command) {
  auto listener = Listen(address);
  if (!listener.ok()) {
    std::cerr << listener.status() << "\n";
    return 1;
  }
  std::cout << "listening" << std::endl;
  if (command == "serve") {
    return Serve(**listener);
  }
  auto channel = (*listener)->Accept();
  if (!channel.ok()) {
    std::cerr << channel.status() << "\n";
    return 1;
  }
  return command == "echo"      ? Echo(**channel)
         : command == "hold"    ? Hold(**channel)
         : command == "publish" ? Publish(**channel)
                                : Leave(**channel, command);
}

}  // namespace
}  // namespace shoal

int main(int, char** argv) { return shoal::Run(argv[1], argv[2]); }
