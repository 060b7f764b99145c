#include "shoal/transport/handshake.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "shoal/transport/greeting.h"
#include "shoal/transport/link.h"
#include "shoal/transport/packet.h"
#include "shoal/transport/peer_watch.h"
#include "shoal/transport/same_user.h"
#include "shoal/transport/shm_channel.h"
#include "shoal/transport/socket.h"

namespace shoal {
namespace {

uint64_t NewEpoch() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

Region::Pages PagesFor(const ChannelOptions& options) {
  return options.huge_pages ? Region::Pages::kHuge : Region::Pages::kNormal;
}

absl::StatusOr<Outbox> NewOutbox(const ChannelOptions& options) {
  absl::StatusOr<Outbox> outbox =
      Outbox::Create(OutboxShape::Of(options), NewEpoch(), PagesFor(options));
  if (outbox.ok() && options.prefault) {
    outbox->control_region().Prefault();
    outbox->slab_region().Prefault();
  }
  return outbox;
}

// What one side of a handshake knows of it.
struct Handshake {
  int fd;
  const Address& address;
  uid_t uid;  // that the other side must have
  const ChannelOptions& options;
  Side side;
};

absl::Status CheckUid(const Handshake& handshake, const Peer& peer) {
  const std::vector<uid_t>& others = handshake.options.allowed_uids;
  if (peer.uid != handshake.uid &&
      std::find(others.begin(), others.end(), peer.uid) == others.end()) {
    return absl::PermissionDeniedError(
        absl::StrCat(TheOther(handshake.side, peer), " has user id ", peer.uid, "; allowed is ",
                     handshake.uid, others.empty() ? "" : ", or one of ",
                     absl::StrJoin(others, ", "), "; ChannelOptions::allowed_uids lets others in"));
  }
  // This process itself is no stranger, whatever its number.
  if (peer.pid != getpid() && IsUnknownUser(peer.uid)) {
    return absl::PermissionDeniedError(absl::StrCat(
        TheOther(handshake.side, peer), " has user id ", peer.uid,
        ", which in this user namespace stands for every user without a number in it; give the "
        "program a user of its own there"));
  }
  return absl::OkStatus();
}

// The first look at the other side, before anything is read.
absl::StatusOr<Peer> LookAtConnection(const Handshake& handshake) {
  const absl::StatusOr<ucred> process = PeerCredentials(handshake.fd);
  if (!process.ok()) {
    return process.status();
  }
  Peer peer = {.address = handshake.address.text(), .pid = process->pid, .uid = process->uid};
  if (absl::Status allowed = CheckUid(handshake, peer); !allowed.ok()) {
    return allowed;
  }
  AllowDescriptors(handshake.fd);
  return peer;
}

// The peer's greeting packet with the peer's identity by the kernel's word, or nothing yet.
struct Greeted {
  Packet packet;
  Peer peer;
};

absl::StatusOr<std::optional<Greeted>> ReceiveGreeting(const Handshake& handshake) {
  const std::optional<std::vector<std::byte>> bytes = PeekPacket(handshake.fd, kMaxGreetingBytes);
  if (!bytes) {
    return std::nullopt;
  }
  // A packet of a kind that has no descriptors is what it is, with some or without.
  const size_t most_fds = MostFdsOfGreeting(*bytes);
  absl::StatusOr<std::optional<Packet>> packet = ReceivePacket(
      handshake.fd, kMaxGreetingBytes, most_fds, most_fds > 0 ? MoreFds::kRefuse : MoreFds::kDrop);
  if (!packet.ok() || !*packet) {
    return packet.ok() ? absl::StatusOr<std::optional<Greeted>>(std::nullopt) : packet.status();
  }
  const Peer peer = {.address = handshake.address.text(),
                     .pid = (*packet)->sender.pid,
                     .uid = (*packet)->sender.uid};
  if (absl::Status allowed = CheckUid(handshake, peer); !allowed.ok()) {
    return allowed;
  }
  return Greeted{.packet = **std::move(packet), .peer = peer};
}

// By both looks a process of this one's user.
bool IsSameUser(const Handshake& handshake, const Peer& peer) {
  const absl::StatusOr<ucred> connected = PeerCredentials(handshake.fd);
  return connected.ok() && connected->uid == geteuid() && peer.uid == geteuid() &&
         SharesNamespaces(handshake.fd, peer.pid);
}

absl::StatusOr<PeerOutbox> MapRegions(Hello& hello, const Peer& peer,
                                      const ChannelOptions& options) {
  if (hello.shape.slab_bytes > options.max_peer_slabs_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the first slab of the peer at ", peer.Describe(), " has ", hello.shape.slab_bytes,
        " bytes, more than ChannelOptions::max_peer_slabs_bytes, ", options.max_peer_slabs_bytes,
        "; raise it, or lower slab_bytes on the other side"));
  }
  absl::StatusOr<PeerOutbox> theirs = PeerOutbox::Map(
      hello.shape, hello.epoch, peer, std::move(hello.control), std::move(hello.slab),
      PeerSlabs(options.max_peer_slabs_bytes, PagesFor(options)));
  if (theirs.ok() && options.prefault) {
    theirs->Prefault();
  }
  return theirs;
}

}  // namespace

