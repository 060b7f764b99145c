// Each error of docs/errors.md is produced here, and is as that page says.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <regex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "capnp/message.h"
#include "capnp/serialize.h"
#include "gtest/gtest.h"
#include "kj/exception.h"
#include "shoal/schema/hello.capnp.h"
#include "shoal/tests/child_process.h"
#include "shoal/tests/failing_system_call.h"
#include "shoal/tests/refused_descriptors.h"
#include "shoal/tests/rpc_errors.h"
#include "shoal/tests/scratch_folder.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/shm_connect.h"
#include "shoal/transport/test_channels.h"
#include "shoal/transport/test_process.h"
#include "shoal/transport/test_socket.h"

namespace shoal {
namespace {

// What the page says of one error.
struct Entry {
  std::string code;  // "kUnavailable"
  std::string text;
};

std::map<std::string, Entry> ReadPage() {
  std::ifstream page("docs/errors.md");
  std::map<std::string, Entry> entries;
  std::string code;
  std::string name;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("## ", 0) == 0) {
      code = line.substr(3, line.find(':') - 3);
    } else if (line.rfind("### ", 0) == 0) {
      name = line.substr(4);
    } else if (line.rfind("> ", 0) == 0) {
      entries[name] = {.code = code, .text = line.substr(2)};
    }
  }
  return entries;
}

const std::map<std::string, Entry>& Page() {
  static const auto* const page = new std::map<std::string, Entry>(ReadPage());
  return *page;
}

// The text with anything for each {...}.
std::regex Pattern(const std::string& text) {
  std::string pattern;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') {
      pattern += ".*";
      i = text.find('}', i);
    } else if (std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == ' ') {
      pattern += text[i];
    } else {
      pattern += std::string("\\") + text[i];
    }
  }
  return std::regex(pattern);
}

std::string NameOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
      return "kUnavailable";
    case absl::StatusCode::kDeadlineExceeded:
      return "kDeadlineExceeded";
    case absl::StatusCode::kCancelled:
      return "kCancelled";
    case absl::StatusCode::kResourceExhausted:
      return "kResourceExhausted";
    case absl::StatusCode::kInvalidArgument:
      return "kInvalidArgument";
    case absl::StatusCode::kFailedPrecondition:
      return "kFailedPrecondition";
    case absl::StatusCode::kPermissionDenied:
      return "kPermissionDenied";
    case absl::StatusCode::kAlreadyExists:
      return "kAlreadyExists";
    case absl::StatusCode::kDataLoss:
      return "kDataLoss";
    case absl::StatusCode::kUnimplemented:
      return "kUnimplemented";
    default:
      return absl::StatusCodeToString(code);
  }
}

// By what a server leaves behind that forked, until `release` is closed.
void LeaveListenerToAChild(const std::string& address, int wait, int release) {
  const auto listener = Listen(address);
  if (Fork() == 0) {
    close(release);
    char byte;
    [[maybe_unused]] const ssize_t ended = read(wait, &byte, 1);
  }
  _exit(listener.ok() ? 0 : 1);
}

absl::Status ServedByAChild() {
  const UniqueAddress address("shm");
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t server = Fork();
  if (server == 0) {
    LeaveListenerToAChild(address.text(), ends[0], ends[1]);
  }
  int status = -1;
  EXPECT_EQ(waitpid(server, &status, 0), server);
  EXPECT_EQ(status, 0);
  absl::Status served = Listen(address.text()).status();
  close(ends[0]);
  close(ends[1]);
  return served;
}

absl::Status RefusedCall() {
  absl::Status status;
  WhileFailing(SYS_memfd_create, EPERM, [&] { status = ChannelPair().status(); });
  return status;
}

absl::Status RefusedDescriptor() {
  const RefusedDescriptors refused;
  return ChannelPair().status();
}

ChannelOptions Impatient() {
  ChannelOptions options;
  options.connect_timeout = absl::ZeroDuration();
  return options;
}

ChannelOptions LargeSlab() {
  ChannelOptions options;
  options.slab_bytes = size_t{256} << 20;
  return options;
}

