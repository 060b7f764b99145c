#include "shoal/transport/same_user.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "shoal/transport/has_event.h"
#include "shoal/transport/socket.h"
#include "shoal/transport/unique_fd.h"

namespace shoal {
namespace {

constexpr uid_t kUsualOverflowUid = 65534;
constexpr uint64_t kAllUids = 4294967295;
constexpr int kPeerPidFd = 77;  // SO_PEERPIDFD, which older headers do not have

uid_t OverflowUid() {
  uid_t uid = kUsualOverflowUid;
  std::ifstream("/proc/sys/kernel/overflowuid") >> uid;
  return uid;
}

bool HasAllUids() {
  std::ifstream map("/proc/self/uid_map");
  uint64_t first = 1;
  uint64_t outside = 1;
  uint64_t count = 0;
  return map >> first >> outside >> count && first == 0 && outside == 0 && count == kAllUids;
}

// Refers to the process as long as it is open, whatever process gets its number next.
UniqueFd Open(int socket, pid_t pid) {
  const absl::StatusOr<ucred> connected = PeerCredentials(socket);
  int process = -1;
  socklen_t length = sizeof(process);
  // The process that made the connection may have died, and left the socket to a child and its
  // number to anybody. The kernel knows it by this; before 6.5 the number is all there is.
  if (connected.ok() && connected->pid == pid &&
      getsockopt(socket, SOL_SOCKET, kPeerPidFd, &process, &length) == 0) {
    return UniqueFd(process);
  }
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

struct Namespace {
  dev_t device;
  ino_t inode;

  bool operator==(const Namespace&) const = default;
};

std::optional<Namespace> NamespaceOf(const std::string& process, const char* kind) {
  struct stat file {};
  if (stat(("/proc/" + process + "/ns/" + kind).c_str(), &file) != 0) {
    return std::nullopt;
  }
  return Namespace{.device = file.st_dev, .inode = file.st_ino};
}

}  // namespace

bool IsUnknownUser(uid_t uid) { return uid == OverflowUid() && !HasAllUids(); }

bool SharesNamespaces(int socket, pid_t pid) {
  if (pid <= 0 || pid == getpid()) {
    return pid > 0;
  }
  const UniqueFd process = Open(socket, pid);
  if (!process) {
    return false;
  }
  for (const char* kind : {"user", "pid", "mnt"}) {
    const std::optional<Namespace> own = NamespaceOf("self", kind);
    if (!own || own != NamespaceOf(std::to_string(pid), kind)) {
      return false;
    }
  }
  // Last: while it lives, nobody else has its number.
  return !HasEvent(process.get());
}

}  // namespace shoal
