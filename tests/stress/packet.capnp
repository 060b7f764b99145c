@0xe2b7d1904c5f3a68;
# What the stress runs send.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::stress");

struct Packet {
  number @0 :UInt64;
  pieces @1 :List(Data);
  # Words that follow from the number, the piece and the place: see packets.h.
}
