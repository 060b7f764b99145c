#pragma once
// Waiting for shared memory in a KJ event loop: spin, bounded, then park.

#include <thread>

#include "kj/async-unix.h"
#include "kj/async.h"
#include "kj/time.h"
#include "kj/vector.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/spin_budget.h"

namespace shoal {

constexpr auto DELAY_WHEN_EXHAUSTED = 50 * kj::MILLISECONDS;
// How long one who has no descriptor, for another client or for what a peer sends, waits for one to
// come back.

class Poller final: private kj::TaskSet::ErrorHandler {
  // Looks after all the channels of one thread. There should be just one in a thread: two that spin
  // in turn make each other's messages late.
  //
  // While some channel has a message, the loop simply runs. When all are empty and the loop has
  // nothing else to do, the poller spins over all of them for at most ChannelOptions::spin; then it
  // asks every peer to ring and lets the loop sleep. So nothing costs a system call while messages
  // flow, and nothing costs CPU while they do not.
  //
  // Those that had something lately are looked at each time, the others in turn, so that hundreds
  // of idle clients cost a busy one next to nothing.

public:
  class Source;

  explicit Poller(kj::UnixEventPort& port);
  ~Poller() noexcept(false);
  // Waits for what lingers.
  KJ_DISALLOW_COPY(Poller);

  kj::UnixEventPort& getPort() { return port; }

  bool isOnThread() const { return thread == std::this_thread::get_id(); }
  // Whether the caller is on the thread that made the poller.

  bool mustYield() { return handled >= MESSAGES_BETWEEN_YIELDS; }
  // True when so many messages were handled since the event port last looked at timers and sockets
  // that it is their turn. Then a source that has something waits for the poller all the same.
  // Without that, a ring that is never empty would starve everything else.

private:
  static constexpr uint MESSAGES_BETWEEN_YIELDS = 128;
  // One look at the event port costs about 0.1 us. Every message would feel that; one in 128 does
  // not, and a 1 ms timer stays on time.

  static constexpr size_t FEW = 4;
  // Up to so many sources are looked at each time, whatever they do.

  static constexpr size_t IN_TURN = 2;
  // And so many of the others: each one that was idle costs some 30 ns, as the CPU has forgotten
  // it.

  enum class State {
    IDLE,     // no source waits, or the loop has yet to handle what they got
    LOOKING,  // `look()` will run when the loop has nothing else to do
    PARKED,   // all waiting sources have asked to be rung
  };

  class Lingering;

  void letGo(kj::Own<Channel> channel);
  // Delivers in the background what a source leaves behind, so that a peer which does not read
  // holds up nobody.

  void add(Source& source);
  void remove(Source& source);
  void wait(Source& source);
  void rung();
  void scheduleLook();
  void lookAfterYield();
  void look();
  bool spin();
  void serveReady();
  void park();
  void trim();
  void unpark();
  bool anyWaiting();
  static bool isReady(Source& source);
  bool anyReady();
  bool isNextReady();
  void enliven();
  // Looks at all of them each time, until the next round.
  void beginRound();
  void beginWait();
  void taskFailed(kj::Exception&& exception) override;

  kj::UnixEventPort& port;
  const std::thread::id thread = std::this_thread::get_id();
  kj::Own<SpinBudget> budget;                             // there as soon as a source is
  kj::Maybe<SpinBudget::Clock::time_point> waitingSince;  // nothing has come since then
  SpinBudget::Clock::time_point spinUntil;                // and then this wait may sleep
  State state = State::IDLE;
  kj::Vector<Source*> sources;
  size_t lively = 0;           // how many of the first are looked at each time
  size_t turn = 0;             // which of the others is looked at next
  size_t looks = 0;            // in this round, in which each of the others has its turn
  Source* recent = nullptr;    // the one that did something last
  bool trimming = false;       // a timer will call `trim()`
  uint handled = 0;            // messages since the event port last looked at timers and sockets
  kj::Own<kj::TaskSet> tasks;  // the next look, and what lingers
};

class Poller::Source {
  // A channel in the poller's care, which publishes on the poller's thread alone. It says what it
  // waits for, and serves it when it is there. When it is destroyed, the channel's end and all that
  // is pending are delivered in the background, for at most ChannelOptions::linger.

public:
  Source(Poller& poller, kj::Own<Channel> channel);
  virtual ~Source() noexcept(false);
  KJ_DISALLOW_COPY(Source);

protected:
  virtual bool isWaiting() = 0;
  // Whether anything is to be served at all.

  virtual bool isReady() = 0;
  // Whether it can be served now. Called in a spin: a look at shared memory, nothing more.

  virtual void serve() = 0;
  // Serves what is ready. Must not destroy any source.

  virtual bool arm() = 0;
  // Asks the peer to ring for what this source waits for. False when it is there already.

  bool isReadable() { return !stalled && channel->Readable(); }
  // What isReady() looks at for messages, and armForMessage() is what arm() calls for them.
  bool armForMessage() { return channel->ArmForMessage() || stalled; }

  bool stalls(const absl::Status& error);
  // Whether `error`, of TryReceive(), is none but that this process has no descriptor for what the
  // peer has sent. Then the source is not readable until it is time to try again.

  void wait() { poller.wait(*this); }
  // To be called whenever isWaiting() has become true.

  void active() { poller.recent = this; }
  // To be called when the channel was used.

  void handled() {
    ++poller.handled;
    poller.waitingSince = nullptr;
  }
  // To be called for each message.

  Poller& poller;
  kj::Own<Channel> channel;

private:
  friend class Poller;

  void beginObserving();
  kj::Promise<void> observe();
  kj::Promise<void> observeDeath();
  void wake();

  bool served = false;   // in this round
  bool stalled = false;  // the next message waits for a descriptor, and it is not time to try again
  bool warned = false;   // of that, and it still lasts
  kj::Own<kj::UnixEventPort::FdObserver> doorbell;
  kj::Maybe<kj::Own<kj::UnixEventPort::FdObserver>> death;
  kj::Promise<void> observeTask = nullptr;
};

}  // namespace shoal
