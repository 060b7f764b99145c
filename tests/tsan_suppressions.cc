// What ThreadSanitizer need not tell of programs in which one KJ event loop hands work to another.
//
// The handover goes through kj::Executor and cross-thread promises, whose mutexes are futexes of
// libkj's own. The system's libkj is not compiled for ThreadSanitizer, which then sees what two
// threads do with such a promise, and with what is attached to it, and nothing that orders them.
// Each entry is a function in one of a report's two stacks.

extern "C" const char* __tsan_default_suppressions() {
  return
      // What an executor runs in the other loop, and the promise that stands for it here.
      "race:XThreadEvent\n"
      // The same where it is inlined: line tables (-g1) have such a function's name without its
      // class.
      "race:^execute$\n"
      // A promise that is fulfilled from another thread.
      "race:XThreadPaf\n"
      "race:XThreadFulfiller\n"
      // A loop's eventfd, written by one thread and closed by its own, which has been joined or
      // told.
      "race:kj::UnixEventPort::wake\n"
      // RpcServer lets go of what an executor has run: the event again, under its own name.
      "race:endedByClient\n"
      // The exception that a loop which ends gives to a thread that waits for it in executeSync().
      "race:kj::AsyncIoContext::~AsyncIoContext\n";
}
