#pragma once
// Waiting for shared memory in a KJ event loop: spin, bounded, then park.

#include "kj/async-unix.h"
#include "kj/async.h"
#include "kj/vector.h"
#include "shoal/transport/channel.h"
#include "shoal/transport/spin_budget.h"

namespace shoal {

class Poller: private kj::TaskSet::ErrorHandler {
  // Looks after all the channels of one thread. There should be just one in a thread: two that spin in
  // turn make each other's messages late.
  //
  // While some channel has a message, the loop simply runs. When all are empty and the loop has nothing
  // else to do, the poller spins over all of them for at most ChannelOptions::spin; then it asks every
  // peer to ring and lets the loop sleep. So nothing costs a system call while messages flow, and
  // nothing costs CPU while they do not.

public:
  class Source;

  explicit Poller(kj::UnixEventPort& port);
  ~Poller() noexcept(false);
  KJ_DISALLOW_COPY(Poller);

  kj::UnixEventPort& getPort() { return port; }

  bool mustYield();
  // To be called for each message that is handled without waiting. True once in 128 of them: the caller
  // then lets the event port look at timers and sockets, with `yield()`, before it handles this one.
  // Without that, a ring that is never empty would starve them.

  kj::Promise<void> yield();

private:
  enum class State {
    IDLE,      // no source waits, or the loop has yet to handle what they got
    LOOKING,   // `look()` will run when the loop has nothing else to do
    PARKED,    // all waiting sources have asked to be rung
  };

  void add(Source& source);
  void remove(Source& source);
  void wait(Source& source);
  void rung();
  void scheduleLook();
  void look();
  void serveReady();
  void park();
  void unpark();
  bool anyWaiting();
  bool sharesCpu();
  void taskFailed(kj::Exception&& exception) override;

  kj::UnixEventPort& port;
  SpinBudget budget;
  SpinBudget::Clock::time_point waitingSince;
  State state = State::IDLE;
  kj::Vector<Source*> sources;
  Source* recent = nullptr;   // the one that did something last
  uint handled = 0;           // messages since the event port last looked at timers and sockets
  kj::TaskSet tasks;          // the next look
};

class Poller::Source {
  // A channel in the poller's care. It says what it waits for, and serves it when it is there.

public:
  Source(Poller& poller, kj::Own<Channel> channel);
  ~Source() noexcept(false);
  KJ_DISALLOW_COPY(Source);

protected:
  virtual bool isWaiting() = 0;
  // Whether anything is to be served at all.

  virtual bool isReady() = 0;
  // Whether it can be served now. Called in a spin: a look at shared memory, nothing more.

  virtual void serve() = 0;
  // Serves what is ready. Must not destroy any source.

  void wait() { poller.wait(*this); }
  // To be called whenever isWaiting() has become true.

  void active() { poller.recent = this; }
  // To be called when the channel was used.

  Poller& poller;
  kj::Own<Channel> channel;

private:
  friend class Poller;

  kj::Promise<void> observe();

  kj::UnixEventPort::FdObserver observer;
  kj::Promise<void> observeTask = nullptr;
};

}  // namespace shoal