// Complete once the peer's greeting has come and is right.
struct Met {
  Peer peer;
  Hello hello;
  PeerOutbox theirs;
  PeerWatch watch;
};

namespace {

// What a look at the socket has found.
struct Heard {
  enum class What {
    kNothing,
    kPrelude,  // a knock, or a welcome
    kHello,
  };

  What what = What::kNothing;
  std::optional<Met> met;  // by a hello
};

absl::StatusOr<Heard> Meet(const Handshake& handshake) {
  absl::StatusOr<std::optional<Greeted>> greeted = ReceiveGreeting(handshake);
  if (!greeted.ok() || !*greeted) {
    return greeted.ok() ? absl::StatusOr<Heard>(Heard()) : greeted.status();
  }
  Peer& peer = (*greeted)->peer;
  absl::StatusOr<std::optional<Hello>> hello =
      ReadGreeting((*greeted)->packet, peer, handshake.side, handshake.options);
  if (!hello.ok() || !*hello) {
    return hello.ok() ? absl::StatusOr<Heard>(Heard{.what = Heard::What::kPrelude, .met = {}})
                      : hello.status();
  }
  absl::StatusOr<PeerOutbox> theirs = MapRegions(**hello, peer, handshake.options);
  if (!theirs.ok()) {
    return theirs.status();
  }
  absl::StatusOr<PeerWatch> watch = PeerWatch::Create(peer);
  if (!watch.ok()) {
    return watch.status();
  }
  peer.same_user = IsSameUser(handshake, peer);
  return Heard{.what = Heard::What::kHello,
               .met = Met{.peer = peer,
                          .hello = **std::move(hello),
                          .theirs = *std::move(theirs),
                          .watch = *std::move(watch)}};
}

std::unique_ptr<Channel> Join(UniqueFd socket, Outbox own, Met met, const ChannelOptions& options) {
  const SlabLimits limits = {
      .slab_bytes = options.slab_bytes,
      .max_bytes = std::min(options.max_slabs_bytes, met.hello.peer_slabs_bytes),
      .idle_time = options.slab_idle_time,
      .max_idle_bytes = options.max_idle_slabs_bytes,
      .pages = PagesFor(options)};
  const FdLimits fd_limits = {.received = options.max_fds_per_message,
                              .sent = met.hello.max_fds_per_message};
  return std::make_unique<ShmChannel>(
      std::make_shared<Link>(std::move(own), std::move(met.theirs), met.peer, std::move(socket),
                             limits, fd_limits, std::move(met.watch), met.hello.max_message_words),
      options);
}

}  // namespace

absl::StatusOr<ClientHandshake> ClientHandshake::Begin(UniqueFd socket, const Address& address,
                                                       uid_t uid, const ChannelOptions& options,
                                                       std::string_view claim) {
  const Handshake side = {socket.get(), address, uid, options, Side::kClient};
  absl::StatusOr<Peer> listener = LookAtConnection(side);
  if (!listener.ok()) {
    return listener.status();
  }
  listener->same_user = IsSameUser(side, *listener);
  absl::StatusOr<Outbox> own = NewOutbox(options);
  if (!own.ok()) {
    return own.status();
  }
  ClientHandshake handshake(std::move(socket), address, uid, options, *std::move(own),
                            *std::move(listener), claim);
  if (absl::Status begun = handshake.Greet(); !begun.ok()) {
    return begun;
  }
  return handshake;
}

