// Streaming calls (`-> stream`) and their back-pressure.

#include "shoal/tests/rpc/service_test.h"

namespace shoal {
namespace {

using testing::HasSubstr;

constexpr size_t kChunkBytes = 4096;
constexpr uint64_t kGate = 1;

// More than any window: the largest is half of the default outbox's 8 MiB.
constexpr uint64_t kChunks = (8 << 20) / kChunkBytes;

class Streaming : public ServiceTest {
 protected:
  Streaming() {
    auto request = service.makeSinkRequest();
    request.setGate(kGate);
    sink = request.send().wait(wait_scope()).getSink();
  }
  ~Streaming() noexcept override {}

  kj::Promise<void> Write(size_t bytes = kChunkBytes) {
    auto request = sink.writeRequest();
    request.initChunk(bytes);
    return request.send();
  }

  // Writes all chunks at once. `accepted` says how many of them may be followed by another now.
  void WriteAll() {
    for (uint64_t chunk = 0; chunk < kChunks; ++chunk) {
      writes.push_back(Write().then([this] { ++accepted; }).eagerlyEvaluate(nullptr));
    }
    Echo(1);
  }

  void WaitForWrites() {
    for (kj::Promise<void>& write : writes) {
      write.wait(wait_scope());
    }
  }

  void OpenGate() { SendOpen(kGate).wait(wait_scope()); }

  auto Finish() { return sink.finishRequest().send(); }

  test::Sink::Client sink = nullptr;
  std::vector<kj::Promise<void>> writes;
  uint64_t accepted = 0;
};

TEST_P(Streaming, DeliversEveryChunk) {
  OpenGate();
  for (int i = 0; i < 1000; ++i) {
    Write().wait(wait_scope());
  }
  auto written = Finish().wait(wait_scope());
  EXPECT_EQ(written.getChunks(), 1000);
  EXPECT_EQ(written.getBytes(), 1000 * kChunkBytes);
}

TEST_P(Streaming, ASlowServerMakesTheClientWaitAfterSomeChunks) {
  WriteAll();
  EXPECT_GT(accepted, 1);
  EXPECT_LT(accepted, kChunks);
  OpenGate();
  WaitForWrites();
  EXPECT_EQ(accepted, kChunks);
  EXPECT_EQ(Finish().wait(wait_scope()).getChunks(), kChunks);
}

TEST_P(Streaming, OtherCallsPassAStreamThatIsBlocked) {
  WriteAll();
  auto request = service.sumRequest();
  request.initData(1 << 20)[0] = 2;
  EXPECT_EQ(request.send().wait(wait_scope()).getTotal(), 2);
  EXPECT_LT(accepted, kChunks);
}

TEST_P(Streaming, CallsAfterTheChunksWaitForThem) {
  for (int i = 0; i < 3; ++i) {
    Write().wait(wait_scope());
  }
  uint64_t written = 0;
  auto finished = Finish()
                      .then([&](auto response) { written = response.getChunks(); })
                      .eagerlyEvaluate(nullptr);
  Echo(1);
  EXPECT_EQ(written, 0);
  OpenGate();
  finished.wait(wait_scope());
  EXPECT_EQ(written, 3);
}

TEST_P(Streaming, AChunkThatFailsFailsWhatFollowsIt) {
  OpenGate();
  Write().wait(wait_scope());
  Write(0).wait(wait_scope());
  EXPECT_THAT(TextOf(FailureOfCall(Finish())), HasSubstr("an empty chunk"));
  EXPECT_THAT(TextOf(FailureOfCall(Write())), HasSubstr("an empty chunk"));
  EXPECT_EQ(Echo(1), 1);
}

TEST_P(Streaming, AChunkThatFailsFailsTheClientThatWaits) {
  Write(0).wait(wait_scope());
  WriteAll();
  ASSERT_LT(accepted, kChunks);
  OpenGate();
  EXPECT_THAT(TextOf(FailureOfCall(writes.back())), HasSubstr("an empty chunk"));
}

TEST_P(Streaming, AServerThatDiesFailsTheClientThatWaits) {
  WriteAll();
  ASSERT_LT(accepted, kChunks);
  server.Kill();
  EXPECT_EQ(FailureOfCall(writes.back()).getType(), kj::Exception::Type::DISCONNECTED);
}

SHOAL_INSTANTIATE_RPC(Streaming);

}  // namespace
}  // namespace shoal
