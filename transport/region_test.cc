#include "shoal/transport/region.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shoal/transport/test_process.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;

constexpr int kFourSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

size_t Page() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

Region CreateRegion(size_t bytes) {
  absl::StatusOr<Region> region = Region::Create(bytes);
  EXPECT_TRUE(region.ok()) << region.status();
  return *std::move(region);
}

UniqueFd Copy(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

// What a peer may send that is not quite a region.
UniqueFd Memfd(size_t bytes, size_t allocated, int seals) {
  UniqueFd fd(memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
  if (allocated > 0) {
    EXPECT_EQ(fallocate(fd.get(), 0, 0, static_cast<off_t>(allocated)), 0);
  }
  EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  return fd;
}

size_t MappedRegions() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    count += line.find("/memfd:") != line.npos;
  }
  return count;
}

void ExpectRefusedByMap(UniqueFd fd, size_t expected_bytes, const std::string& reason) {
  absl::StatusOr<Region> region = Region::Map(std::move(fd), expected_bytes);
  EXPECT_EQ(region.status().code(), absl::StatusCode::kDataLoss) << region.status();
  EXPECT_THAT(std::string(region.status().message()), HasSubstr(reason));
}

TEST(Region, IsZeroWhenCreated) {
  const Region region = CreateRegion(4 * Page());
  EXPECT_EQ(region.size(), 4 * Page());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(region.data()) % Page(), 0u);
  EXPECT_TRUE(std::all_of(region.data(), region.data() + region.size(),
                          [](std::byte b) { return b == std::byte{0}; }));
}

TEST(Region, IsAllocatedWhenCreated) {
  const Region region = CreateRegion(1000 * Page());
  struct stat file {};
  ASSERT_EQ(fstat(region.fd(), &file), 0);
  EXPECT_EQ(static_cast<size_t>(file.st_blocks) * 512, region.size());
}

TEST(Region, HasADescriptorThatIsNotInheritedByAnotherProgram) {
  const Region region = CreateRegion(Page());
  EXPECT_EQ(fcntl(region.fd(), F_GETFD), FD_CLOEXEC);
}

TEST(Region, LetsThePeerReadWhatTheOwnerWrites) {
  const Region owned = CreateRegion(2 * Page());
  absl::StatusOr<Region> mapped = Region::Map(Copy(owned.fd()), owned.size());
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  ASSERT_NE(mapped->data(), owned.data());

  owned.data()[0] = std::byte{42};
  owned.data()[owned.size() - 1] = std::byte{43};

  EXPECT_EQ(mapped->size(), owned.size());
  EXPECT_EQ(mapped->data()[0], std::byte{42});
  EXPECT_EQ(mapped->data()[owned.size() - 1], std::byte{43});
}

TEST(Region, StaysMappedWhenItsDescriptorWasGivenAway) {
  Region owned = CreateRegion(Page());
  absl::StatusOr<Region> mapped = Region::Map(owned.ReleaseFd(), owned.size());
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  EXPECT_EQ(owned.fd(), -1);
  owned.data()[7] = std::byte{1};
  EXPECT_EQ(mapped->data()[7], std::byte{1});
}

TEST(Region, NeedsNoDescriptorWhenItIsThePeers) {
  const Region owned = CreateRegion(Page());
  const size_t before = OpenDescriptors();
  absl::StatusOr<Region> mapped = Region::Map(Copy(owned.fd()), owned.size());
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  EXPECT_EQ(mapped->fd(), -1);
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST(Region, MovesItsMapping) {
  Region first = CreateRegion(Page());
  std::byte* const data = first.data();
  Region second = std::move(first);
  EXPECT_EQ(first.data(), nullptr);
  EXPECT_EQ(second.data(), data);
  Region third = CreateRegion(2 * Page());
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third.size(), Page());
}

