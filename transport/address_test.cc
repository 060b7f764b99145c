#include "shoal/transport/address.h"

#include <pwd.h>
#include <unistd.h>

#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace shoal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Address Parsed(std::string_view text) {
  absl::StatusOr<Address> address = Address::Parse(text);
  EXPECT_TRUE(address.ok()) << address.status();
  return *std::move(address);
}

std::string OwnName(const std::string& name) {
  return "shoal/" + std::to_string(geteuid()) + "/" + name;
}

void ExpectRefused(std::string_view text, const std::string& reason) {
  const absl::Status status = Address::Parse(text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(reason),
                    HasSubstr("an address is one of shm:NAME, shm:NAME@USER, shm:/PATH, unix:PATH, "
                              "HOST:PORT, *:PORT, [IPV6]:PORT")));
}

TEST(Address, OfANameIsAnAbstractSocketOfThisUser) {
  const Address address = Parsed("shm:calculator");
  EXPECT_EQ(address.kind(), Address::Kind::kShmName);
  EXPECT_EQ(address.socket_name().kind, SocketName::Kind::kAbstract);
  EXPECT_EQ(address.socket_name().name, OwnName("calculator"));
  EXPECT_EQ(address.user(), geteuid());
}

TEST(Address, KeepsWhatItsUserWrote) {
  EXPECT_EQ(Parsed("shm:calculator@7").text(), "shm:calculator@7");
  EXPECT_EQ(Parsed("shm:calculator@7").socket_name().text, "shm:calculator@7");
  EXPECT_EQ(Parsed("shm:" + std::string(200, 'n')).text(), "shm:" + std::string(200, 'n'));
  EXPECT_EQ(Parsed("[::1]:80").text(), "[::1]:80");
}

TEST(Address, TakesAnyTextAsAName) {
  EXPECT_EQ(Parsed("shm:daq/crate 3/märz: µs").socket_name().name, OwnName("daq/crate 3/märz: µs"));
  EXPECT_EQ(Parsed("shm:4000").socket_name().name, OwnName("4000"));
}

TEST(Address, TakesAnotherUserByNumber) {
  const Address address = Parsed("shm:ticks@4294967294");
  EXPECT_EQ(address.socket_name().name, "shoal/4294967294/ticks");
  EXPECT_EQ(address.user(), 4294967294u);
}

TEST(Address, TakesAnotherUserByName) {
  const Address address = Parsed("shm:ticks@root");
  EXPECT_EQ(address.socket_name().name, "shoal/0/ticks");
  EXPECT_EQ(address.user(), 0u);
}

TEST(Address, SplitsANameAtTheLastAt) {
  EXPECT_EQ(Parsed("shm:ticks@home@7").socket_name().name, "shoal/7/ticks@home");
}

TEST(Address, RefusesAUserThatDoesNotExist) {
  ExpectRefused("shm:ticks@no such user", "USER");
  ExpectRefused("shm:ticks@", "USER");
  ExpectRefused("shm:ticks@4294967295", "USER");
  ExpectRefused("shm:ticks@99999999999", "USER");
  ExpectRefused("shm:ticks@-1", "USER");
}

TEST(Address, RefusesAnEmptyName) {
  ExpectRefused("shm:", "empty NAME");
  ExpectRefused("shm:@7", "empty NAME");
}

TEST(Address, RefusesANulByte) {
  ExpectRefused(std::string_view("shm:a\0b", 7), "NUL");
  ExpectRefused(std::string_view("shm:/a\0b", 8), "NUL");
  ExpectRefused(std::string_view("host\0:1", 7), "NUL");
}

TEST(Address, KeepsANameAsLongAsASocketTakes) {
  const std::string longest(107 - OwnName("").size(), 'n');
  EXPECT_EQ(Parsed("shm:" + longest).socket_name().name, OwnName(longest));
  EXPECT_NE(Parsed("shm:" + longest + "n").socket_name().name, OwnName(longest + "n"));
}

// The expected digits are from another implementation of FNV-1a: every build must find the same
// socket.
TEST(Address, HashesANameThatIsTooLongForASocket) {
  EXPECT_EQ(Parsed("shm:" + std::string(200, 'n') + "@7").socket_name().name,
            "shoal/7#090f9207755d085092f76b960b92eced");
  EXPECT_NE(Parsed("shm:" + std::string(201, 'n')).socket_name().name,
            Parsed("shm:" + std::string(200, 'n')).socket_name().name);
}

