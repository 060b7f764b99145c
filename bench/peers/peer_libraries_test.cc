// Each library answers, where it is installed.
#include "shoal/bench/peers/peer_libraries.h"

#include <cstring>
#include <iostream>

#include "gtest/gtest.h"
#include "shoal/bench/peers/peer_workloads.h"
#include "shoal/bench/server_process.h"
#include "shoal/bench/word_sum.h"

namespace shoal {
namespace {

constexpr char kFlag[] = "--serve_peer=";

TEST(PeerLibraries, AnswerWithTheSumOfWhatTheyWereSent) {
  for (const PeerLibrary& library : PeerLibraries()) {
    SCOPED_TRACE(library.name);
    const std::string address = UnusedAddress("shm").substr(strlen("shm:"));
    auto process = ServerProcess::Start(library.name + ":" + address, "serve_peer");
    ASSERT_TRUE(process.ok()) << process.status();
    auto client = library.connect(address);
    ASSERT_TRUE(client.ok()) << client.status();
    for (const uint64_t bytes : {uint64_t{64}, uint64_t{1} << 16, kMaxPeerBytes}) {
      const auto sum = (*client)->Ask(/*sequence=*/7, bytes);
      ASSERT_TRUE(sum.ok()) << sum.status();
      EXPECT_EQ(*sum, FilledSum(7, bytes));
    }
    EXPECT_TRUE((*process)->Stop().ok());
    library.clean_up(address);
  }
}

TEST(PeerLibraries, AnswerOneClientAfterTheOther) {
  for (const PeerLibrary& library : PeerLibraries()) {
    SCOPED_TRACE(library.name);
    const std::string address = UnusedAddress("shm").substr(strlen("shm:"));
    auto process = ServerProcess::Start(library.name + ":" + address, "serve_peer");
    ASSERT_TRUE(process.ok()) << process.status();
    for (int i = 0; i < 2; ++i) {
      auto client = library.connect(address);
      ASSERT_TRUE(client.ok()) << client.status();
      EXPECT_EQ((*client)->Ask(3, 64).value(), FilledSum(3, 64));
    }
    library.clean_up(address);
  }
}

}  // namespace
}  // namespace shoal

int main(int argc, char** argv) {
  if (argc == 2 && strncmp(argv[1], shoal::kFlag, strlen(shoal::kFlag)) == 0) {
    const absl::Status served = shoal::ServePeer(argv[1] + strlen(shoal::kFlag));
    std::cerr << served << "\n";
    return 1;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
