#include "shoal/transport/socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/tests/scratch_folder.h"
#include "shoal/transport/deadline.h"
#include "shoal/transport/test_process.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;

constexpr int kPassRights = 83;  // SO_PASSRIGHTS

// Process ids are no distinction: tests in different pid namespaces share the abstract names.
SocketName FreshName() {
  std::random_device random;
  const std::string name =
      "shoal-test/" + std::to_string(random()) + "/" + std::to_string(random());
  return {SocketName::Kind::kAbstract, name, "shm:fresh"};
}

// A name in a folder of its own.
class Directory : public ScratchFolder {
 public:
  SocketName Name() const {
    return {SocketName::Kind::kPath, path() + "/sock", "shm:" + path() + "/sock"};
  }
};

template <typename T>
T Good(absl::StatusOr<T> result) {
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : T();
}

UniqueFd Accepted(const UniqueFd& listener) {
  std::optional<UniqueFd> accepted = Good(AcceptOnce(listener.get()));
  EXPECT_TRUE(accepted.has_value());
  return accepted ? *std::move(accepted) : UniqueFd();
}

sockaddr_un AddressOf(const SocketName& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path + (name.kind == SocketName::Kind::kAbstract ? 1 : 0), name.name.data(),
         name.name.size());
  return address;
}

socklen_t LengthOf(const SocketName& name) {
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.name.size());
}

// A socket of another program, bound to `name`.
UniqueFd ForeignSocket(const SocketName& name, int type) {
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const sockaddr_un address = AddressOf(name);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), LengthOf(name)), 0);
  return fd;
}

int Option(const UniqueFd& fd, int option) {
  int value = -1;
  socklen_t length = sizeof(value);
  EXPECT_EQ(getsockopt(fd.get(), SOL_SOCKET, option, &value, &length), 0);
  return value;
}

void ExpectReadyForUse(const UniqueFd& fd) {
  EXPECT_EQ(Option(fd, SO_DOMAIN), AF_UNIX);
  EXPECT_EQ(Option(fd, SO_TYPE), SOCK_SEQPACKET);
  EXPECT_EQ(Option(fd, SO_PASSCRED), 1);
  EXPECT_EQ(fcntl(fd.get(), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  EXPECT_EQ(fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
}

TEST(SocketPair, IsConnectedAndReadyForUse) {
  const std::pair<UniqueFd, UniqueFd> ends = Good(SocketPair());
  ExpectReadyForUse(ends.first);
  ExpectReadyForUse(ends.second);
  ASSERT_EQ(send(ends.first.get(), "x", 1, 0), 1);
  EXPECT_TRUE(WaitReadable(ends.second.get(), Deadline::After(absl::ZeroDuration())).ok());
}

TEST(Sockets, NameTheDescriptorLimit) {
  const SocketName name = FreshName();
  std::vector<absl::Status> errors;
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    errors = {SocketPair().status(), ListenOn(name).status(), DialOnce(name).status()};
  }
  for (const absl::Status& error : errors) {
    EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted) << error;
    EXPECT_THAT(std::string(error.message()), HasSubstr("RLIMIT_NOFILE is 3"));
  }
}

TEST(Listener, OnANameConnectsTwoEnds) {
  const SocketName name = FreshName();
  const UniqueFd listener = Good(ListenOn(name));
  const UniqueFd dialled = Good(DialOnce(name));
  const UniqueFd accepted = Accepted(listener);
  ExpectReadyForUse(listener);
  ExpectReadyForUse(dialled);
  ExpectReadyForUse(accepted);
  ASSERT_EQ(send(dialled.get(), "x", 1, 0), 1);
  EXPECT_TRUE(WaitReadable(accepted.get(), Deadline::After(absl::ZeroDuration())).ok());
}

TEST(Listener, OnAPathConnectsTwoEnds) {
  const Directory directory;
  const UniqueFd listener = Good(ListenOn(directory.Name()));
  const UniqueFd dialled = Good(DialOnce(directory.Name()));
  const UniqueFd accepted = Accepted(listener);
  ASSERT_EQ(send(accepted.get(), "x", 1, 0), 1);
  EXPECT_TRUE(WaitReadable(dialled.get(), Deadline::After(absl::ZeroDuration())).ok());
}

TEST(Listener, AcceptsNothingWhenNobodyWaits) {
  const UniqueFd listener = Good(ListenOn(FreshName()));
  EXPECT_EQ(Good(AcceptOnce(listener.get())), std::nullopt);
}

TEST(Listener, IsReadableWhenSomebodyWaits) {
  const SocketName name = FreshName();
  const UniqueFd listener = Good(ListenOn(name));
  EXPECT_EQ(WaitReadable(listener.get(), Deadline::After(absl::ZeroDuration())).code(),
            absl::StatusCode::kDeadlineExceeded);
  const UniqueFd dialled = Good(DialOnce(name));
  EXPECT_TRUE(WaitReadable(listener.get(), Deadline::After(absl::ZeroDuration())).ok());
}

TEST(Listener, ReportsItsOwnErrors) {
  const std::pair<UniqueFd, UniqueFd> ends = Good(SocketPair());
  EXPECT_EQ(AcceptOnce(ends.first.get()).status().code(), absl::StatusCode::kInternal);
}

TEST(Listener, MakesASocketFileForItsUserAlone) {
  const Directory directory;
  const mode_t before = umask(0);
  const UniqueFd listener = Good(ListenOn(directory.Name()));
  umask(before);
  struct stat file {};
  ASSERT_EQ(stat(directory.Name().name.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode, static_cast<mode_t>(S_IFSOCK | 0600));
}

TEST(Listener, LeavesNothingButTheSocketFileBehind) {
  const Directory directory;
  const size_t before = OpenDescriptors();
  {
    const UniqueFd listener = Good(ListenOn(directory.Name()));
    EXPECT_EQ(OpenDescriptors(), before + 1);
    EXPECT_FALSE(ListenOn(directory.Name()).ok());
    EXPECT_EQ(OpenDescriptors(), before + 1);
  }
  EXPECT_EQ(OpenDescriptors(), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1);
}

TEST(Listener, NamesTheLiveServerOfAName) {
  const SocketName name = FreshName();
  const UniqueFd listener = Good(ListenOn(name));
  const absl::Status status = ListenOn(name).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("\"shm:fresh\" is already served by pid " + std::to_string(getpid())));
}

TEST(Listener, NamesTheLiveServerOfAPath) {
  const Directory directory;
  const UniqueFd listener = Good(ListenOn(directory.Name()));
  const absl::Status status = ListenOn(directory.Name()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("already served by pid " + std::to_string(getpid())));
  EXPECT_TRUE(DialOnce(directory.Name()).ok());
}

TEST(Listener, ReclaimsAStaleSocketFile) {
  const Directory directory;
  Good(ListenOn(directory.Name()));
  ASSERT_TRUE(std::filesystem::is_socket(directory.Name().name));
  const UniqueFd listener = Good(ListenOn(directory.Name()));
  EXPECT_TRUE(DialOnce(directory.Name()).ok());
}

TEST(Listener, LeavesALiveForeignSocketAlone) {
  for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
    const Directory directory;
    const UniqueFd foreign = ForeignSocket(directory.Name(), type);  // bound, and does not listen
    EXPECT_EQ(ListenOn(directory.Name()).status().code(), absl::StatusCode::kAlreadyExists);
    EXPECT_TRUE(std::filesystem::is_socket(directory.Name().name));
  }
}