// A server that is not Shoal's, or not of this version, at the path that a `shm:` address has.
class StrangeServer {
 public:
  explicit StrangeServer(int type = SOCK_SEQPACKET, int backlog = 8)
      : listener_(socket(AF_UNIX, type | SOCK_CLOEXEC, 0)) {
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
    std::strcpy(address.sun_path, path_.c_str());
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener_.get(), backlog), 0);
  }

  std::string address() const { return "shm:" + path_; }

  // What a client that connects meanwhile hears when it is answered with `bytes`.
  absl::Status Answer(const void* bytes, size_t size) {
    absl::Status heard;
    std::thread client([&] { heard = Connect(address()).status(); });
    const UniqueFd connection(accept(listener_.get(), nullptr, nullptr));
    EXPECT_EQ(send(connection.get(), bytes, size, MSG_NOSIGNAL), static_cast<ssize_t>(size));
    client.join();
    return heard;
  }

 private:
  ScratchFolder folder_;
  const std::string path_ = folder_.path() + "/socket";
  UniqueFd listener_;
};

absl::Status OtherVersion() {
  capnp::MallocMessageBuilder message;
  auto greeting = message.initRoot<schema::Greeting>();
  greeting.setMagic(0x0000004c414f4853);
  greeting.setVersion(99);
  const auto words = capnp::messageToFlatArray(message);
  return StrangeServer().Answer(words.begin(), words.size() * sizeof(capnp::word));
}

absl::Status TooManyWait() {
  StrangeServer server(SOCK_SEQPACKET, 0);
  absl::Status status = absl::DeadlineExceededError("");
  std::vector<UniqueFd> waiting;
  while (!absl::IsUnavailable(status)) {
    ChannelOptions options = Impatient();
    options.slab_bytes = ChannelOptions::kMinSlabBytes;
    status = Connect(server.address(), options).status();
  }
  return status;
}

absl::Status Forked() {
  Pair pair;
  int pipes[2];
  EXPECT_EQ(pipe(pipes), 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string text = Text(pair.left->Receive().status());
    _exit(write(pipes[1], text.data(), text.size()) > 0 ? 0 : 1);
  }
  char text[1000];
  const ssize_t got = read(pipes[0], text, sizeof(text));
  waitpid(child, nullptr, 0);
  close(pipes[0]);
  close(pipes[1]);
  return absl::FailedPreconditionError(std::string(text, std::max<ssize_t>(got, 0)));
}

// A server in another process that dies with a channel open.
absl::Status Killed() {
  const UniqueAddress address("shm");
  ChildProcess server({"tests/channel_process", address.text(), "echo"});
  EXPECT_EQ(server.ReadLine(), "listening");
  auto channel = Connect(address.text());
  EXPECT_TRUE(channel.ok()) << channel.status();
  server.Kill();
  return (*channel)->Receive().status();
}

// A name that by its text belongs to user 1, and is served by this one.
absl::Status OtherUser() {
  const std::string name = absl::StrCat("shoal/1/test", getpid(), "x", std::random_device()());
  const UniqueFd listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())),
            0);
  EXPECT_EQ(listen(listener.get(), 1), 0);
  return Connect("shm:" + name.substr(8) + "@1").status();
}

