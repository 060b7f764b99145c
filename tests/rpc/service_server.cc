#include "shoal/tests/rpc/service_server.h"

#include <cstring>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "kj/debug.h"
#include "shoal/tests/cancelable.h"

namespace shoal {
namespace {

using Failure = test::Service::Failure;

kj::Exception::Type TypeOf(Failure failure) {
  switch (failure) {
    case Failure::FAILED:
      return kj::Exception::Type::FAILED;
    case Failure::OVERLOADED:
      return kj::Exception::Type::OVERLOADED;
    case Failure::DISCONNECTED:
      return kj::Exception::Type::DISCONNECTED;
    case Failure::UNIMPLEMENTED:
      return kj::Exception::Type::UNIMPLEMENTED;
  }
  KJ_UNREACHABLE;
}

kj::Exception NewException(Failure failure, kj::StringPtr text) {
  return kj::Exception(TypeOf(failure), __FILE__, __LINE__, kj::heapString(text));
}

// Counts a call as waiting while it does.
class Waiting {
 public:
  explicit Waiting(std::shared_ptr<ServiceState> state) : state_(std::move(state)) {
    ++state_->waiting;
  }
  KJ_DISALLOW_COPY(Waiting);
  ~Waiting() { --state_->waiting; }

 private:
  std::shared_ptr<ServiceState> state_;
};

class WaiterServer : public test::Waiter::Server {
 public:
  explicit WaiterServer(std::shared_ptr<ServiceState> state) : state_(std::move(state)) {}

 protected:
  kj::Promise<void> pass(PassContext context) override {
    const uint64_t gate = context.getParams().getGate();
    return state_->gate(gate)
        .opened.addBranch()
        .then([context, gate, state = state_]() mutable {
          ++state->passed;
          auto results = context.getResults();
          results.setGate(gate);
          results.setChild(ServiceServer::Make(state));
        })
        .attach(kj::heap<Waiting>(state_));
  }

 private:
  std::shared_ptr<ServiceState> state_;
};

class SinkServer final : public test::Sink::Server {
 public:
  explicit SinkServer(kj::ForkedPromise<void> gate) : gate_(kj::mv(gate)) {}

 protected:
  kj::Promise<void> write(WriteContext context) override {
    return gate_.addBranch().then([this, context]() mutable {
      const size_t bytes = context.getParams().getChunk().size();
      KJ_REQUIRE(bytes > 0, "an empty chunk");
      ++chunks_;
      bytes_ += bytes;
    });
  }

  kj::Promise<void> finish(FinishContext context) override {
    auto results = context.getResults();
    results.setChunks(chunks_);
    results.setBytes(bytes_);
    return kj::READY_NOW;
  }

