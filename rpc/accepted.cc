#include "shoal/rpc/accepted.h"

#include "absl/time/time.h"
#include "kj/debug.h"
#include "shoal/rpc/duration.h"

namespace shoal {
namespace {

constexpr absl::Duration ACCEPT_PATIENCE = absl::Milliseconds(100);
// A loop accepts all that waits in one go, so this is for one that is busy. A client of another
// server waits as long, which is only where a server that offers nothing has the address itself and
// one that does has any address. Whoever was refused for it stays with TCP.

}  // namespace

AcceptedConnections::Entry::Entry(AcceptedConnections& connectionsParam, std::string claimParam)
    : connections(connectionsParam), claim(kj::mv(claimParam)) {
  connections.claims.insert(claim);
  for (Waiting& each: connections.waiting) {
    if (each.claim == claim) {
      each.fulfiller->fulfill(true);
    }
  }
}

AcceptedConnections::Entry::~Entry() noexcept(false) {
  connections.claims.erase(connections.claims.find(claim));
}

kj::Own<AcceptedConnections::Entry> AcceptedConnections::add(const TcpConnection& connection) {
  return kj::heap<Entry>(*this, connection.getClaim().cStr());
}

kj::Promise<bool> AcceptedConnections::confirm(kj::StringPtr claim) {
  if (claims.count(claim.cStr()) > 0) {
    return true;
  }
  auto paf = kj::newPromiseAndFulfiller<bool>();
  const auto self = waiting.insert(waiting.end(), {claim.cStr(), kj::mv(paf.fulfiller)});
  return paf.promise
      .exclusiveJoin(timer.atTime(deadlineIn(ACCEPT_PATIENCE)).then([]() { return false; }))
      .attach(kj::defer([this, self]() { waiting.erase(self); }));
}

}  // namespace shoal