TEST(Listener, NeverRemovesAFileThatIsNoSocket) {
  const Directory directory;
  std::ofstream(directory.Name().name) << "precious";
  const absl::Status status = ListenOn(directory.Name()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no socket"));
  EXPECT_EQ(std::filesystem::file_size(directory.Name().name), 8u);
}

TEST(Listener, NeverRemovesASymbolicLink) {
  const Directory directory;
  std::filesystem::create_symlink("nowhere", directory.Name().name);
  EXPECT_EQ(ListenOn(directory.Name()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(std::filesystem::is_symlink(directory.Name().name));
}

TEST(Listener, NeedsADirectory) {
  const Directory directory;
  SocketName name = directory.Name();
  name.name = directory.path() + "/missing/sock";
  EXPECT_EQ(ListenOn(name).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Listener, NeedsNoLockWhereNoFileIsStale) {
  const Directory directory;
  const UniqueFd lock(open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(flock(lock.get(), LOCK_EX), 0);
  const absl::StatusOr<UniqueFd> listener = ListenOn(directory.Name());
  EXPECT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(ListenOn(directory.Name()).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST(Listener, GivesASocketFileItsModeWhateverTheUmask) {
  const Directory directory;
  const mode_t before = umask(0077);
  const absl::StatusOr<UniqueFd> listener = ListenOn(directory.Name(), SOCK_SEQPACKET, 0666);
  EXPECT_EQ(umask(before), 0077u) << "and leaves the umask";
  ASSERT_TRUE(listener.ok()) << listener.status();
  struct stat file {};
  ASSERT_EQ(stat(directory.Name().name.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0666u);
}

TEST(Listener, TakesNoDescriptorsBeforeItAllowsThem) {
  const SocketName name = FreshName();
  const UniqueFd listener = Good(ListenOn(name));
  const UniqueFd dialled = Good(DialOnce(name));
  EXPECT_EQ(Option(listener, kPassRights), 0) << "this test needs Linux 6.16";
  const UniqueFd accepted = Accepted(listener);
  EXPECT_EQ(Option(dialled, kPassRights), 0);
  EXPECT_EQ(Option(accepted, kPassRights), 0);
  AllowDescriptors(accepted.get());
  EXPECT_EQ(Option(accepted, kPassRights), 1);
}

TEST(Listener, DoesNotWaitForEverForTheDirectorysLock) {
  const Directory directory;
  Good(ListenOn(directory.Name()));  // leaves its file
  const UniqueFd lock(open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(flock(lock.get(), LOCK_EX), 0);
  EXPECT_EQ(ListenOn(directory.Name()).status().code(), absl::StatusCode::kUnavailable);
  ASSERT_EQ(flock(lock.get(), LOCK_UN), 0);
  EXPECT_TRUE(ListenOn(directory.Name()).ok());
}

// Each round the two start a little further apart, to meet in every place of what they do.
TEST(Listener, WinsAStalePathAloneWhenTwoReclaimIt) {
  constexpr int kRounds = 3000;
  const Directory directory;
  Good(ListenOn(directory.Name()));
  std::barrier round_begins(2);
  std::barrier round_ends(2);
  absl::StatusOr<UniqueFd> other;
  std::thread other_server([&] {
    for (int round = 0; round < kRounds; ++round) {
      round_begins.arrive_and_wait();
      other = ListenOn(directory.Name());
      round_ends.arrive_and_wait();
    }
  });
  int rounds_with_one_winner = 0;
  for (int round = 0; round < kRounds; ++round) {
    other = UniqueFd();
    round_begins.arrive_and_wait();
    for (std::atomic<int> distance = 0; distance < round; distance += 4) {
    }
    const absl::StatusOr<UniqueFd> own = ListenOn(directory.Name());
    round_ends.arrive_and_wait();
    const absl::Status& loser = own.ok() ? other.status() : own.status();
    // Unavailable: the winner lost its CPU while it had the lock.
    rounds_with_one_winner +=
        own.ok() != other.ok() && (absl::IsAlreadyExists(loser) || absl::IsUnavailable(loser));
  }
  other_server.join();
  EXPECT_EQ(rounds_with_one_winner, kRounds);
}

TEST(Listener, NeedsAName) {
  const SocketName empty{SocketName::Kind::kAbstract, "", "localhost:4000"};
  EXPECT_EQ(ListenOn(empty).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DialOnce(empty).status().code(), absl::StatusCode::kInvalidArgument);
  const SocketName too_long{SocketName::Kind::kPath, std::string(108, 'p'), "shm:p"};
  EXPECT_EQ(ListenOn(too_long).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DialOnce(too_long).status().code(), absl::StatusCode::kInvalidArgument);
}

void ExpectOutOfReachForAForeignClient(const SocketName& name, int error) {
  const UniqueFd listener = Good(ListenOn(name));
  const UniqueFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = AddressOf(name);
  EXPECT_EQ(connect(client.get(), reinterpret_cast<const sockaddr*>(&address), LengthOf(name)), -1);
  EXPECT_EQ(errno, error);
  EXPECT_EQ(Good(AcceptOnce(listener.get())), std::nullopt);
}

TEST(Listener, IsOutOfReachForAForeignClient) {
  const Directory directory;
  ExpectOutOfReachForAForeignClient(directory.Name(), EPROTOTYPE);
  ExpectOutOfReachForAForeignClient(FreshName(), ECONNREFUSED);
}

TEST(Dialling, FindsNobodyOnAFreeName) {
  const absl::Status status = DialOnce(FreshName()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("nobody listens on \"shm:fresh\""));
}

TEST(Dialling, FindsNobodyOnAPath) {
  const Directory directory;
  EXPECT_EQ(DialOnce(directory.Name()).status().code(), absl::StatusCode::kUnavailable);  // no file
  Good(ListenOn(directory.Name()));
  EXPECT_EQ(DialOnce(directory.Name()).status().code(),
            absl::StatusCode::kUnavailable);  // a stale one
}

TEST(Dialling, TellsTooManyWaitersFromNobody) {
  const SocketName name = FreshName();
  const UniqueFd listener = Good(ListenOn(name));
  ASSERT_EQ(listen(listener.get(), 0), 0);
  const UniqueFd first = Good(DialOnce(name));
  const absl::Status status = DialOnce(name).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("too many connections wait"));
}

TEST(Dialling, RecognisesAForeignServer) {
  const Directory directory;
  const UniqueFd server = ForeignSocket(directory.Name(), SOCK_STREAM);
  ASSERT_EQ(listen(server.get(), 1), 0);
  const absl::Status status = DialOnce(directory.Name()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("foreign socket"));
}

TEST(Dialling, RecognisesAFileThatIsNoSocket) {
  const Directory directory;
  std::ofstream(directory.Name().name) << "text";
  const absl::Status status = DialOnce(directory.Name()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no socket"));
}

TEST(Dialling, NamesBothUsersWhenItIsDenied) {
  const Directory directory;
  const UniqueFd listener = Good(ListenOn(directory.Name()));
  ASSERT_EQ(chmod(directory.Name().name.c_str(), 0), 0);
  absl::Status status;
  std::thread([&] {
    DropCapabilitiesOfThisThread();
    status = DialOnce(directory.Name()).status();
  }).join();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
  const std::string uid = std::to_string(geteuid());
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("user id is " + uid + ", the socket's owner's is " + uid));
}

TEST(PeerCredentials, NameTheOtherEnd) {
  const SocketName name = FreshName();
  const UniqueFd listener = Good(ListenOn(name));
  const UniqueFd dialled = Good(DialOnce(name));
  const UniqueFd accepted = Accepted(listener);
  const ucred server = Good(PeerCredentials(dialled.get()));
  const ucred client = Good(PeerCredentials(accepted.get()));
  EXPECT_EQ(server.pid, getpid());
  EXPECT_EQ(server.uid, geteuid());
  EXPECT_EQ(client.pid, getpid());
  EXPECT_EQ(client.uid, geteuid());
}

TEST(PeerCredentials, NeedASocket) { EXPECT_FALSE(PeerCredentials(-1).ok()); }

TEST(Describe, NamesAProcess) {
  EXPECT_EQ(Describe({4711, 1000, 100}), "pid 4711, uid 1000");
  EXPECT_EQ(Describe({0, 1000, 100}), "a pid of another namespace, uid 1000");
}

TEST(WaitReadable, ReturnsWhenThePeerIsGone) {
  std::pair<UniqueFd, UniqueFd> ends = Good(SocketPair());
  ends.first = UniqueFd();
  EXPECT_TRUE(WaitReadable(ends.second.get(), Deadline::After(absl::InfiniteDuration())).ok());
}

TEST(WaitReadable, EndsAtItsDeadline) {
  const std::pair<UniqueFd, UniqueFd> ends = Good(SocketPair());
  const Deadline deadline = Deadline::After(absl::Milliseconds(2));
  EXPECT_EQ(WaitReadable(ends.first.get(), deadline).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(deadline.passed());
}

TEST(WaitReadable, TakesAnyDeadline) {
  const std::pair<UniqueFd, UniqueFd> ends = Good(SocketPair());
  EXPECT_EQ(WaitReadable(ends.first.get(), Deadline::After(absl::ZeroDuration())).code(),
            absl::StatusCode::kDeadlineExceeded);
  ASSERT_EQ(send(ends.second.get(), "x", 1, 0), 1);
  EXPECT_TRUE(WaitReadable(ends.first.get(), Deadline::After(absl::ZeroDuration())).ok());
  EXPECT_TRUE(WaitReadable(ends.first.get(), Deadline::After(absl::Hours(24 * 365 * 1000))).ok());
}

TEST(WaitReadable, NeedsAnOpenDescriptor) {
  const int closed = Good(SocketPair()).first.get();
  EXPECT_EQ(WaitReadable(closed, Deadline::After(absl::InfiniteDuration())).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(WaitReadable(-1, Deadline::After(absl::InfiniteDuration())).code(),
            absl::StatusCode::kInvalidArgument);
}

std::atomic<int> interruptions = 0;

TEST(WaitReadable, IsNotEndedBySignals) {
  constexpr int kInterruptions = 20;
  const std::pair<UniqueFd, UniqueFd> ends = Good(SocketPair());
  struct sigaction count {};
  count.sa_handler = [](int) { ++interruptions; };
  struct sigaction before {};
  ASSERT_EQ(sigaction(SIGUSR1, &count, &before), 0);
  interruptions = 0;
  const pthread_t waiter = pthread_self();
  std::thread interrupter([&] {
    for (int sent = 0; sent < kInterruptions; ++sent) {
      pthread_kill(waiter, SIGUSR1);
      while (interruptions <= sent) {
        std::this_thread::yield();
      }
    }
    EXPECT_EQ(send(ends.second.get(), "x", 1, 0), 1);
  });
  EXPECT_TRUE(WaitReadable(ends.first.get(), Deadline::After(absl::InfiniteDuration())).ok());
  EXPECT_EQ(interruptions, kInterruptions);
  interrupter.join();
  ASSERT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
}

}  // namespace
}  // namespace shoal
