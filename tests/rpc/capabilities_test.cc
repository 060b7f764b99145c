// Capabilities go both ways, know their owners, and are released.

#include "shoal/tests/rpc/service_test.h"

namespace shoal {
namespace {

class Capabilities : public ServiceTest {
 protected:
  // An object of the client: own->services says whether it lives.
  test::Service::Client OwnService() { return ServiceServer::Make(own); }

  void Keep(test::Service::Client target) {
    auto request = service.keepRequest();
    request.setTarget(target);
    request.send().wait(wait_scope());
  }

  uint64_t CallKept(uint64_t value) {
    auto request = service.callKeptRequest();
    request.setValue(value);
    return request.send().wait(wait_scope()).getValue();
  }

  test::Service::Client MakeChild() {
    return service.makeChildRequest().send().wait(wait_scope()).getChild();
  }

  bool IsServersOwn(test::Service::Client candidate) {
    auto request = service.isOwnRequest();
    request.setService(candidate);
    return request.send().wait(wait_scope()).getOwn();
  }

  bool IsClientsOwn(test::Service::Client candidate) {
    return own->own.getLocalServer(candidate).wait(wait_scope()) != nullptr;
  }

  const std::shared_ptr<ServiceState> own = std::make_shared<ServiceState>();
};

TEST_P(Capabilities, OfTheServerAreCalledByTheClient) { EXPECT_EQ(Echo(MakeChild(), 1), 1); }

TEST_P(Capabilities, OfTheClientAreCalledByTheServerAlsoAfterTheCallThatBroughtThem) {
  Keep(OwnService());
  EXPECT_EQ(CallKept(2), 2);
  EXPECT_EQ(CallKept(3), 3);
}

TEST_P(Capabilities, OfTheServerDieWhenTheClientDropsTheLastReference) {
  {
    auto child = MakeChild();
    auto second_reference = child;
    { auto dropped = kj::mv(child); }
    EXPECT_EQ(Echo(second_reference, 4), 4);
    EXPECT_EQ(Census().getChildren(), 1);
  }
  EXPECT_TRUE(Eventually([&] { return Census().getChildren() == 0; }));
}

TEST_P(Capabilities, OfTheClientDieWhenTheServerDropsTheLastReference) {
  Keep(OwnService());
  EXPECT_EQ(CallKept(5), 5);
  EXPECT_EQ(own->services, 1);
  service.forgetRequest().send().wait(wait_scope());
  EXPECT_TRUE(Eventually([&] { return own->services == 0; }));
}

TEST_P(Capabilities, OfTheClientDieWhenACallThatBroughtThemIsOver) {
  auto request = service.giveBackRequest();
  request.setRecorder(kj::heap<RecorderServer>());
  request.send().wait(wait_scope());
  auto fail = service.callFailRequest();
  fail.setTarget(OwnService());
  EXPECT_EQ(own->services, 1);
  FailureOfCall(fail.send());
  EXPECT_TRUE(Eventually([&] { return own->services == 0; }));
}

TEST_P(Capabilities, ManyOfTheServerAreAllReleased) {
  {
    std::vector<test::Service::Client> children;
    for (uint64_t i = 0; i < 500; ++i) {
      children.push_back(MakeChild());
    }
    EXPECT_EQ(Census().getChildren(), 500);
  }
  EXPECT_TRUE(Eventually([&] { return Census().getChildren() == 0; }));
}

TEST_P(Capabilities, OfTheServerAreReleasedWhenTheirClientLeaves) {
  {
    auto leaving = Connect();
    auto child = leaving->getMain<test::Service>().makeChildRequest().send().wait(wait_scope());
    EXPECT_EQ(Census().getChildren(), 1);
  }
  EXPECT_TRUE(Eventually([&] { return Census().getChildren() == 0; }));
}

TEST_P(Capabilities, OfTheClientAreReleasedWhenItsServerDies) {
  Keep(OwnService());
  EXPECT_EQ(own->services, 1);
  server.Kill();
  FailureOfCall(SendEcho(service, 6));
  EXPECT_EQ(own->services, 0);
}

TEST_P(Capabilities, ThatComeBackToTheServerAreItsOwnObjects) {
  EXPECT_TRUE(IsServersOwn(MakeChild()));
  EXPECT_TRUE(IsServersOwn(service));
  EXPECT_FALSE(IsServersOwn(OwnService()));
}

TEST_P(Capabilities, ThatComeBackToTheServerBeforeItHasReturnedThemAreItsOwnObjects) {
  EXPECT_TRUE(IsServersOwn(service.makeChildRequest().send().getChild()));
}

TEST_P(Capabilities, ThatComeBackToTheClientAreItsOwnObjects) {
  Keep(OwnService());
  auto returned = service.getKeptRequest().send().wait(wait_scope()).getTarget();
  EXPECT_TRUE(IsClientsOwn(returned));
  Keep(MakeChild());
  EXPECT_FALSE(IsClientsOwn(service.getKeptRequest().send().wait(wait_scope()).getTarget()));
}

TEST_P(Capabilities, ThatComeBackToTheClientAreCalledWithoutTheServer) {
  Keep(OwnService());
  auto returned = service.getKeptRequest().send().wait(wait_scope()).getTarget();
  server.Kill();
  EXPECT_EQ(Echo(returned, 7), 7);
}

TEST_P(Capabilities, OfOneClientAreCalledByAnother) {
  Keep(OwnService());
  auto other = Connect();
  auto borrowed = other->getMain<test::Service>().getKeptRequest().send().getTarget();
  EXPECT_EQ(Echo(borrowed, 8), 8);
}

SHOAL_INSTANTIATE_RPC(Capabilities);

}  // namespace
}  // namespace shoal
