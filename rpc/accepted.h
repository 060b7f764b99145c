#pragma once
// The TCP connections that a server has accepted, for clients that claim to come from one.

#include <list>
#include <set>
#include <string>

#include "kj/async.h"
#include "kj/memory.h"
#include "kj/string.h"
#include "kj/time.h"
#include "kj/timer.h"
#include "shoal/rpc/upgrade.h"

namespace shoal {

class AcceptedConnections {
  // Belongs to the thread of its timer, and must outlive the promises and entries that it gives.

public:
  explicit AcceptedConnections(kj::Timer& timer): timer(timer) {}
  KJ_DISALLOW_COPY(AcceptedConnections);

  class Entry {
    // A connection is known as long as its entry lives.

  public:
    Entry(AcceptedConnections& connections, std::string claim);
    ~Entry() noexcept(false);
    KJ_DISALLOW_COPY(Entry);

  private:
    AcceptedConnections& connections;
    const std::string claim;
  };

  kj::Own<Entry> add(const TcpConnection& connection);

  kj::Promise<bool> confirm(kj::StringPtr claim);
  // Whether the connection of this TcpConnection::getClaim() is one of them. A client is connected
  // before its connection is accepted, so for one that is not there yet this waits a moment.

private:
  struct Waiting {
    std::string claim;
    kj::Own<kj::PromiseFulfiller<bool>> fulfiller;
  };

  kj::Timer& timer;
  std::multiset<std::string> claims;
  std::list<Waiting> waiting;
};

}  // namespace shoal
