#include "shoal/rpc/sessions.h"

#include "capnp/rpc.h"
#include "kj/debug.h"
#include "shoal/rpc/sockets.h"
#include "shoal/rpc/vat.h"

namespace shoal {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

struct Sessions::Session final: private capnp::SturdyRefRestorer<capnp::AnyPointer> {
  // The restorer gives the main interface to who names nothing, which is what bootstrapping is.

  Session(Sessions& sessions, Vat vatParam, Peer peer)
      : sessions(sessions),
        peer(kj::mv(peer)),
        vat(kj::mv(vatParam)),
        rpcSystem(*vat.network, static_cast<capnp::SturdyRefRestorer<capnp::AnyPointer>&>(*this)) {
    if (sessions.traceEncoder) {
      rpcSystem.setTraceEncoder([&encode = sessions.traceEncoder](const kj::Exception& exception) {
        return encode(exception);
      });
    }
  }

  capnp::Capability::Client restore(capnp::AnyPointer::Reader objectId) override {
    auto hook = capnp::ClientHook::from(sessions.restore(peer, objectId));
    // The RPC system crashes on a null (0.9.2); an exception fails each call on what was asked for.
    if (hook.get() == nullptr || hook->isNull()) {
      kj::throwFatalException(kj::Exception(
          kj::Exception::Type::FAILED, __FILE__, __LINE__,
          kj::str("this server has nothing for its client at ", peer.Describe().c_str(),
                  ": its BootstrapFactory, main interface or export is null")));
    }
    return capnp::Capability::Client(kj::mv(hook));
  }

  Sessions& sessions;
  const Peer peer;
  Vat vat;
  capnp::RpcSystem<VatId> rpcSystem;
};

Sessions::Sessions(RpcContext& context, capnp::ReaderOptions readerOptions,
                   TraceEncoder traceEncoder, Restore restore)
    : context(context),
      readerOptions(readerOptions),
      traceEncoder(kj::mv(traceEncoder)),
      restore(kj::mv(restore)) {}

kj::Promise<void> Sessions::serve(kj::Own<Channel> channel) {
  Peer peer = channel->peer();
  return serve(kj::heap<Session>(
      *this, newVat(context.getPoller(), kj::mv(channel), Side::SERVER, readerOptions),
      kj::mv(peer)));
}

kj::Promise<void> Sessions::serve(kj::Own<kj::AsyncIoStream> stream, kj::StringPtr address) {
  Peer peer = peerBehind(*stream, address);
  return serve(
      kj::heap<Session>(*this, newVat(kj::mv(stream), Side::SERVER, readerOptions, peer), peer));
}

kj::Promise<void> Sessions::serve(kj::Own<Session> session) {
  if (draining) {
    session->vat.drain();
  }
  live.insert(session.get());
  auto leave = kj::defer([this, session = session.get()]() { live.erase(session); });
  auto disconnected = kj::mv(session->vat.disconnected);
  return disconnected.attach(kj::mv(leave), kj::mv(session));
}

void Sessions::drain() {
  draining = true;
  for (Session* session: live) {
    session->vat.drain();
  }
}

}  // namespace shoal
