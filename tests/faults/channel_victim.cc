#include "shoal/tests/faults/channel_victim.h"

#include <unistd.h>

#include <iostream>
#include <memory>
#include <thread>
#include <utility>

#include "shoal/tests/faults/channel_load.h"
#include "shoal/transport/channel.h"

namespace shoal::faults {
namespace {

void Say(const char* line) { std::cout << line << std::endl; }

int Fail(const absl::Status& status) {
  std::cerr << "victim: " << status << "\n";
  return 1;
}

// One connection after the other.
int ComeAndGo(Listener* listener, const std::string& address, const ChannelOptions& options) {
  Say("connecting");
  while (true) {
    auto channel = listener != nullptr ? listener->Accept() : Connect(address, options);
    if (channel.ok() && listener != nullptr) {
      (void)(*channel)->Receive();
    }
  }
}

int HaveTraffic(std::unique_ptr<Channel> channel, const Shape& shape, uint64_t seed, Tally& tally) {
  Publishing publishing(*channel, shape, VictimSeed(seed), tally);
  Receiving receiving(*channel, shape, seed, tally, [] { return false; });
  absl::Status received;
  std::thread receiver([&] { received = receiving.RunAndCount(tally); });
  const absl::Status sent = publishing.RunAndCount(tally);
  if (shape.moment == Moment::kClosing) {
    Say("closing");
    channel->End();
  }
  receiver.join();
  receiving.DropHeld();
  channel.reset();
  if (shape.moment == Moment::kClosing) {
    return 0;
  }
  return Fail(sent.ok() ? received : sent);
}

}  // namespace

int RunChannelVictim(const std::string& address, const Shape& shape, Role survivor, uint64_t seed,
                     Tally& tally) {
  std::unique_ptr<Listener> listener;
  if (survivor == Role::kClient) {
    auto listening = Listen(address, shape.options);
    if (!listening.ok()) {
      return Fail(listening.status());
    }
    listener = *std::move(listening);
    Say("listening");
  }
  if (shape.moment == Moment::kConnecting) {
    return ComeAndGo(listener.get(), address, shape.options);
  }
  auto channel = listener ? listener->Accept() : Connect(address, shape.options);
  return channel.ok() ? HaveTraffic(*std::move(channel), shape, seed, tally)
                      : Fail(channel.status());
}

}  // namespace shoal::faults
