#include "shoal/rpc/sessions.h"

#include <sys/socket.h>

#include "capnp/rpc.h"
#include "kj/debug.h"
#include "shoal/rpc/vat.h"
#include "shoal/transport/same_user.h"

namespace shoal {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

namespace {

Peer peerOf(kj::AsyncIoStream& stream, kj::StringPtr address) {
  Peer peer = {.address = address.cStr(), .pid = 0, .uid = kNoUid};
  KJ_IF_MAYBE (fd, stream.getFd()) {
    struct ucred credentials = {};
    socklen_t length = sizeof(credentials);
    // Over TCP the kernel answers with nobody's: no process has the id 0.
    if (::getsockopt(*fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 &&
        credentials.pid != 0) {
      peer.pid = credentials.pid;
      peer.uid = IsUnknownUser(credentials.uid) ? kNoUid : credentials.uid;
    }
  }
  return peer;
}

}  // namespace

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
    return sessions.restore(peer, objectId);
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
  Peer peer = peerOf(*stream, address);
  return serve(
      kj::heap<Session>(*this, newVat(kj::mv(stream), Side::SERVER, readerOptions), kj::mv(peer)));
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
