#include "shoal/transport/socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "shoal/transport/system_error.h"

namespace shoal {
namespace {

constexpr absl::Duration kLockPatience = absl::Seconds(1);
constexpr int kLockRetryMs = 1;
constexpr int kPassRights = 83;  // SO_PASSRIGHTS, which older headers do not have

std::string Quoted(const SocketName& name) {
  return absl::StrCat("\"", absl::Utf8SafeCEscape(name.text), "\"");
}

struct SocketAddress {
  sockaddr_un address;
  socklen_t length;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

absl::StatusOr<SocketAddress> ToSocketAddress(const SocketName& name) {
  constexpr size_t kMaxName = sizeof(sockaddr_un::sun_path) - 1;
  if (name.name.empty() || name.name.size() > kMaxName) {
    return absl::InvalidArgumentError(absl::StrCat(Quoted(name), " gives a socket name of ",
                                                   name.name.size(), " bytes; it must have 1 to ",
                                                   kMaxName));
  }
  SocketAddress socket{};
  socket.address.sun_family = AF_UNIX;
  // An abstract name follows a NUL, a path is followed by one.
  const bool is_abstract = name.kind == SocketName::Kind::kAbstract;
  memcpy(socket.address.sun_path + (is_abstract ? 1 : 0), name.name.data(), name.name.size());
  socket.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.name.size());
  return socket;
}

absl::Status PermissionError(const SocketName& name, int error) {
  std::string owner = "unknown";
  if (struct stat file{};
      name.kind == SocketName::Kind::kPath && stat(name.name.c_str(), &file) == 0) {
    owner = absl::StrCat(file.st_uid);
  }
  return absl::PermissionDeniedError(absl::StrCat(Quoted(name), ": ", strerror(error),
                                                  "; this process's user id is ", geteuid(),
                                                  ", the socket's owner's is ", owner));
}

absl::Status BindError(const SocketName& name, int error) {
  switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
      return PermissionError(name, error);
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return absl::InvalidArgumentError(
          absl::StrCat(Quoted(name), ": no socket can be there: ", strerror(error),
                       "; create its directory or choose another path"));
    default:
      return SystemError(error, absl::StrCat(Quoted(name), ": listening"));
  }
}

// An abstract name is "shoal/UID/NAME" or "shoal/UID#HASH".
constexpr size_t kUserBegins = sizeof("shoal/") - 1;

absl::Status NobodyListens(const SocketName& name) {
  const std::string text =
      absl::StrCat("nobody listens on ", Quoted(name), " (yet): start its server");
  if (name.kind == SocketName::Kind::kPath) {
    return absl::UnavailableError(text);
  }
  // A name belongs to one user in one network namespace, and an equal one elsewhere is not seen.
  const std::string user = name.name.substr(0, name.name.find_first_of("/#", kUserBegins));
  return absl::UnavailableError(absl::StrCat(
      text, "; only servers of user id ", user.substr(std::min(kUserBegins, user.size())),
      " in this network namespace were looked for: another user's is at shm:NAME@USER, and "
      "containers meet at shm:/path"));
}

absl::Status DialError(const SocketName& name, int type, int error) {
  switch (error) {
    case ECONNREFUSED:
      if (struct stat file{}; name.kind == SocketName::Kind::kPath &&
                              stat(name.name.c_str(), &file) == 0 && !S_ISSOCK(file.st_mode)) {
        return absl::InvalidArgumentError(
            absl::StrCat(Quoted(name), " is a file that is no socket"));
      }
      [[fallthrough]];
    case ENOENT:
      return NobodyListens(name);
    case EAGAIN:
      return absl::UnavailableError(absl::StrCat("too many connections wait at ", Quoted(name),
                                                 ": its server does not accept them"));
    case EPROTOTYPE:
      return absl::InvalidArgumentError(
          absl::StrCat(Quoted(name), " is a foreign socket, of another kind than ",
                       type == SOCK_STREAM ? "SOCK_STREAM: Shoal's own is at shm:, not unix:"
                                           : "SOCK_SEQPACKET, so it is not Shoal's"));
    case EACCES:
    case EPERM:
      return PermissionError(name, error);
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return absl::InvalidArgumentError(
          absl::StrCat(Quoted(name), ": no socket can be there: ", strerror(error)));
    default:
      return SystemError(error, absl::StrCat(Quoted(name), ": connecting"));
  }
}

bool Set(int fd, int option, int value) {
  return setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)) == 0;
}

absl::StatusOr<UniqueFd> NewSocket(int type) {
  UniqueFd fd(socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    return SystemError(errno, "creating a socket");
  }
  if (type == SOCK_SEQPACKET && !Set(fd.get(), SO_PASSCRED, 1)) {
    return CallRefused(errno, "setsockopt(SO_PASSCRED)", "creating a socket");
  }
  // Accepted sockets inherit it, from the moment at which they were dialled.
  Set(fd.get(), kPassRights, 0);
  return fd;
}