// A server in a user namespace without any user ids.
absl::Status UnknownUser() {
  const ScratchFolder folder;
  const std::string address = "shm:" + folder.path() + "/socket";
  int ready[2];
  EXPECT_EQ(pipe(ready), 0);
  // As fork() with unshare(), which a process with two threads may not call, as a sanitizer's has.
  const auto server = static_cast<pid_t>(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
  EXPECT_GE(server, 0) << "this test needs user namespaces";
  if (server == 0) {
    auto listener = Listen(address);
    if (listener.ok() && write(ready[1], "r", 1) == 1) {
      (*listener)->Accept(absl::Seconds(20)).status().IgnoreError();
    }
    _exit(0);
  }
  close(ready[1]);
  char byte = 0;
  EXPECT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  absl::Status heard = Connect(address).status();
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  return heard;
}

absl::Status WithLimit(decltype(RLIMIT_AS) resource, rlim_t value, const ChannelOptions& options) {
  const LoweredLimit limit(resource, value);
  return ChannelPair(options).status();
}

#if !defined(ABSL_HAVE_ADDRESS_SANITIZER) && !defined(ABSL_HAVE_THREAD_SANITIZER)
rlim_t AddressSpaceInUse() {
  std::ifstream statm("/proc/self/statm");
  rlim_t pages = 0;
  statm >> pages;
  return pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
}
#endif

absl::Status NotASocket() {
  const ScratchFolder folder;
  std::ofstream(folder.path() + "/file") << "text";
  return Listen("shm:" + folder.path() + "/file").status();
}

absl::Status SlabTooLarge() {
  const UniqueAddress address("shm");
  ChannelOptions modest;
  modest.max_peer_slabs_bytes = ChannelOptions::kMinSlabBytes;
  const auto listener = Listen(address.text(), modest);
  return HeardBy([&] { return Connect(address.text()).status(); }, **listener);
}

absl::Status CorruptPeer() {
  ChannelAndSocket ends;
  const uint32_t words[] = {UINT32_MAX, 1};
  EXPECT_EQ(write(ends.socket.get(), words, sizeof(words)), 8);
  return ends.channel->Receive().status();
}

absl::Status FullUnder(const ChannelOptions& options, absl::Duration timeout) {
  Pair pair(options);
  absl::Status status = absl::OkStatus();
  while (status.ok()) {
    status = pair.left->Publish(Numbered(*pair.left, 1), timeout);
  }
  return status;
}

absl::Status AfterEnd() {
  Pair pair;
  pair.left->End();
  return Send(*pair.left, 1);
}

absl::Status PublishedTwice() {
  Pair pair;
  OutgoingMessage message = Numbered(*pair.left, 1);
  EXPECT_TRUE(pair.left->Publish(std::move(message)).ok());
  return pair.left->Publish(std::move(message));
}

absl::Status PublishedByAnotherHandle() {
  Pair pair;
  OutgoingMessage message = Numbered(*pair.left, 1);
  OutgoingMessage again = message.Share();
  EXPECT_TRUE(pair.left->Publish(std::move(message)).ok());
  return pair.left->Publish(std::move(again));
}

// What InitRoot() throws after the message was published, by this handle or by another one.
absl::Status BuiltAfterPublish(bool by_another) {
  Pair pair;
  OutgoingMessage message = Numbered(*pair.left, 1);
  OutgoingMessage kept = message.Share();
  EXPECT_TRUE(pair.left->Publish(std::move(message)).ok());
  try {
    (by_another ? kept : message).InitRoot<test::Blob>();
  } catch (const kj::Exception& exception) {
    return absl::FailedPreconditionError(exception.getDescription().cStr());
  }
  return absl::OkStatus();
}

#ifndef NDEBUG
absl::Status ChangedAfterPublish() {
  Pair pair;
  OutgoingMessage message = Numbered(*pair.left, 1, 1000);
  {
    const OutgoingMessage kept = message.Share();
    auto data = message.GetRoot<test::Blob>().getData();
    EXPECT_TRUE(pair.left->Publish(std::move(message)).ok());
    data[0] = 2;
  }
  absl::Status status;
  for (int i = 0; i < 10 && status.ok(); ++i) {
    EXPECT_TRUE(pair.right->TryReceive().ok());
    status = Send(*pair.left, 1, 1000);
  }
  return status;
}
#endif

#ifndef ABSL_HAVE_THREAD_SANITIZER
absl::Status TwoThreads() {
  Pair pair;
  std::thread receiver([&] {
    while (absl::IsFailedPrecondition(pair.left->Receive().status())) {
    }
  });
  absl::Status status;
  while (status.ok()) {
    status = pair.left->TryReceive().status();
  }
  EXPECT_TRUE(Send(*pair.right, 1).ok());
  receiver.join();
  return status;
}

#endif

absl::Status OffThread() {
  Pair pair;
  pair.left->BindToThread();
  absl::Status status;
  std::thread([&] { status = Send(*pair.left, 1); }).join();
  return status;
}

absl::Status AboveThePeersLimit() {
  auto pair = ChannelPair({}, {.max_message_words = 10});
  return Send(*pair->first, 1, 1000);
}

absl::Status WithoutARoot() {
  Pair pair;
  return pair.left->Publish(pair.left->Claim());
}

absl::Status FullOfFragments(const ChannelOptions& left, const ChannelOptions& right) {
  auto pair = ChannelPair(left, right);
  absl::Status status;
  while (status.ok()) {
    status = Send(*pair->first, 1, 5000);
  }
  return status;
}

absl::Status OfAnotherChannel() {
  Pair pair;
  return pair.left->Publish(Numbered(*pair.right, 1, 10000));
}

absl::Status WithDescriptors(size_t count, int fd) {
  ChannelOptions options;
  options.max_fds_per_message = 1;
  Pair pair(options);
  OutgoingMessage message = Numbered(*pair.left, 1);
  message.SetFds(std::vector<int>(count, fd));
  return pair.left->Publish(std::move(message));
}

absl::Status AfterPeersEnd() {
  Pair pair;
  pair.right.reset();
  return pair.left->Receive().status();
}

absl::Status AfterNotify() {
  Pair pair;
  EXPECT_TRUE(pair.right->Notify().ok());
  return pair.left->Receive().status();
}

absl::Status StillPending() {
  Pair pair(SmallestThat(WhenFull::kSpill));
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_TRUE(Send(*pair.left, i).ok());
  }
  absl::Status flushed = pair.left->Flush(absl::ZeroDuration());
  while (pair.right->TryReceive()->has_value()) {
    pair.left->Flush(absl::ZeroDuration()).IgnoreError();
  }
  return flushed;
}

