// Messages to and from programs that are not Shoal's: the library's own streams, and the capnp
// tool.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "capnp/serialize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/tests/scratch_folder.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_socket.h"

extern char** environ;

namespace shoal {
namespace {

constexpr char kSchema[] = "transport/test_data.capnp";

// Runs the capnp tool with a socket as its standard input or output, and a file as the other one.
class CapnpTool {
 public:
  CapnpTool(const std::vector<std::string>& arguments, int in, int out) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    std::vector<std::string> command = {"capnp", "convert"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& argument : command) {
      argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    EXPECT_EQ(posix_spawnp(&pid_, "capnp", &files, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&files);
  }

  int Wait() {
    int status = -1;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    return status;
  }

 private:
  pid_t pid_ = -1;
};

void Build(capnp::MessageBuilder& message, uint64_t number, size_t bytes) {
  auto blob = message.initRoot<test::Blob>();
  blob.setNumber(number);
  auto data = blob.initData(static_cast<capnp::uint>(bytes));
  std::fill(data.begin(), data.end(), static_cast<uint8_t>(number));
}

TEST(SocketInterop, TheLibraryReadsWhatAChannelWrites) {
  ChannelAndSocket ends;
  const std::vector<size_t> sizes = {0, 1, 1000, 100000, 5 << 20};
  std::thread writer([&] {
    for (size_t i = 0; i < sizes.size(); ++i) {
      ASSERT_TRUE(Send(*ends.channel, i, sizes[i]).ok());
    }
  });
  for (size_t i = 0; i < sizes.size(); ++i) {
    capnp::StreamFdMessageReader message(ends.socket.get());
    const auto blob = message.getRoot<test::Blob>();
    EXPECT_EQ(blob.getNumber(), i);
    ASSERT_EQ(blob.getData().size(), sizes[i]);
    EXPECT_EQ(std::count(blob.getData().begin(), blob.getData().end(), i), sizes[i]);
  }
  writer.join();
}

TEST(SocketInterop, AChannelReadsWhatTheLibraryWrites) {
  ChannelAndSocket ends;
  const std::vector<size_t> sizes = {0, 1, 1000, 100000, 5 << 20};
  std::thread writer([&] {
    for (size_t i = 0; i < sizes.size(); ++i) {
      // Small first segments, so that there are many.
      capnp::MallocMessageBuilder message(4, capnp::AllocationStrategy::FIXED_SIZE);
      Build(message, i, sizes[i]);
      capnp::writeMessageToFd(ends.socket.get(), message);
    }
  });
  for (size_t i = 0; i < sizes.size(); ++i) {
    ExpectNext(*ends.channel, i, sizes[i]);
  }
  writer.join();
}

TEST(SocketInterop, TheCapnpToolReadsWhatAChannelWrites) {
  ChannelAndSocket ends;
  ScratchFolder folder;
  const std::string text = folder.path() + "/text";
  const UniqueFd out(open(text.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  CapnpTool tool({"binary:json", kSchema, "Blob"}, ends.socket.get(), out.get());
  ends.socket = UniqueFd();
  ASSERT_TRUE(Send(*ends.channel, 4711, 3).ok());
  ASSERT_TRUE(Send(*ends.channel, 4712).ok());
  ends.channel->End();
  EXPECT_EQ(tool.Wait(), 0);
  std::ifstream file(text);
  const std::string json((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(json, testing::HasSubstr("\"number\": \"4711\""));
  EXPECT_THAT(json, testing::HasSubstr("\"number\": \"4712\""));
}

TEST(SocketInterop, AChannelReadsWhatTheCapnpToolWrites) {
  ChannelAndSocket ends;
  ScratchFolder folder;
  const std::string text = folder.path() + "/text";
  std::ofstream(text) << R"({"number": "4711", "data": [1, 2, 3]} {"number": "4712"})";
  const UniqueFd in(open(text.c_str(), O_RDONLY | O_CLOEXEC));
  CapnpTool tool({"json:binary", kSchema, "Blob"}, in.get(), ends.socket.get());
  ends.socket = UniqueFd();
  auto first = ends.channel->Receive();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->Root<test::Blob>().getNumber(), 4711);
  EXPECT_EQ(first->Root<test::Blob>().getData()[2], 3);
  ExpectNext(*ends.channel, 4712);
  EXPECT_TRUE(absl::IsUnavailable(ends.channel->Receive().status()));
  EXPECT_TRUE(ends.channel->ended_by_peer());
  EXPECT_EQ(tool.Wait(), 0);
}

}  // namespace
}  // namespace shoal