// Held to remove a stale socket. Two servers that both found it stale would else both remove it,
// the second one the first one's new socket. A lock file would do as well, but stay behind.
class DirectoryLock {
 public:
  static absl::StatusOr<DirectoryLock> Acquire(const SocketName& name) {
    const size_t slash = name.name.rfind('/');
    const std::string directory = slash == name.name.npos ? "." : name.name.substr(0, slash + 1);
    UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
      return BindError(name, errno);
    }
    // flock() with a limit: everybody who can read a directory can lock it for ever.
    const Deadline deadline = Deadline::After(kLockPatience);
    while (true) {
      const bool is_last = deadline.passed();  // before it tries: it may lose the CPU in between
      if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
        return DirectoryLock(std::move(fd));
      }
      if (errno != EWOULDBLOCK && errno != EINTR) {
        return BindError(name, errno);
      }
      if (is_last) {
        return absl::UnavailableError(
            absl::StrCat(Quoted(name), ": another process keeps its directory locked (flock) ",
                         "for more than ", absl::FormatDuration(kLockPatience)));
      }
      poll(nullptr, 0, kLockRetryMs);
    }
  }

  DirectoryLock(DirectoryLock&&) = default;
  DirectoryLock& operator=(DirectoryLock&&) = default;

  // Closing alone does not unlock while a child forked meanwhile has a copy.
  ~DirectoryLock() {
    if (fd_) {
      flock(fd_.get(), LOCK_UN);
    }
  }

 private:
  explicit DirectoryLock(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

// Whether nobody has the process id any more. A socket says who began to listen at it, and not who
// has it now.
bool HasEnded(const ucred& process) {
  return process.pid > 0 && kill(process.pid, 0) != 0 && errno == ESRCH;
}

absl::Status AlreadyServed(const SocketName& name, int type) {
  absl::StatusOr<UniqueFd> server = DialOnce(name, type);
  if (!server.ok()) {
    return absl::AlreadyExistsError(absl::StrCat(
        Quoted(name), " is in use, by whom is unknown: ", std::string(server.status().message())));
  }
  absl::StatusOr<ucred> process = PeerCredentials(server->get());
  if (!process.ok()) {
    return process.status();
  }
  if (HasEnded(*process)) {
    return absl::AlreadyExistsError(absl::StrCat(
        Quoted(name), " is already served by a process that has the socket from ",
        Describe(*process), ", which has ended: find it with \"ss -xlp\" and stop it, ",
        "or choose another address"));
  }
  return absl::AlreadyExistsError(absl::StrCat(Quoted(name), " is already served by ",
                                               Describe(*process),
                                               ": stop that or choose another address"));
}

// Whether no process has the socket at `address` open. A socket of another kind asks without
// connecting: one that is open answers "wrong kind", whether it listens or not. Any other answer is
// no proof.
bool IsStale(const SocketAddress& address) {
  const UniqueFd probe(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return probe && connect(probe.get(), address.get(), address.length) != 0 && errno == ECONNREFUSED;
}

// Whether the file at `name` is a stale socket, or not there; else what it is.
absl::Status CheckStale(const SocketName& name, int type, const SocketAddress& address) {
  struct stat file {};
  if (lstat(name.name.c_str(), &file) != 0) {
    return errno == ENOENT ? absl::OkStatus() : BindError(name, errno);
  }
  if (!S_ISSOCK(file.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(
        Quoted(name),
        " is a file that is no socket and is left alone: remove it or choose another path"));
  }
  return IsStale(address) ? absl::OkStatus() : AlreadyServed(name, type);
}

// 0, or an error number. The kernel takes the mode of a socket file from the socket and the umask,
// which all threads of a process share unless one asks for its own.
int Bind(int fd, const SocketAddress& address, std::optional<mode_t> mode) {
  int error = 0;
  const auto bind_here = [&] { error = bind(fd, address.get(), address.length) == 0 ? 0 : errno; };
  if (!mode || (*mode & (S_IRWXG | S_IRWXO)) == 0) {
    bind_here();
    return error;
  }
  try {
    std::thread([&] {
      if (unshare(CLONE_FS) == 0) {
        umask(0);
      }
      bind_here();
    }).join();
  } catch (const std::system_error&) {
    bind_here();  // no thread is to be had; the umask may keep others out
  }
  return error;
}

// 0, or an error number. Of servers that find the file stale at once, one gets it.
absl::StatusOr<int> Reclaim(int fd, const SocketName& name, int type, const SocketAddress& address,
                            std::optional<mode_t> mode) {
  // Without the lock first, which a stranger may hold.
  if (absl::Status stale = CheckStale(name, type, address); !stale.ok()) {
    return stale;
  }
  absl::StatusOr<DirectoryLock> lock = DirectoryLock::Acquire(name);
  if (!lock.ok()) {
    return lock.status();
  }
  if (absl::Status stale = CheckStale(name, type, address); !stale.ok()) {
    return stale;
  }
  if (unlink(name.name.c_str()) != 0 && errno != ENOENT) {
    return BindError(name, errno);
  }
  return Bind(fd, address, mode);
}

// Whether accept() says with this that a connection broke while it waited: then comes the next one.
// The list is accept(2)'s.
bool IsTheConnections(int error) {
  constexpr std::array kErrors = {EINTR,     ECONNABORTED, EPROTO,       ENETDOWN,   ENOPROTOOPT,
                                  EHOSTDOWN, ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH};
  return std::find(kErrors.begin(), kErrors.end(), error) != kErrors.end();
}

absl::StatusOr<UniqueFd> BindAndListen(const SocketName& name, int type,
                                       const SocketAddress& address, std::optional<mode_t> mode) {
  absl::StatusOr<UniqueFd> listener = NewSocket(type);
  if (!listener.ok()) {
    return listener;
  }
  // The socket file takes over the mode of the socket, so at no time can another user connect.
  if (mode && fchmod(listener->get(), *mode) != 0) {
    return BindError(name, errno);
  }
  int error = Bind(listener->get(), address, mode);
  if (error == EADDRINUSE && name.kind == SocketName::Kind::kPath) {
    const absl::StatusOr<int> reclaimed = Reclaim(listener->get(), name, type, address, mode);
    if (!reclaimed.ok()) {
      return reclaimed.status();
    }
    error = *reclaimed;
  }
  if (error == EADDRINUSE) {
    return AlreadyServed(name, type);
  }
  if (error != 0 || listen(listener->get(), SOMAXCONN) != 0) {
    return BindError(name, error != 0 ? error : errno);
  }
  return listener;
}

}  // namespace

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> SocketPair() {
  int fds[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
    return SystemError(errno, "creating a pair of sockets");
  }
  std::pair<UniqueFd, UniqueFd> ends(fds[0], fds[1]);
  if (!Set(fds[0], SO_PASSCRED, 1) || !Set(fds[1], SO_PASSCRED, 1)) {
    return CallRefused(errno, "setsockopt(SO_PASSCRED)", "creating a pair of sockets");
  }
  return ends;
}

absl::StatusOr<UniqueFd> ListenOn(const SocketName& name, int type, std::optional<mode_t> mode) {
  absl::StatusOr<SocketAddress> address = ToSocketAddress(name);
  return address.ok() ? BindAndListen(name, type, *address, mode) : address.status();
}

void AllowDescriptors(int fd) { Set(fd, kPassRights, 1); }

absl::StatusOr<UniqueFd> DialOnce(const SocketName& name, int type) {
  absl::StatusOr<SocketAddress> address = ToSocketAddress(name);
  if (!address.ok()) {
    return address.status();
  }
  absl::StatusOr<UniqueFd> fd = NewSocket(type);
  if (!fd.ok()) {
    return fd;
  }
  int result = 0;
  do {
    result = connect(fd->get(), address->get(), address->length);
  } while (result != 0 && errno == EINTR);
  if (result != 0) {
    return DialError(name, type, errno);
  }
  return fd;
}

absl::StatusOr<std::optional<UniqueFd>> AcceptOnce(int listener) {
  while (true) {
    UniqueFd fd(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      return std::make_optional(std::move(fd));
    }
    if (errno == EAGAIN) {
      return std::nullopt;
    }
    if (!IsTheConnections(errno)) {
      return SystemError(errno, "accepting a connection");
    }
  }
}

absl::StatusOr<ucred> PeerCredentials(int fd) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return CallFailed(errno, "getsockopt(SO_PEERCRED)", "asking who the peer is");
  }
  return peer;
}

std::string Describe(const ucred& process) {
  return process.pid == 0 ? absl::StrCat("a pid of another namespace, uid ", process.uid)
                          : absl::StrCat("pid ", process.pid, ", uid ", process.uid);
}

absl::Status WaitReadable(int fd, const Deadline& deadline) {
  if (fd < 0) {
    return absl::InvalidArgumentError("waiting for a descriptor: it is not open");
  }
  pollfd waited{fd, POLLIN, 0};
  while (true) {
    const timespec timeout = ToTimespec(deadline.Left(Deadline::Clock::duration::max()));
    const int ready = ppoll(&waited, 1, &timeout, nullptr);
    if (ready == 0) {
      if (deadline.passed()) {
        return absl::DeadlineExceededError("nothing came before the deadline");
      }
    } else if (ready > 0 && (waited.revents & POLLNVAL) != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("waiting for descriptor ", fd, ": it is not open"));
    } else if (ready > 0) {
      return absl::OkStatus();
    } else if (errno != EINTR) {
      return SystemError(errno, absl::StrCat("waiting for descriptor ", fd));
    }
  }
}

}  // namespace shoal
