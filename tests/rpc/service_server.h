// The implementation of Service, for the server's process and for objects of the client.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "kj/async.h"
#include "shoal/tests/rpc/service.capnp.h"

namespace shoal {

// What all objects of a server share.
struct ServiceState {
  struct Gate {
    kj::ForkedPromise<void> opened = nullptr;
    kj::Own<kj::PromiseFulfiller<void>> opener;
  };

  Gate& gate(uint64_t number);

  uint64_t services = 0;  // that live
  uint64_t waiting = 0;   // calls at gates
  uint64_t passed = 0;    // calls that waited at a gate until it was open
  std::map<uint64_t, Gate> gates;
  kj::Maybe<test::Service::Client> kept;
  kj::Own<kj::PromiseFulfiller<test::Recorder::Client>> promised;
  capnp::CapabilityServerSet<test::Service> own;
};

using RecordedValues = std::vector<uint64_t>;

class RecorderServer final : public test::Recorder::Server {
 public:
  explicit RecorderServer(
      std::shared_ptr<RecordedValues> values = std::make_shared<RecordedValues>())
      : values_(std::move(values)) {}

 protected:
  kj::Promise<void> append(AppendContext context) override;
  kj::Promise<void> read(ReadContext context) override;

 private:
  std::shared_ptr<RecordedValues> values_;
};

class ServiceServer final : public test::Service::Server {
 public:
  // A new object of the server whose state that is.
  static test::Service::Client Make(std::shared_ptr<ServiceState> state);

  explicit ServiceServer(std::shared_ptr<ServiceState> state);
  ~ServiceServer();

 protected:
  kj::Promise<void> echo(EchoContext context) override;
  kj::Promise<void> fill(FillContext context) override;
  kj::Promise<void> sum(SumContext context) override;
  kj::Promise<void> fail(FailContext context) override;
  kj::Promise<void> throwKj(ThrowKjContext context) override;
  kj::Promise<void> throwStandard(ThrowStandardContext context) override;
  kj::Promise<void> makeChild(MakeChildContext context) override;
  kj::Promise<void> isOwn(IsOwnContext context) override;
  kj::Promise<void> open(OpenContext context) override;
  kj::Promise<void> census(CensusContext context) override;
  kj::Promise<void> makeWaiter(MakeWaiterContext context) override;
  kj::Promise<void> makeCancelableWaiter(MakeCancelableWaiterContext context) override;
  kj::Promise<void> makeRecorder(MakeRecorderContext context) override;
  kj::Promise<void> makeSink(MakeSinkContext context) override;
  kj::Promise<void> keep(KeepContext context) override;
  kj::Promise<void> forget(ForgetContext context) override;
  kj::Promise<void> callKept(CallKeptContext context) override;
  kj::Promise<void> getKept(GetKeptContext context) override;
  kj::Promise<void> giveBack(GiveBackContext context) override;
  kj::Promise<void> promise(PromiseContext context) override;
  kj::Promise<void> settle(SettleContext context) override;
  kj::Promise<void> abandon(AbandonContext context) override;
  kj::Promise<void> callFail(CallFailContext context) override;
  kj::Promise<void> tailEcho(TailEchoContext context) override;
  kj::Promise<void> tailFail(TailFailContext context) override;
  kj::Promise<void> tailMakeChild(TailMakeChildContext context) override;

 private:
  std::shared_ptr<ServiceState> state_;
};

}  // namespace shoal
