#include "shoal/bench/peers/peer_libraries.h"

#include "shoal/bench/peers/boost_peer.h"
#include "shoal/bench/peers/grpc_peer.h"
#include "shoal/bench/peers/nng_peer.h"
#include "shoal/bench/peers/zmq_peer.h"

namespace shoal {

std::vector<PeerLibrary> PeerLibraries() {
  std::vector<PeerLibrary> libraries;
#ifndef __SANITIZE_THREAD__
  for (auto* peer : {ZmqPeer, NngPeer, GrpcPeer, BoostPeer}) {
    if (auto library = peer()) {
      libraries.push_back(*library);
    }
  }
#endif
  return libraries;
}

}  // namespace shoal