absl::Status AboveTheLimit() {
  ChannelOptions options;
  options.max_message_words = 10;
  Pair pair(options);
  return Send(*pair.left, 1, 1000);
}

absl::Status TooMuchPending() {
  ChannelOptions options = SmallestThat(WhenFull::kSpill);
  options.max_pending_bytes = 1000;
  options.linger = absl::ZeroDuration();
  return FullUnder(options, absl::ZeroDuration());
}

absl::Status NoAnswer() {
  StrangeServer server;
  return Connect(server.address(), Impatient()).status();
}

absl::Status PortServed() {
  const auto listener = Listen("127.0.0.1:0");
  return Listen((*listener)->address()).status();
}

absl::Status OtherProtocol() {
  const UniqueAddress address("shm");
  const auto listener = Listen(address.text());
  ChannelOptions options;
  options.protocol = "ticks/2";
  return HeardBy([&] { return Connect(address.text(), options).status(); }, **listener);
}

absl::Status Served() {
  const UniqueAddress address("shm");
  const auto listener = Listen(address.text());
  return Listen(address.text()).status();
}

absl::Status NoneReady() {
  Pair pair;
  Channel* const channels[] = {pair.left.get()};
  return WaitAny(channels, absl::ZeroDuration()).status();
}

absl::Status NothingCame() {
  Pair pair;
  return pair.left->Receive(absl::Milliseconds(1)).status();
}

absl::Status NoClientCame() {
  const UniqueAddress address("shm");
  const auto listener = Listen(address.text());
  return (*listener)->Accept(absl::Milliseconds(1)).status();
}

absl::Status UnconfirmedClaim() {
  const UniqueAddress address("shm");
  const auto listener = Listen(address.text());
  return HeardBy(
      [&] {
        auto handshake = TryConnect(*ParseShmAddress(address.text()), {}, "127.0.0.1:1 to ::1:2");
        absl::StatusOr<std::unique_ptr<Channel>> channel = nullptr;
        while (channel.ok() && *channel == nullptr) {
          channel = handshake->Finish();
        }
        return channel.status();
      },
      **listener);
}

using Producer = std::function<absl::Status()>;

