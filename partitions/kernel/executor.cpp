#include "partitions/kernel/executor.h"

#include "machine/machine.h"
#include "partitions/kernel/lock_order.h"

namespace kernel {

Executor::Executor(ProcessorWaker& waker) : lock_(kReadyQueueRank), waker_(waker) {}

bool Executor::append(Work& work) {
  const machine::InterruptLockGuard guard(lock_);
  if (work.queued_) {
    return false;
  }
  work.queued_ = true;
  work.next_ = nullptr;
  const bool was_empty = first_ == nullptr;
  (was_empty ? first_ : last_->next_) = &work;
  last_ = &work;
  queued_.store(queued_.load() + 1);
  return was_empty;
}

void Executor::post(Work& work) { append(work); }

void Executor::post_from_elsewhere(Work& work) {
  // A queue that was not empty belongs to a processor that is awake or being woken.
  if (append(work)) {
    waker_.wake();
  }
}

bool Executor::run_one() {
  Work* work = nullptr;
  {
    const machine::InterruptLockGuard guard(lock_);
    work = first_;
    if (work == nullptr) {
      return false;
    }
    first_ = work->next_;
    queued_.store(queued_.load() - 1);
    // Cleared before the work runs: what it misses because it came later queues it again.
    work->queued_ = false;
  }
  work->run_(*work);
  return true;
}

void Executor::run() {
  while (true) {
    while (run_one()) {
    }
    // Between this check and the sleep no interrupt is lost: they are disabled until sti_hlt.
    machine::disable_interrupts();
    while (queued_.load() == 0) {
      machine::sti_hlt();
    }
    machine::enable_interrupts();
  }
}

}  // namespace kernel
