// Uses the Store at ADDRESS: store_client ADDRESS set KEY VALUE | get KEY | watch KEY

#include <iostream>
#include <string>

#include "shoal/rpc/client.h"
#include "store.capnp.h"

class PrintingWatcher final : public Store::Watcher::Server {
 protected:
  kj::Promise<void> changed(ChangedContext context) override {
    std::cout << context.getParams().getValue().cStr() << std::endl;
    return kj::READY_NOW;
  }
};

int main(int, char** argv) {
  shoal::RpcClient client(argv[1]);
  auto store = client.getMain<Store>();
  const std::string what = argv[2];
  if (what == "set") {
    auto request = store.setRequest();
    request.setKey(argv[3]);
    request.setValue(argv[4]);
    request.send().wait(client.getWaitScope());
  } else if (what == "get") {
    auto request = store.getRequest();
    request.setKey(argv[3]);
    std::cout << request.send().wait(client.getWaitScope()).getValue().cStr() << std::endl;
  } else {
    auto request = store.watchRequest();
    request.setKey(argv[3]);
    request.setWatcher(kj::heap<PrintingWatcher>());
    request.send().wait(client.getWaitScope());
    std::cout << "watching" << std::endl;
    kj::NEVER_DONE.wait(client.getWaitScope());
  }
}
