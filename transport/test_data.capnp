@0x9a0d1f5bb2f4a7c3;
# What the tests of this package send.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::test");

struct Blob {
  number @0 :UInt64;
  data @1 :Data;
}

struct Blobs {
  blobs @0 :List(Blob);
}
