#include "shoal/rpc/network.h"

#include <unistd.h>

#include <string>

#include "capnp/rpc-twoparty.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kj/compat/http.h"
#include "kj/debug.h"
#include "shoal/rpc/channel_ends.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/echo_server.h"

namespace shoal {
namespace {

using testing::HasSubstr;

class NetworkTest: public testing::TestWithParam<std::string> {
  // Over each kind of address, that of shared memory being one.

protected:
  NetworkTest() = default;
  ~NetworkTest() noexcept override {}  // KJ's destructors may throw, GoogleTest's must not

  kj::Own<kj::NetworkAddress> parse(kj::Network& from) {
    return from.parseAddress(name.text().c_str()).wait(io.waitScope);
  }

  kj::Own<kj::ConnectionReceiver> listen() {
    auto receiver = parse(*network)->listen();
    if (receiver->getPort() != 0) {
      connectTo = kj::str("127.0.0.1:", receiver->getPort());
    }
    return receiver;
  }

  kj::Own<kj::NetworkAddress> server() {
    return network->parseAddress(connectTo).wait(io.waitScope);
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  kj::Own<kj::Network> network = newNetwork(io);
  const UniqueAddress name{GetParam()};
  kj::String connectTo = kj::heapString(name.text().c_str());
};

INSTANTIATE_TEST_SUITE_P(Over, NetworkTest, testing::Values("shm", "unix", "tcp"),
                         [](auto& info) { return info.param; });

TEST_P(NetworkTest, ConnectsTwoEnds) {
  auto receiver = listen();
  auto accepting = receiver->accept();
  auto client = server()->connect().wait(io.waitScope);
  auto accepted = accepting.wait(io.waitScope);
  client->write("question", 8).wait(io.waitScope);
  char text[8];
  accepted->read(text, 8).wait(io.waitScope);
  EXPECT_EQ(std::string(text, 8), "question");
  accepted = nullptr;
  EXPECT_EQ(client->tryRead(text, 1, 8).wait(io.waitScope), 0);
}

TEST_P(NetworkTest, SaysWhoThePeerIs) {
  auto receiver = listen();
  auto accepting = receiver->acceptAuthenticated();
  auto client = server()->connectAuthenticated().wait(io.waitScope);
  auto accepted = accepting.wait(io.waitScope);
  for (kj::PeerIdentity* identity: {client.peerIdentity.get(), accepted.peerIdentity.get()}) {
    KJ_IF_MAYBE (local, kj::dynamicDowncastIfAvailable<kj::LocalPeerIdentity>(*identity)) {
      EXPECT_EQ(KJ_ASSERT_NONNULL(local->getCredentials().pid), getpid());
      EXPECT_EQ(KJ_ASSERT_NONNULL(local->getCredentials().uid), getuid());
    } else {
      EXPECT_EQ(GetParam(), "tcp");
    }
  }
}

TEST_P(NetworkTest, ServesTheStockTwoPartyClient) {
  auto receiver = listen();
  capnp::TwoPartyServer rpcServer(kj::heap<EchoServer>());
  auto listening = rpcServer.listen(*receiver).eagerlyEvaluate(nullptr);
  for (int i = 0; i < 3; ++i) {
    auto stream = server()->connect().wait(io.waitScope);
    capnp::TwoPartyClient client(*stream);
    auto request = client.bootstrap().castAs<test::Echo>().pingRequest();
    request.setValue(i);
    EXPECT_EQ(request.send().wait(io.waitScope).getValue(), i);
  }
}

class HttpEcho final: public kj::HttpService {
  // Answers with what it was sent; over a WebSocket as well.

public:
  explicit HttpEcho(const kj::HttpHeaderTable& table): table(table) {}

  kj::Promise<void> request(kj::HttpMethod, kj::StringPtr, const kj::HttpHeaders& headers,
                            kj::AsyncInputStream& body, Response& response) override {
    kj::HttpHeaders answer(table);
    if (headers.isWebSocket()) {
      auto socket = response.acceptWebSocket(answer);
      auto& ends = *socket;
      return ends.pumpTo(ends).attach(kj::mv(socket));
    }
    auto out = response.send(200, "OK", answer);
    auto& to = *out;
    return body.pumpTo(to).ignoreResult().attach(kj::mv(out));
  }

private:
  const kj::HttpHeaderTable& table;
};

struct Web {
  // An HTTP server at `receiver`, and a client of it.

  Web(kj::AsyncIoContext& io, kj::Own<kj::ConnectionReceiver> receiverParam,
      kj::Own<kj::NetworkAddress> addressParam)
      : receiver(kj::mv(receiverParam)),
        service(table),
        server(io.provider->getTimer(), table, service),
        listening(server.listenHttp(*receiver).eagerlyEvaluate(nullptr)),
        address(kj::mv(addressParam)),
        client(kj::newHttpClient(io.provider->getTimer(), table, *address, settings)) {}

  static kj::HttpClientSettings withEntropy(kj::EntropySource& source) {
    kj::HttpClientSettings settings;
    settings.entropySource = source;
    return settings;
  }

  struct Entropy final: public kj::EntropySource {
    void generate(kj::ArrayPtr<kj::byte> buffer) override {
      for (kj::byte& byte: buffer) {
        byte = ++next;
      }
    }
    kj::byte next = 0;
  };

