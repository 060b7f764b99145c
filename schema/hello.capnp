@0xc0a3e6f21b7d5489;
# The handshake of a channel: a hello from the client, a hello or a refusal from the server. A server that takes
# no descriptors before it knows its client has the client send a knock first, and answers with a welcome.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::schema");

struct Greeting {
  # Each packet is one Greeting. The first two fields keep their places in every version to come, so that
  # any two versions can tell each other what they are.

  magic @0 :UInt64;
  # "SHOAL" in memory. Anything else is not one of us.

  version @1 :UInt32;
  # Of the layout of shared memory. Both sides must have the same.

  union {
    hello @2 :Hello;
    refusal @3 :Refusal;

    knock @4 :Void;
    # The client could not send the descriptors of its hello yet, and waits for the welcome.

    welcome @5 :Void;
    # The server takes them now.
  }
}

struct Hello {
  # What the sender's outbox is. Two descriptors come with it: the control region, then the first slab.

  epoch @0 :UInt64;
  # A random number, which stands in the control region too. No two connections share one.

  slots @1 :UInt32;
  receipts @2 :UInt32;
  slabBytes @3 :UInt64;

  peerSlabsBytes @4 :UInt64;
  # How much the sender maps of the receiver's slabs, all together.

  maxFdsPerMessage @5 :UInt32;
  # How many descriptors the sender takes with a message.

  protocol @6 :Text;
  # What the messages mean. Both sides must have the same.

  maxMessageWords @7 :UInt64;
  # The largest message that the sender accepts.

  claim @8 :Text;
  # From a client: a connection of another kind that it has with the same server already, which the server is to
  # confirm, in words that only the programs above the channel know. Empty when it claims nothing.
}

struct Refusal {
  # The server's reason not to connect. It closes the socket after it.

  reason @0 :Reason;
  text @1 :Text;

  enum Reason {
    version @0;
    permission @1;
    resources @2;
    protocol @3;
  }
}