TEST(Address, OfAPathIsASocketFile) {
  const Address address = Parsed("shm:/run/daq/a@b c.sock");
  EXPECT_EQ(address.kind(), Address::Kind::kShmPath);
  EXPECT_EQ(address.socket_name().kind, SocketName::Kind::kPath);
  EXPECT_EQ(address.socket_name().name, "/run/daq/a@b c.sock");
  EXPECT_EQ(address.user(), std::nullopt);
}

TEST(Address, OfAUnixStreamIsASocketFile) {
  const Address address = Parsed("unix:/run/daq.sock");
  EXPECT_EQ(address.kind(), Address::Kind::kUnix);
  EXPECT_EQ(address.socket_name().kind, SocketName::Kind::kPath);
  EXPECT_EQ(address.socket_name().name, "/run/daq.sock");
  EXPECT_EQ(Parsed("unix:daq.sock").socket_name().name, "daq.sock");
}

TEST(Address, RefusesAnEmptyPath) { ExpectRefused("unix:", "empty PATH"); }

TEST(Address, RefusesAPathThatIsTooLongForASocket) {
  const std::string longest = "/" + std::string(106, 'p');
  EXPECT_EQ(Parsed("shm:" + longest).socket_name().name, longest);
  EXPECT_EQ(Parsed("unix:" + longest).socket_name().name, longest);
  ExpectRefused("shm:" + longest + "p", "PATH of 108 bytes, and a socket's path can have 107");
  ExpectRefused("unix:" + longest + "p", "PATH of 108 bytes, and a socket's path can have 107");
}

TEST(Address, OfAHostAndPortIsTcp) {
  const Address address = Parsed("daq-3.example.org:4000");
  EXPECT_EQ(address.kind(), Address::Kind::kTcp);
  EXPECT_EQ(address.host(), "daq-3.example.org");
  EXPECT_EQ(address.port(), 4000);
  EXPECT_EQ(address.socket_name().name, "");
}

TEST(Address, TakesAHostWithoutAPort) {
  EXPECT_EQ(Parsed("localhost").host(), "localhost");
  EXPECT_EQ(Parsed("localhost").port(), std::nullopt);
  EXPECT_EQ(Parsed("*").host(), "*");
}

TEST(Address, TakesEveryHost) {
  EXPECT_EQ(Parsed("*:65535").host(), "*");
  EXPECT_EQ(Parsed("*:65535").port(), 65535);
  EXPECT_EQ(Parsed("*:0").port(), 0);
}

TEST(Address, TakesIpv6) {
  EXPECT_EQ(Parsed("[::1]:80").host(), "::1");
  EXPECT_EQ(Parsed("[::1]:80").port(), 80);
  EXPECT_EQ(Parsed("[fe80::1]").host(), "fe80::1");
  EXPECT_EQ(Parsed("[fe80::1]").port(), std::nullopt);
  EXPECT_EQ(Parsed("fe80::1").host(), "fe80::1");
}

TEST(Address, RefusesAWrongPort) {
  ExpectRefused("localhost:", "PORT");
  ExpectRefused("localhost:65536", "PORT");
  ExpectRefused("localhost:-1", "PORT");
  ExpectRefused("localhost: 1", "PORT");
  ExpectRefused("localhost:http", "PORT");
  ExpectRefused("unix-abstract:ticks", "PORT");
  ExpectRefused("[::1]:x", "PORT");
  ExpectRefused("[::1]80", "after its ']'");
}

TEST(Address, RefusesAWrongHost) {
  ExpectRefused("", "empty HOST");
  ExpectRefused(":80", "empty HOST");
  ExpectRefused("/run/daq.sock", "HOST");
  ExpectRefused("two words:80", "HOST");
  ExpectRefused("**:80", "HOST");
  ExpectRefused("[::1", "without a ']'");
  ExpectRefused("[localhost]:80", "no IPv6 address");
  ExpectRefused("a:b:c", "no IPv6 address");
}

TEST(Address, IsPrintableInItsErrors) { ExpectRefused("a\nb:80", "address \"a\\nb:80\""); }

}  // namespace
}  // namespace shoal