TEST(Region, CannotBeMappedForWritingAgain) {
  const Region region = CreateRegion(Page());
  EXPECT_EQ(mmap(nullptr, Page(), PROT_READ | PROT_WRITE, MAP_SHARED, region.fd(), 0), MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
}

TEST(Region, CannotBeMadeWritableWhereThePeerMappedIt) {
  const Region owned = CreateRegion(Page());
  absl::StatusOr<Region> mapped = Region::Map(Copy(owned.fd()), owned.size());
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  EXPECT_EQ(mprotect(mapped->data(), mapped->size(), PROT_READ | PROT_WRITE), -1);
  EXPECT_EQ(errno, EACCES);
}

TEST(Region, CannotBeWrittenThroughItsDescriptor) {
  const Region region = CreateRegion(Page());
  EXPECT_EQ(pwrite(region.fd(), "x", 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(Region, CannotBeWrittenByOpeningItAnew) {
  const Region region = CreateRegion(Page());
  const UniqueFd reopened(
      open(("/proc/self/fd/" + std::to_string(region.fd())).c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(reopened);  // the kernel opens it, and lets nothing be written
  EXPECT_EQ(pwrite(reopened.get(), "x", 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(mmap(nullptr, Page(), PROT_READ | PROT_WRITE, MAP_SHARED, reopened.get(), 0),
            MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
}

TEST(Region, CannotBeMadeShorterOrLonger) {
  const Region region = CreateRegion(2 * Page());
  EXPECT_EQ(ftruncate(region.fd(), static_cast<off_t>(Page())), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(ftruncate(region.fd(), static_cast<off_t>(3 * Page())), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(Region, CannotGetAHole) {
  const Region region = CreateRegion(2 * Page());
  EXPECT_EQ(fallocate(region.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                      static_cast<off_t>(Page())),
            -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(madvise(region.data(), Page(), MADV_REMOVE), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(Region, CannotGetFurtherSeals) {
  const Region region = CreateRegion(Page());
  EXPECT_EQ(fcntl(region.fd(), F_ADD_SEALS, F_SEAL_WRITE), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(RegionCreate, RefusesASizeThatIsNotOfWholePages) {
  EXPECT_EQ(Region::Create(0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Region::Create(Page() + 8).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Region::Create(~size_t{0} - Page() + 1).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(RegionCreate, RefusesMoreThanTheFileSizeLimitWithoutASignal) {
  const LoweredLimit limit(RLIMIT_FSIZE, Page());
  const absl::Status status = Region::Create(2 * Page()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("RLIMIT_FSIZE, which is " + std::to_string(Page())));
}

TEST(RegionCreate, TakesAsMuchAsTheFileSizeLimitAllows) {
  const LoweredLimit limit(RLIMIT_FSIZE, 2 * Page());
  EXPECT_TRUE(Region::Create(2 * Page()).ok());
}

TEST(RegionCreate, NamesTheDescriptorLimit) {
  absl::Status status;
  {
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    status = Region::Create(Page()).status();
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("RLIMIT_NOFILE is 3"));
}

TEST(RegionCreate, RefusesMoreThanTheMemoryOfTheMachine) {
  const absl::Status status = Region::Create(size_t{1} << 46).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("memory and swap available"));
}

TEST(RegionCreate, NamesTheAddressSpaceLimit) {
  constexpr size_t kSlack = size_t{64} << 20;  // for what else the process allocates meanwhile
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const size_t before = OpenDescriptors();
  const LoweredLimit limit(RLIMIT_AS, pages * Page() + kSlack);
  const absl::Status status = Region::Create(2 * kSlack).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("RLIMIT_AS is " + std::to_string(pages * Page() + kSlack)));
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST(RegionMap, RefusesAnotherSize) {
  const Region region = CreateRegion(2 * Page());
  ExpectRefusedByMap(
      Copy(region.fd()), Page(),
      "size in bytes is " + std::to_string(2 * Page()) + ", expected " + std::to_string(Page()));
  ExpectRefusedByMap(Copy(region.fd()), 4 * Page(), "size in bytes");
}

TEST(RegionMap, RefusesEachMissingSeal) {
  ExpectRefusedByMap(Memfd(Page(), Page(), kFourSeals & ~F_SEAL_SHRINK), Page(), "seals are 0x15");
  ExpectRefusedByMap(Memfd(Page(), Page(), kFourSeals & ~F_SEAL_GROW), Page(), "seals are 0x13");
  ExpectRefusedByMap(Memfd(Page(), Page(), kFourSeals & ~F_SEAL_FUTURE_WRITE), Page(),
                     "seals are 0x7");
  ExpectRefusedByMap(Memfd(Page(), Page(), kFourSeals & ~F_SEAL_SEAL), Page(), "seals are 0x16");
}

TEST(RegionMap, TakesFurtherSeals) {
  EXPECT_TRUE(Region::Map(Memfd(Page(), Page(), kFourSeals | F_SEAL_WRITE), Page()).ok());
}

TEST(RegionMap, RefusesAFileWithAHole) {
  ExpectRefusedByMap(Memfd(2 * Page(), Page(), kFourSeals), 2 * Page(),
                     "memory allocated in bytes is " + std::to_string(Page()));
}

TEST(RegionMap, RefusesAFileWhoseMemoryLiesBehindItsEnd) {
  UniqueFd forged(memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const auto bytes = static_cast<off_t>(2 * Page());
  ASSERT_EQ(ftruncate(forged.get(), bytes), 0);
  ASSERT_EQ(fallocate(forged.get(), FALLOC_FL_KEEP_SIZE, bytes, bytes), 0);
  ASSERT_EQ(fcntl(forged.get(), F_ADD_SEALS, kFourSeals), 0);
  ExpectRefusedByMap(std::move(forged), 2 * Page(), "memory allocated in bytes is 0");
}

TEST(Region, CannotGetMemoryBehindItsEnd) {
  const Region region = CreateRegion(Page());
  EXPECT_EQ(fallocate(region.fd(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(Page()),
                      static_cast<off_t>(Page())),
            -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(RegionMap, RefusesADescriptorThatIsNotForReadingAndWriting) {
  const Region region = CreateRegion(Page());
  const std::string path = "/proc/self/fd/" + std::to_string(region.fd());
  for (const int flags : {O_RDONLY, O_WRONLY, O_PATH}) {
    UniqueFd reopened(open(path.c_str(), flags | O_CLOEXEC));
    ASSERT_TRUE(reopened);
    ExpectRefusedByMap(std::move(reopened), Page(), flags == O_PATH ? "seals" : "open with flags");
  }
}

TEST(RegionMap, RefusesWhatIsNoMemfd) {
  ExpectRefusedByMap(UniqueFd(open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), Page(), "seals");

  int pipes[2];
  ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
  const UniqueFd write_end(pipes[1]);
  ExpectRefusedByMap(UniqueFd(pipes[0]), Page(), "seals");

  ExpectRefusedByMap(UniqueFd(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), Page(), "seals");
  ExpectRefusedByMap(UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), Page(), "seals");
}

TEST(RegionMap, RefusesHugePages) {
  UniqueFd huge(memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB));
  ASSERT_TRUE(huge);
  ASSERT_EQ(fcntl(huge.get(), F_ADD_SEALS, kFourSeals), 0);
  ExpectRefusedByMap(std::move(huge), Page(), "set ChannelOptions::huge_pages");
}

TEST(RegionMap, RefusesNothingAndASizeThatIsNotOfWholePages) {
  const Region region = CreateRegion(Page());
  EXPECT_EQ(Region::Map(UniqueFd(), Page()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Region::Map(Copy(region.fd()), 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Region::Map(Copy(region.fd()), Page() - 1).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Region, LeavesNoDescriptorAndNoMappingBehind) {
  const size_t descriptors = OpenDescriptors();
  const size_t mappings = MappedRegions();
  {
    Region owned = CreateRegion(Page());
    const absl::StatusOr<Region> mapped = Region::Map(Copy(owned.fd()), Page());
    ASSERT_TRUE(mapped.ok()) << mapped.status();
    EXPECT_EQ(MappedRegions(), mappings + 2);
    EXPECT_FALSE(Region::Map(Copy(owned.fd()), 2 * Page()).ok());
    EXPECT_FALSE(Region::Map(Copy(owned.fd()), 1).ok());
    EXPECT_FALSE(Region::Map(Memfd(Page(), 0, kFourSeals), Page()).ok());
    Region moved = std::move(owned);
    moved = CreateRegion(2 * Page());
    EXPECT_EQ(MappedRegions(), mappings + 2);
  }
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_EQ(MappedRegions(), mappings);
}

}  // namespace
}  // namespace shoal
