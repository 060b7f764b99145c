@0xf1c46d0b93ae7285;
# What each of two processes offers to the other, so that both have the same traffic.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::faults");

interface File {
  # A capability with a descriptor.
}

interface Party {
  meet @0 (party :Party);
  # Makes the caller known, which is talked to from then on.

  note @1 (packet :AnyPointer);
  # A packet of the tests of stress, in its turn.

  echo @2 (packet :AnyPointer) -> (packet :AnyPointer);
  # The same back.

  open @3 () -> (file :File);
  # The tally's.

  never @4 ();
  # Returns never.
}
