// The programs of docs/from_tcp.md, before and after, with each other.

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "shoal/tests/child_process.h"

namespace shoal {
namespace {

const std::string kFolder = "examples/from_tcp/";

struct Server {
  Server(const std::string& program, const std::string& address)
      : process({kFolder + program, address}) {
    const std::string port = process.ReadLine();
    reached = port == "0" ? address : "127.0.0.1:" + port;
  }

  ChildProcess process;
  std::string reached;
};

void ExpectServes(const std::string& client, const std::string& address) {
  const std::string program = kFolder + client;
  ChildProcess watch({program, address, "watch", "key"});
  ASSERT_EQ(watch.ReadLine(), "watching");
  ChildProcess set({program, address, "set", "key", "value"});
  EXPECT_EQ(set.Wait(), 0);
  EXPECT_EQ(watch.ReadLine(), "value");
  ChildProcess get({program, address, "get", "key"});
  EXPECT_EQ(get.ReadLine(), "value");
  EXPECT_EQ(get.Wait(), 0);
}

TEST(FromTcp, TheNewServerServesOldAndNewClientsAtItsPort) {
  Server server("store_server", "127.0.0.1:0");
  ExpectServes("store_client_tcp", server.reached);
  ExpectServes("store_client", server.reached);
}

TEST(FromTcp, TheNewClientFindsTheOldServer) {
  Server server("store_server_tcp", "127.0.0.1:0");
  ExpectServes("store_client", server.reached);
}

TEST(FromTcp, BothMeetInSharedMemory) {
  const UniqueAddress address("shm");
  Server server("store_server", address.text());
  ExpectServes("store_client", address.text());
}

// What `command` prints, an empty line in place of one with a blank.
std::string Output(const std::string& command) {
  std::string output;
  FILE* const pipe = popen(command.c_str(), "r");
  char buffer[1000];
  while (fgets(buffer, sizeof(buffer), pipe) != nullptr) {
    output += std::string(buffer) == " \n" ? "\n" : buffer;
  }
  pclose(pipe);
  return output;
}

TEST(FromTcp, ThePageShowsAllThatChanges) {
  std::ifstream file("docs/from_tcp.md");
  std::stringstream page;
  page << file.rdbuf();
  for (const std::string program : {"store_server", "store_client"}) {
    const std::string before = kFolder + program + "_tcp.cc";
    const std::string after = kFolder + program + ".cc";
    const std::string label = " --label " + program + ".cc";
    const std::string diff = Output("diff -U1" + label + label + " " + before + " " + after);
    ASSERT_FALSE(diff.empty());
    EXPECT_NE(page.str().find(diff), std::string::npos) << diff;
  }
}

}  // namespace
}  // namespace shoal
