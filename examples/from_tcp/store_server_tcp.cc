// Serves a Store: store_server ADDRESS

#include <iostream>
#include <map>
#include <string>

#include "capnp/ez-rpc.h"
#include "kj/debug.h"
#include "store.capnp.h"

class StoreServer final : public Store::Server, private kj::TaskSet::ErrorHandler {
 public:
  StoreServer() : telling_(*this) {}

 protected:
  kj::Promise<void> set(SetContext context) override {
    auto params = context.getParams();
    const std::string key = params.getKey().cStr();
    values_[key] = params.getValue().cStr();
    auto [watcher, end] = watchers_.equal_range(key);
    for (; watcher != end; ++watcher) {
      auto request = watcher->second.changedRequest();
      request.setValue(params.getValue());
      telling_.add(request.send().ignoreResult());
    }
    return kj::READY_NOW;
  }

  kj::Promise<void> get(GetContext context) override {
    const auto key = context.getParams().getKey();
    const auto found = values_.find(key.cStr());
    KJ_REQUIRE(found != values_.end(), "there is no such key", key);
    context.getResults().setValue(found->second.c_str());
    return kj::READY_NOW;
  }

  kj::Promise<void> watch(WatchContext context) override {
    auto params = context.getParams();
    watchers_.emplace(params.getKey().cStr(), params.getWatcher());
    return kj::READY_NOW;
  }

 private:
  void taskFailed(kj::Exception&& exception) override {
    KJ_LOG(INFO, "a watcher is gone", exception);
  }

  std::map<std::string, std::string> values_;
  std::multimap<std::string, Store::Watcher::Client> watchers_;
  kj::TaskSet telling_;
};

int main(int, char** argv) {
  capnp::EzRpcServer server(kj::heap<StoreServer>(), argv[1]);
  std::cout << server.getPort().wait(server.getWaitScope()) << std::endl;
  kj::NEVER_DONE.wait(server.getWaitScope());
}
