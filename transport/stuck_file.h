// A file whose closing never returns, as anybody can have one who may mount FUSE.
#pragma once

#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "gtest/gtest.h"
#include "shoal/tests/scratch_folder.h"
#include "shoal/transport/test_process.h"

namespace shoal {

// A FUSE file system with one file, whose daemon does not answer when the file is closed. Needs
// root. This process has a mount namespace of its own from then on. Those that wait in close() go
// on once this object is gone, which ends the daemon.
class StuckFileSystem {
 public:
  StuckFileSystem() {
    EXPECT_EQ(unshare(CLONE_NEWNS), 0) << "this test needs root";
    EXPECT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    EXPECT_EQ(chmod(folder_.path().c_str(), 0755), 0);
    const int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    EXPECT_GE(device, 0) << "this test needs /dev/fuse: " << strerror(errno);
    const std::string options =
        "fd=" + std::to_string(device) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
    EXPECT_EQ(mount("stuck", folder_.path().c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()),
              0)
        << strerror(errno);
    daemon_ = Fork();
    if (daemon_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      Serve(device);
    }
    close(device);
  }
  StuckFileSystem(const StuckFileSystem&) = delete;
  StuckFileSystem& operator=(const StuckFileSystem&) = delete;
  ~StuckFileSystem() {
    kill(daemon_, SIGKILL);
    waitpid(daemon_, nullptr, 0);
    umount2(folder_.path().c_str(), MNT_DETACH);
  }

  // To be opened by another process, which never closes it in vain as the test's would.
  std::string file() const { return folder_.path() + "/file"; }

 private:
  static constexpr uint64_t kFile = 2;

  static fuse_attr Attributes(uint64_t node) {
    fuse_attr attributes{};
    attributes.ino = node;
    attributes.mode = node == kFile ? S_IFREG | 0666 : S_IFDIR | 0755;
    attributes.nlink = 1;
    return attributes;
  }

  template <typename T>
  static void Answer(int device, const fuse_in_header& request, const T& answer) {
    struct {
      fuse_out_header header;
      T answer;
    } reply{};
    reply.header.len = sizeof(fuse_out_header) + sizeof(T);
    reply.header.unique = request.unique;
    reply.answer = answer;
    [[maybe_unused]] const ssize_t sent = write(device, &reply, reply.header.len);
  }

  [[noreturn]] static void Serve(int device) {
    static char request[1 << 20];
    while (true) {
      if (read(device, request, sizeof(request)) < 0 && errno != EINTR) {
        _exit(0);
      }
      fuse_in_header header;
      memcpy(&header, request, sizeof(header));
      if (header.opcode == FUSE_INIT) {
        fuse_init_out init{};
        init.major = FUSE_KERNEL_VERSION;
        init.minor = 31;
        init.max_write = 4096;
        Answer(device, header, init);
      } else if (header.opcode == FUSE_LOOKUP) {
        fuse_entry_out entry{};
        entry.nodeid = kFile;
        entry.attr = Attributes(kFile);
        Answer(device, header, entry);
      } else if (header.opcode == FUSE_GETATTR) {
        fuse_attr_out attributes{};
        attributes.attr = Attributes(header.nodeid);
        Answer(device, header, attributes);
      } else if (header.opcode == FUSE_OPEN) {
        Answer(device, header, fuse_open_out{});
      } else if (header.opcode != FUSE_FLUSH && header.opcode != FUSE_RELEASE &&
                 header.opcode != FUSE_FORGET && header.opcode != FUSE_INTERRUPT) {
        fuse_out_header refusal = {
            .len = sizeof(refusal), .error = -ENOSYS, .unique = header.unique};
        [[maybe_unused]] const ssize_t sent = write(device, &refusal, sizeof(refusal));
      }
    }
  }

  const ScratchFolder folder_;
  pid_t daemon_ = 0;
};

}  // namespace shoal
