#include "shoal/rpc/accepted.h"

#include "gtest/gtest.h"
#include "kj/async-io.h"

namespace shoal {
namespace {

TcpConnection connection() {
  return {kj::str("127.0.0.1:4711"), kj::str("127.0.0.1:80")};
}

class AcceptedConnectionsTest: public testing::Test {
protected:
  AcceptedConnectionsTest() = default;
  ~AcceptedConnectionsTest() noexcept override {}

  bool confirms(kj::StringPtr claim) { return accepted.confirm(claim).wait(io.waitScope); }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  AcceptedConnections accepted{io.provider->getTimer()};
};

TEST_F(AcceptedConnectionsTest, ConfirmsOneThatIsThere) {
  auto entry = accepted.add(connection());
  EXPECT_TRUE(confirms(connection().getClaim()));
}

TEST_F(AcceptedConnectionsTest, ConfirmsOneThatIsAcceptedInAMoment) {
  auto confirming = accepted.confirm(connection().getClaim());
  EXPECT_FALSE(confirming.poll(io.waitScope));
  auto entry = accepted.add(connection());
  EXPECT_TRUE(confirming.wait(io.waitScope));
}

TEST_F(AcceptedConnectionsTest, ConfirmsNoneThatNeverCame) {
  auto entry = accepted.add(connection());
  EXPECT_FALSE(confirms("127.0.0.1:4712 to 127.0.0.1:80"));
  EXPECT_FALSE(confirms("127.0.0.1:4711 to 127.0.0.1:81"));
  EXPECT_FALSE(confirms("nonsense"));
}

TEST_F(AcceptedConnectionsTest, ConfirmsNoneThatIsGone) {
  accepted.add(connection());
  EXPECT_FALSE(confirms(connection().getClaim()));
}

}  // namespace
}  // namespace shoal
