@0xd1f7a95c03be4a26;
# What the two ends of a channel tell each other over the connection's socket once the channel runs. A packet
# of one byte is a ring; any longer one is a News.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::schema");

struct News {
  union {
    unknown @0 :Void;

    slabAdded :group {
      # The sender's outbox has one more slab, whose descriptor comes with the packet. Sent before the first
      # message that names it.

      number @1 :UInt32;
      # Above all that were before it: no number is used twice in a connection.

      bytes @2 :UInt64;
    }

    slabDropped @3 :UInt32;
    # The slab of this number is no more. The receiver has given back every block of it.

    messageFds @4 :Void;
    # The descriptors that come with this packet belong to a message. The ring says to which, after the packet
    # was sent; packets and messages have the same order.
  }
}
