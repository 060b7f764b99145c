@0x8f3c61d2a7be9054;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("square");

struct Question {
  number @0 :Int64;
}

struct Answer {
  square @0 :Int64;
}
