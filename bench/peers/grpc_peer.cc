#include "shoal/bench/peers/grpc_peer.h"

#ifdef SHOAL_BENCH_HAS_GRPC

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <string.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "shoal/bench/word_sum.h"

namespace shoal {
namespace {

constexpr char kMethod[] = "/shoal.Peer/Ask";

std::string Url(const std::string& address) { return absl::StrCat("unix-abstract:", address); }

// The bytes of a message in one piece.
absl::StatusOr<grpc::Slice> WholeOf(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  const grpc::Status whole = buffer.DumpToSingleSlice(&slice);
  if (!whole.ok()) {
    return absl::UnavailableError(whole.error_message());
  }
  return slice;
}

class Client final : public PeerClient {
 public:
  explicit Client(const std::string& address)
      : stub_(grpc::CreateChannel(Url(address), grpc::InsecureChannelCredentials())) {}

  absl::StatusOr<uint64_t> Ask(uint64_t sequence, uint64_t bytes) override {
    grpc_slice memory = grpc_slice_malloc(bytes);
    memset(GRPC_SLICE_START_PTR(memory), static_cast<int>(sequence & 0xff), bytes);
    const grpc::Slice request(memory, grpc::Slice::STEAL_REF);
    grpc::ClientContext context;
    const auto call =
        stub_.PrepareUnaryCall(&context, kMethod, grpc::ByteBuffer(&request, 1), &queue_);
    call->StartCall();
    grpc::ByteBuffer answer;
    grpc::Status status;
    call->Finish(&answer, &status, this);
    void* tag;
    bool done;
    if (!queue_.Next(&tag, &done) || !status.ok()) {
      return absl::UnavailableError(absl::StrCat("a call through gRPC: ", status.error_message()));
    }
    const absl::StatusOr<grpc::Slice> whole = WholeOf(answer);
    if (!whole.ok()) {
      return whole.status();
    }
    uint64_t sum = 0;
    memcpy(&sum, whole->begin(), whole->size() < sizeof(sum) ? 0 : sizeof(sum));
    return sum;
  }

 private:
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
};

// Answers one call, and is gone then.
class Answer final : public grpc::ServerGenericBidiReactor {
 public:
  Answer() { StartRead(&request_); }

  void OnReadDone(bool read) override {
    const absl::StatusOr<grpc::Slice> whole =
        read ? WholeOf(request_) : absl::UnavailableError("nothing was sent");
    if (!whole.ok()) {
      Finish({grpc::StatusCode::INVALID_ARGUMENT, std::string(whole.status().message())});
      return;
    }
    const uint64_t sum = WordSum(whole->begin(), whole->size());
    const grpc::Slice slice(&sum, sizeof(sum));
    answer_ = grpc::ByteBuffer(&slice, 1);
    StartWriteAndFinish(&answer_, grpc::WriteOptions(), grpc::Status::OK);
  }

  void OnDone() override { delete this; }

 private:
  grpc::ByteBuffer request_;
  grpc::ByteBuffer answer_;
};

class Service final : public grpc::CallbackGenericService {
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new Answer;
  }
};

absl::Status Serve(const std::string& address, void (*ready)()) {
  Service service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(Url(address), grpc::InsecureServerCredentials());
  builder.RegisterCallbackGenericService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    return absl::UnavailableError(absl::StrCat("gRPC cannot serve at ", Url(address)));
  }
  ready();
  server->Wait();
  return absl::UnavailableError("gRPC's server has ended");
}

absl::StatusOr<std::unique_ptr<PeerClient>> Connect(const std::string& address) {
  return std::make_unique<Client>(address);
}

// A socket in the abstract namespace goes with its process.
void CleanUp(const std::string&) {}

}  // namespace

std::optional<PeerLibrary> GrpcPeer() { return PeerLibrary{"grpc", Serve, Connect, CleanUp}; }

}  // namespace shoal

#else

namespace shoal {

std::optional<PeerLibrary> GrpcPeer() { return std::nullopt; }

}  // namespace shoal

#endif
