// Runs the work of one processor, one piece after the other, and sleeps when there is none.
//
// Interrupt handlers and other processors only queue work; everything else happens here, with
// interrupts enabled, so that what belongs to one executor needs no lock.
#pragma once

#include <cstdint>

#include "machine/spin_lock.h"

namespace kernel {

/// Something to run. It is part of a larger object, which `run` finds by a cast, and is in at most
/// one queue, at most once.
class Work {
 public:
  using Run = void (*)(Work&);
  explicit Work(Run run) : run_(run) {}
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

 private:
  friend class Executor;
  Run run_;
  Work* next_ = nullptr;
  bool queued_ = false;
};

/// Wakes the processor of an executor that may be asleep. Called on another processor.
class ProcessorWaker {
 public:
  virtual void wake() = 0;

 protected:
  ~ProcessorWaker() = default;
};

class Executor {
 public:
  explicit Executor(ProcessorWaker& waker);
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Queues work from the executor's own processor: a task or an interrupt handler. Work that is
  /// queued already stays where it is.
  void post(Work& work);
  /// Queues work from any processor.
  void post_from_elsewhere(Work& work);

  /// Runs the oldest piece of work; false if there was none.
  bool run_one();
  /// Runs work for ever; sleeps while there is none.
  [[noreturn]] void run();

 private:
  /// Returns whether the queue was empty before.
  bool append(Work& work);

  machine::SpinLock lock_;
  Work* first_ = nullptr;
  Work* last_ = nullptr;
  /// How many are queued; changed under the lock, looked at without it before sleeping.
  machine::Shared<std::uint32_t> queued_{0};
  ProcessorWaker& waker_;
};

}  // namespace kernel