absl::Status ClientHandshake::Greet() {
  absl::Status sent = SendHello(socket_.get(), own_, listener_, options_, claim_);
  greeted_ = sent.ok();
  return absl::IsPermissionDenied(sent) ? SendKnock(socket_.get()) : sent;
}

absl::StatusOr<std::unique_ptr<Channel>> ClientHandshake::Finish() {
  absl::StatusOr<Heard> heard = Meet({socket_.get(), address_, uid_, options_, Side::kClient});
  if (!heard.ok()) {
    return heard.status();
  }
  if (heard->what == Heard::What::kPrelude) {
    if (greeted_) {
      return absl::DataLossError(
          absl::StrCat("the server at ", address_.text(), " sent a welcome that nobody waits for"));
    }
    absl::Status greeted = SendHello(socket_.get(), own_, listener_, options_, claim_);
    greeted_ = true;
    return greeted.ok() ? absl::StatusOr<std::unique_ptr<Channel>>(nullptr) : greeted;
  }
  if (heard->what == Heard::What::kNothing) {
    return nullptr;
  }
  return Join(std::move(socket_), std::move(own_), *std::move(heard->met), options_);
}

ServerHandshake::ServerHandshake(UniqueFd socket, const Address& address, uid_t uid,
                                 const ChannelOptions& options)
    : socket_(std::move(socket)), address_(address), uid_(uid), options_(options) {}
ServerHandshake::ServerHandshake(ServerHandshake&&) noexcept = default;
ServerHandshake& ServerHandshake::operator=(ServerHandshake&&) noexcept = default;
ServerHandshake::~ServerHandshake() = default;

absl::StatusOr<ServerHandshake> ServerHandshake::Begin(UniqueFd socket, const Address& address,
                                                       uid_t uid, const ChannelOptions& options) {
  const absl::StatusOr<Peer> client =
      LookAtConnection({socket.get(), address, uid, options, Side::kServer});
  if (!client.ok()) {
    SendRefusal(socket.get(), client.status());
    return client.status();
  }
  return ServerHandshake(std::move(socket), address, uid, options);
}

absl::StatusOr<std::unique_ptr<Channel>> ServerHandshake::Finish() {
  absl::StatusOr<std::unique_ptr<Channel>> channel = Answer();
  if (!channel.ok()) {
    Refuse(channel.status());
  }
  return channel;
}

void ServerHandshake::Refuse(const absl::Status& why) { SendRefusal(socket_.get(), why); }

std::string ServerHandshake::claim() const {
  return met_ != nullptr ? met_->hello.claim : std::string();
}

absl::Status ServerHandshake::RefuseClaim() {
  absl::Status refused = absl::FailedPreconditionError(
      absl::StrCat("the server at ", address_.text(), " has not accepted the connection ",
                   absl::CHexEscape(claim()), ", from which its client comes"));
  Refuse(refused);
  return refused;
}

absl::Status ServerHandshake::Hear() {
  absl::StatusOr<Heard> heard = Meet({socket_.get(), address_, uid_, options_, Side::kServer});
  if (!heard.ok()) {
    return heard.status();
  }
  if (heard->what == Heard::What::kPrelude) {
    return SendWelcome(socket_.get());
  }
  if (heard->met) {
    met_ = std::make_unique<Met>(*std::move(heard->met));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Channel>> ServerHandshake::Answer() {
  if (met_ == nullptr) {
    if (absl::Status heard = Hear(); !heard.ok()) {
      return heard;
    }
  }
  if (met_ == nullptr || (!claim().empty() && !claim_is_confirmed_)) {
    return nullptr;
  }
  absl::StatusOr<Outbox> own = NewOutbox(options_);
  if (!own.ok()) {
    return own.status();
  }
  if (absl::Status sent = SendHello(socket_.get(), *own, met_->peer, options_); !sent.ok()) {
    return sent;
  }
  return Join(std::move(socket_), *std::move(own), std::move(*met_), options_);
}

}  // namespace shoal