  kj::HttpHeaderTable table;
  Entropy entropy;
  kj::HttpClientSettings settings = withEntropy(entropy);
  kj::Own<kj::ConnectionReceiver> receiver;
  HttpEcho service;
  kj::HttpServer server;
  kj::Promise<void> listening;
  kj::Own<kj::NetworkAddress> address;
  kj::Own<kj::HttpClient> client;
};

TEST_P(NetworkTest, CarriesHttp) {
  auto receiver = listen();
  Web web(io, kj::mv(receiver), server());
  for (const size_t size: {1, 1000, 5'000'000}) {
    const std::string sent(size, 'x');
    auto request = web.client->request(kj::HttpMethod::POST, "/", kj::HttpHeaders(web.table), size);
    auto writing = request.body->write(sent.data(), sent.size());
    writing = writing.attach(kj::mv(request.body));
    auto response = request.response.wait(io.waitScope);
    EXPECT_EQ(response.statusCode, 200);
    auto answer = response.body->readAllText();
    EXPECT_EQ(answer.wait(io.waitScope).size(), size);
    writing.wait(io.waitScope);
  }
}

TEST_P(NetworkTest, CarriesAWebSocket) {
  auto receiver = listen();
  Web web(io, kj::mv(receiver), server());
  auto response = web.client->openWebSocket("/", kj::HttpHeaders(web.table)).wait(io.waitScope);
  ASSERT_EQ(response.statusCode, 101);
  auto& socket = response.webSocketOrBody.get<kj::Own<kj::WebSocket>>();
  for (const size_t size: {1, 200, 100'000}) {
    const std::string sent(size, 'w');
    auto sending = socket->send(kj::arrayPtr(sent.data(), sent.size()));
    auto received = socket->receive().wait(io.waitScope);
    EXPECT_EQ(received.get<kj::String>().size(), size);
    sending.wait(io.waitScope);
  }
  socket->close(1000, "done").wait(io.waitScope);
  EXPECT_EQ(socket->receive().wait(io.waitScope).get<kj::WebSocket::Close>().code, 1000);
}

class ShmNetworkTest: public NetworkTest {
protected:
  bool connects(kj::ArrayPtr<const kj::StringPtr> allow, kj::ArrayPtr<const kj::StringPtr> deny) {
    auto receiver = listen();
    auto restricted = network->restrictPeers(allow, deny);
    auto connected =
        parse(*restricted)->connect().then([](auto) { return true; }, [](auto&&) { return false; });
    return connected.wait(io.waitScope);
  }
};

INSTANTIATE_TEST_SUITE_P(Over, ShmNetworkTest, testing::Values("shm"));

TEST_P(ShmNetworkTest, KeepsToWhatPeersAreAllowed) {
  for (const kj::StringPtr pattern: {"shm", "unix", "unix-abstract", "local", "private"}) {
    EXPECT_TRUE(connects(kj::arrayPtr(&pattern, 1), nullptr)) << pattern.cStr();
  }
  for (const kj::StringPtr pattern: {"public", "network", "10.0.0.0/8"}) {
    EXPECT_FALSE(connects(kj::arrayPtr(&pattern, 1), nullptr)) << pattern.cStr();
  }
}

TEST_P(ShmNetworkTest, DeniesWhatNoMoreSpecificPatternAllows) {
  EXPECT_FALSE(connects({"local"}, {"shm"}));
  EXPECT_FALSE(connects({"shm"}, {"shm"}));
  EXPECT_TRUE(connects({"shm"}, {"local"}));
  EXPECT_TRUE(connects({"local"}, {"private"}));
}

TEST_P(ShmNetworkTest, KeepsEachRestrictionOfARestrictedNetwork) {
  auto receiver = listen();
  auto restricted = network->restrictPeers({"public"})->restrictPeers({"shm"});
  EXPECT_THAT(textOf(failureOf([&]() { parse(*restricted)->connect().wait(io.waitScope); })),
              HasSubstr("restrictPeers()"));
  EXPECT_THAT(textOf(failureOf([&]() { parse(*restricted)->listen(); })),
              HasSubstr("restrictPeers()"));
}

TEST_P(ShmNetworkTest, RefusesAnAddressThatIsNone) {
  EXPECT_THAT(textOf(failureOf([&]() { network->parseAddress("shm:").wait(io.waitScope); })),
              HasSubstr("an address is one of"));
}

TEST_P(ShmNetworkTest, TellsAPeerThatSpeaksMessagesFromOneThatSpeaksBytes) {
  auto receiver = listen();
  ChannelOptions rpc;
  rpc.protocol = "capnp-rpc";
  EXPECT_THAT(textOf(failureOf(
                  [&]() { connectChannel(io.unixEventPort, connectTo, rpc).wait(io.waitScope); })),
              HasSubstr("speaks \"capnp-rpc\", the server \"bytes\""));
}

TEST_P(ShmNetworkTest, AddressesAndStreamsOutliveTheNetwork) {
  auto receiver = listen();
  auto address = server();
  network = nullptr;
  auto accepting = receiver->accept();
  auto client = address->clone()->connect().wait(io.waitScope);
  EXPECT_EQ(address->toString(), connectTo);
  address = nullptr;
  auto accepted = accepting.wait(io.waitScope);
  receiver = nullptr;
  client->write("x", 1).wait(io.waitScope);
  char byte;
  accepted->read(&byte, 1).wait(io.waitScope);
  EXPECT_EQ(byte, 'x');
}

}  // namespace
}  // namespace shoal
