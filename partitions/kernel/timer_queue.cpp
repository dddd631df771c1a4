#include "partitions/kernel/timer_queue.h"

#include <algorithm>

#include "hv/tlfs/msr.h"
#include "hv/tlfs/timers.h"
#include "machine/common.h"
#include "partitions/kernel/vectors.h"

namespace kernel {

std::uint64_t reference_time_100ns() { return machine::read_msr(hv::kMsrTimeRefCount); }

TimerQueue::TimerQueue(Executor& executor)
    : Work([](Work& work) { static_cast<TimerQueue&>(work).wake_due(); }), executor_(executor) {}

void TimerQueue::enable() {
  machine::write_msr(hv::kMsrStimer0Config,
                     hv::TimerConfig::direct(kVectorTimer, hv::TimerConfig::kAutoEnable).value);
}

void TimerQueue::add(Sleeper& sleeper) {
  Sleeper** link = &first_;
  while (*link != nullptr && (*link)->deadline_100ns <= sleeper.deadline_100ns) {
    link = &(*link)->next;
  }
  sleeper.next = *link;
  *link = &sleeper;
  if (first_ == &sleeper) {
    arm();
  }
}

void TimerQueue::wake_due() {
  const std::uint64_t now = reference_time_100ns();
  while (first_ != nullptr && first_->deadline_100ns <= now) {
    Sleeper* sleeper = first_;
    first_ = sleeper->next;
    executor_.post(*sleeper->task);
  }
  armed_for_ = 0;
  arm();
}

void TimerQueue::arm() {
  if (first_ == nullptr) {
    return;
  }
  // A count of zero would stop the timer; a deadline that has passed fires at once.
  const std::uint64_t count = std::max<std::uint64_t>(first_->deadline_100ns, 1);
  if (count == armed_for_) {
    return;
  }
  armed_for_ = count;
  machine::write_msr(hv::kMsrStimer0Count, armed_for_);
}

}  // namespace kernel