const std::map<std::string, Producer>& Producers() {
  static const auto* const producers = new std::map<std::string, Producer> {
    {"nobody-listens", [] { return Connect(UniqueAddress("shm").text(), Impatient()).status(); }},
        {"too-many-wait", TooManyWait}, {"peer-gone", Killed}, {"peer-closed", AfterPeersEnd},
        {"no-such-process", [] { return ObserveChannels(1 << 22).status(); }},
        {"nothing-came", NothingCame},
        {"ring-still-full", [] { return FullUnder(Smallest(), absl::Milliseconds(1)); }},
        {"still-pending", StillPending}, {"no-client-came", NoClientCame}, {"no-answer", NoAnswer},
        {"none-ready", NoneReady}, {"notified", AfterNotify},
        {"ring-full",
         [] { return FullUnder(SmallestThat(WhenFull::kFail), absl::ZeroDuration()); }},
        {"loans-full",
         [] { return FullOfFragments({.when_full = WhenFull::kFail}, {.loans = 16}); }},
        {"slabs-full", [] { return FullOfFragments(SmallestThat(WhenFull::kFail), {}); }},
        {"message-too-large-for-peer", AboveThePeersLimit}, {"no-root", WithoutARoot},
        {"published-before", PublishedByAnotherHandle},
        {"built-after-publish", [] { return BuiltAfterPublish(false); }},
        {"changed-by-another-handle", [] { return BuiltAfterPublish(true); }},
        {"off-thread", OffThread},
#ifndef ABSL_HAVE_THREAD_SANITIZER
        {"two-threads", TwoThreads},  // of whom ThreadSanitizer tells itself
#endif
#ifndef NDEBUG
        {"changed-after-publish", ChangedAfterPublish},
#endif
        {"too-much-pending", TooMuchPending}, {"slab-too-large-for-peer", SlabTooLarge},
        {"file-size-limit", [] { return WithLimit(RLIMIT_FSIZE, 1 << 20, LargeSlab()); }},
        {"descriptor-limit", [] { return WithLimit(RLIMIT_NOFILE, 3, {}); }},
        {"message-too-large", AboveTheLimit}, {"no-message", PublishedTwice},
        {"message-of-another-channel", OfAnotherChannel},
        {"too-many-descriptors", [] { return WithDescriptors(2, STDIN_FILENO); }},
        {"call-refused", RefusedCall}, {"descriptor-refused", RefusedDescriptor},
        {"descriptor-not-open", [] { return WithDescriptors(1, 1 << 20); }},
        {"option-out-of-range", [] { return Connect("shm:x", {.slots = 3}).status(); }},
        {"option-no-power-of-two", [] { return Connect("shm:x", {.slots = 100}).status(); }},
        {"option-no-multiple-of-a-page",
         [] { return Connect("shm:x", {.slab_bytes = 100'000}).status(); }},
        {"option-negative", [] { return Connect("shm:x", {.spin = absl::Seconds(-1)}).status(); }},
        {"bad-address", [] { return Connect("shm:").status(); }},
        {"no-port", [] { return Connect("somewhere").status(); }},
        {"foreign-socket", [] { return Connect(StrangeServer(SOCK_STREAM).address()).status(); }},
        {"foreign-program", [] { return StrangeServer().Answer("hello", 5); }},
        {"not-a-socket", NotASocket}, {"nothing-to-wait-for", [] { return WaitAny({}).status(); }},
        {"ended", AfterEnd}, {"forked", Forked}, {"other-version", OtherVersion},
        {"other-protocol", OtherProtocol}, {"unconfirmed-claim", UnconfirmedClaim},
        {"null-interface", NullInterface}, {"another-event-loop", AnotherEventLoop},
        {"other-user", OtherUser}, {"unknown-user", UnknownUser},
        {"name-of-another-user",
         [] { return Listen(absl::StrCat("shm:test@", geteuid() + 1)).status(); }},
        {"served", Served}, {"served-by-a-child", ServedByAChild}, {"port-served", PortServed},
        {"corrupt-peer", CorruptPeer},
        {"no-notice-in-a-stream", [] { return ChannelAndSocket().channel->Notify(); }},
#if !defined(ABSL_HAVE_ADDRESS_SANITIZER) && !defined(ABSL_HAVE_THREAD_SANITIZER)
        // A sanitizer has the whole address space.
        {"address-space-limit",
         [] { return WithLimit(RLIMIT_AS, AddressSpaceInUse() + (64 << 20), LargeSlab()); }},
#endif
  };
  return *producers;
}

class Errors : public testing::TestWithParam<std::string> {};

TEST_P(Errors, AreAsThePageSays) {
  const auto entry = Page().find(GetParam());
  ASSERT_NE(entry, Page().end()) << "docs/errors.md has no " << GetParam();
  const absl::Status status = Producers().at(GetParam())();
  EXPECT_EQ(NameOf(status.code()), entry->second.code) << status;
  EXPECT_TRUE(std::regex_search(Text(status), Pattern(entry->second.text)))
      << Text(status) << "\nis not as the page says:\n"
      << entry->second.text;
}

std::vector<std::string> Produced() {
  std::vector<std::string> names;
  for (const auto& [name, producer] : Producers()) {
    names.push_back(name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Each, Errors, testing::ValuesIn(Produced()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(ErrorsPage, HasNoErrorThatIsNotProducedHere) {
  for (const auto& [name, entry] : Page()) {
    EXPECT_TRUE(Producers().count(name) == 1 || name == "address-space-limit" ||
                name == "changed-after-publish" || name == "two-threads")
        << name;
  }
  EXPECT_GE(Page().size(), Producers().size());
}

}  // namespace
}  // namespace shoal
