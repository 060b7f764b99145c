#include "shoal/transport/stream_socket.h"

#include <string>

#include "gtest/gtest.h"
#include "shoal/transport/test_status.h"

namespace shoal {
namespace {

// A free port that the system gives to those who dial, which are the even ones (the odd ones go to
// those who bind).
Address FreeAddressOfADialler() {
  while (true) {
    const UniqueFd any = ListenStream(Address::Parse("127.0.0.1:0").value()).value();
    const std::string name = LocalName(any.get(), "");
    const int port = std::stoi(name.substr(name.rfind(':') + 1)) & ~1;
    const Address even = Address::Parse("127.0.0.1:" + std::to_string(port)).value();
    if (ListenStream(even).ok()) {
      return even;
    }
  }
}

TEST(StreamSocket, IsNeverConnectedWithItself) {
  const Address nobody = FreeAddressOfADialler();
  // More tries than there are ports that the system gives out: one of them gets the dialled one.
  for (int i = 0; i < 60000; ++i) {
    ASSERT_THAT(DialStream(nobody, Deadline::After(absl::Seconds(1))),
                Fails(absl::StatusCode::kUnavailable, "nobody listens on"));
  }
}

}  // namespace
}  // namespace shoal