 private:
  kj::ForkedPromise<void> gate_;
  uint64_t chunks_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace

ServiceState::Gate& ServiceState::gate(uint64_t number) {
  auto [entry, is_new] = gates.try_emplace(number);
  if (is_new) {
    auto pair = kj::newPromiseAndFulfiller<void>();
    entry->second = {pair.promise.fork(), kj::mv(pair.fulfiller)};
  }
  return entry->second;
}

kj::Promise<void> RecorderServer::append(AppendContext context) {
  values_->push_back(context.getParams().getValue());
  return kj::READY_NOW;
}

kj::Promise<void> RecorderServer::read(ReadContext context) {
  auto values = context.getResults().initValues(values_->size());
  for (size_t i = 0; i < values_->size(); ++i) {
    values.set(i, (*values_)[i]);
  }
  return kj::READY_NOW;
}

test::Service::Client ServiceServer::Make(std::shared_ptr<ServiceState> state) {
  ServiceState& reference = *state;
  return reference.own.add(kj::heap<ServiceServer>(std::move(state)));
}

ServiceServer::ServiceServer(std::shared_ptr<ServiceState> state) : state_(std::move(state)) {
  ++state_->services;
}

ServiceServer::~ServiceServer() { --state_->services; }

kj::Promise<void> ServiceServer::echo(EchoContext context) {
  context.getResults().setValue(context.getParams().getValue());
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::fill(FillContext context) {
  auto params = context.getParams();
  auto data = context.getResults().initData(params.getBytes());
  memset(data.begin(), params.getValue(), data.size());
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::sum(SumContext context) {
  auto data = context.getParams().getData();
  context.getResults().setTotal(std::accumulate(data.begin(), data.end(), uint64_t{0}));
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::fail(FailContext context) {
  auto params = context.getParams();
  return NewException(params.getType(), params.getText());
}

kj::Promise<void> ServiceServer::throwKj(ThrowKjContext context) {
  auto params = context.getParams();
  kj::throwFatalException(NewException(params.getType(), params.getText()));
}

kj::Promise<void> ServiceServer::throwStandard(ThrowStandardContext context) {
  throw std::runtime_error(context.getParams().getText().cStr());
}

kj::Promise<void> ServiceServer::makeChild(MakeChildContext context) {
  context.getResults().setChild(Make(state_));
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::isOwn(IsOwnContext context) {
  auto service = kj::heap(context.getParams().getService());
  auto looked_up = state_->own.getLocalServer(*service);
  return looked_up
      .then([context](kj::Maybe<test::Service::Server&> found) mutable {
        context.getResults().setOwn(found != nullptr);
      })
      .attach(kj::mv(service));
}

kj::Promise<void> ServiceServer::open(OpenContext context) {
  state_->gate(context.getParams().getGate()).opener->fulfill();
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::census(CensusContext context) {
  auto results = context.getResults();
  results.setChildren(state_->services - 1);
  results.setWaiting(state_->waiting);
  results.setPassed(state_->passed);
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::makeWaiter(MakeWaiterContext context) {
  context.getResults().setWaiter(kj::heap<WaiterServer>(state_));
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::makeCancelableWaiter(MakeCancelableWaiterContext context) {
  context.getResults().setWaiter(kj::heap<Cancelable<WaiterServer>>(state_));
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::makeRecorder(MakeRecorderContext context) {
  context.getResults().setRecorder(kj::heap<RecorderServer>());
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::makeSink(MakeSinkContext context) {
  auto gate = state_->gate(context.getParams().getGate()).opened.addBranch().fork();
  context.getResults().setSink(kj::heap<SinkServer>(kj::mv(gate)));
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::keep(KeepContext context) {
  state_->kept = context.getParams().getTarget();
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::forget(ForgetContext) {
  state_->kept = nullptr;
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::callKept(CallKeptContext context) {
  auto request = KJ_REQUIRE_NONNULL(state_->kept, "nothing is kept").echoRequest();
  request.setValue(context.getParams().getValue());
  return request.send().then(
      [context](auto response) mutable { context.getResults().setValue(response.getValue()); });
}

kj::Promise<void> ServiceServer::getKept(GetKeptContext context) {
  context.getResults().setTarget(KJ_REQUIRE_NONNULL(state_->kept, "nothing is kept"));
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::giveBack(GiveBackContext context) {
  context.getResults().setRecorder(context.getParams().getRecorder());
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::promise(PromiseContext context) {
  auto pair = kj::newPromiseAndFulfiller<test::Recorder::Client>();
  state_->promised = kj::mv(pair.fulfiller);
  context.getResults().setRecorder(kj::mv(pair.promise));
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::settle(SettleContext context) {
  state_->promised->fulfill(context.getParams().getRecorder());
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::abandon(AbandonContext context) {
  state_->promised->reject(NewException(Failure::OVERLOADED, context.getParams().getText()));
  return kj::READY_NOW;
}

kj::Promise<void> ServiceServer::callFail(CallFailContext context) {
  auto params = context.getParams();
  auto request = params.getTarget().failRequest();
  request.setType(params.getType());
  request.setText(params.getText());
  return request.send().ignoreResult();
}

kj::Promise<void> ServiceServer::tailEcho(TailEchoContext context) {
  auto request = context.getParams().getTarget().echoRequest();
  request.setValue(context.getParams().getValue());
  return context.tailCall(kj::mv(request));
}

kj::Promise<void> ServiceServer::tailFail(TailFailContext context) {
  auto params = context.getParams();
  auto request = params.getTarget().failRequest();
  request.setType(params.getType());
  request.setText(params.getText());
  return context.tailCall(kj::mv(request));
}

kj::Promise<void> ServiceServer::tailMakeChild(TailMakeChildContext context) {
  return context.tailCall(context.getParams().getTarget().makeChildRequest());
}

}  // namespace shoal
