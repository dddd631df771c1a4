#include "hv/processor/scheduler.h"

#include "machine/invariant.h"

namespace hv {

Scheduler::Scheduler(std::uint32_t lp_count, std::uint64_t slice_ticks)
    : lp_count_(lp_count), slice_ticks_(slice_ticks) {}

void Scheduler::ReadyQueue::insert(Schedulable& element) {
  Schedulable* before = tail;
  while (before != nullptr && before->order > element.order) {
    before = before->ready_previous;
  }
  Schedulable* after = before != nullptr ? before->ready_next : head;
  element.ready_previous = before;
  element.ready_next = after;
  (before != nullptr ? before->ready_next : head) = &element;
  (after != nullptr ? after->ready_previous : tail) = &element;
}

void Scheduler::ReadyQueue::remove(Schedulable& element) {
  Schedulable* before = element.ready_previous;
  Schedulable* after = element.ready_next;
  (before != nullptr ? before->ready_next : head) = after;
  (after != nullptr ? after->ready_previous : tail) = before;
  element.ready_previous = nullptr;
  element.ready_next = nullptr;
}

Schedulable* Scheduler::best(std::uint32_t lp) const {
  Schedulable* pinned = slots_[lp].pinned.head;
  Schedulable* shared = shared_.head;
  if (pinned == nullptr || shared == nullptr) {
    return pinned != nullptr ? pinned : shared;
  }
  return shared->order < pinned->order ? shared : pinned;
}

std::uint64_t Scheduler::charged_time(const Schedulable& element, std::uint64_t now) const {
  // A TSC that is behind on this processor charges nothing.
  const std::uint64_t ran = now > element.running_since ? now - element.running_since : 0;
  return element.virtual_time + ran * Schedulable::kDefaultWeight / element.weight;
}

/// Urgent ones stand a slice before others.
std::uint64_t Scheduler::order_at(const Schedulable& element, std::uint64_t virtual_time) const {
  return virtual_time + (element.urgent ? 0 : slice_ticks_);
}

bool Scheduler::preempts(const Schedulable& waiting, const Schedulable& running,
                         std::uint64_t now) const {
  const std::uint64_t waits_at = order_at(waiting, waiting.virtual_time);
  const std::uint64_t runs_at = order_at(running, charged_time(running, now));
  if (waiting.urgent && !running.urgent) {
    return waits_at <= runs_at;
  }
  return waits_at + slice_ticks_ <= runs_at;
}

std::uint32_t Scheduler::processor_for(const Schedulable& element, std::uint64_t now,
                                       std::uint32_t except_lp) {
  if (element.pinned_lp != kNoLp) {
    Slot& slot = slots_[element.pinned_lp];
    const bool wanted =
        slot.idle || (slot.current != nullptr && preempts(element, *slot.current, now));
    slot.idle = false;
    return wanted && element.pinned_lp != except_lp ? element.pinned_lp : kNoLp;
  }
  // Where it ran last, if that is idle; else any idle processor; else one it may preempt.
  std::uint32_t found = kNoLp;
  for (std::uint32_t offset = 0; offset < lp_count_; ++offset) {
    const std::uint32_t lp = (element.lp + offset) % lp_count_;
    if (lp != except_lp && slots_[lp].idle) {
      slots_[lp].idle = false;
      return lp;
    }
    const Schedulable* current = slots_[lp].current;
    if (found == kNoLp && lp != except_lp && current != nullptr &&
        preempts(element, *current, now)) {
      found = lp;
    }
  }
  return found;
}

std::uint32_t Scheduler::enqueue(Schedulable& element, std::uint64_t now, std::uint32_t except_lp) {
  element.state = RunState::kReady;
  element.wake_pending = false;
  element.order = order_at(element, element.virtual_time);
  queue_of(element).insert(element);
  return processor_for(element, now, except_lp);
}

std::uint32_t Scheduler::wake(Schedulable& element, std::uint64_t now) {
  switch (element.state) {
    case RunState::kReady:
      return kNoLp;
    case RunState::kRunning:
      element.wake_pending = true;
      return kNoLp;
    case RunState::kStopped:
      break;
  }
  if (element.held) {
    element.wake_pending = true;
    return kNoLp;
  }
  set_deadline(element, kNoDeadline);
  const std::uint64_t floor = clock_ > slice_ticks_ ? clock_ - slice_ticks_ : 0;
  if (element.virtual_time < floor) {
    element.virtual_time = floor;
  }
  return enqueue(element, now, kNoLp);
}

Schedulable* Scheduler::pick(std::uint32_t lp, std::uint64_t now) {
  Slot& slot = slots_[lp];
  INVARIANT(slot.current == nullptr);
  Schedulable* next = best(lp);
  slot.idle = next == nullptr;
  if (next == nullptr) {
    return nullptr;
  }
  queue_of(*next).remove(*next);
  next->state = RunState::kRunning;
  next->lp = lp;
  next->running_since = now;
  slot.current = next;
  if (next->virtual_time > clock_) {
    clock_ = next->virtual_time;
  }
  return next;
}

std::uint32_t Scheduler::put_down(std::uint32_t lp, std::uint64_t now, bool runnable) {
  Slot& slot = slots_[lp];
  INVARIANT(slot.current != nullptr);
  Schedulable& element = *slot.current;
  element.virtual_time = charged_time(element, now);
  element.run_time += now > element.running_since ? now - element.running_since : 0;
  slot.current = nullptr;
  element.state = RunState::kStopped;
  const bool again = runnable || element.wake_pending;
  if (element.held) {
    element.wake_pending = again;
    return kNoLp;
  }
  return again ? enqueue(element, now, lp) : kNoLp;
}

bool Scheduler::should_yield(std::uint32_t lp, std::uint64_t now) const {
  const Schedulable* running = slots_[lp].current;
  const Schedulable* waiting = best(lp);
  return running != nullptr &&
         (running->held || (waiting != nullptr && preempts(*waiting, *running, now)));
}

void Scheduler::give_way(std::uint32_t lp, std::uint64_t now) {
  Schedulable* running = slots_[lp].current;
  const Schedulable* waiting = best(lp);
  if (running == nullptr || waiting == nullptr) {
    return;
  }
  const std::uint64_t behind = waiting->virtual_time + slice_ticks_;
  if (charged_time(*running, now) < behind) {
    running->virtual_time = behind;
  }
}

void Scheduler::hold(Schedulable& element) {
  INVARIANT(!element.held);
  element.held = true;
  if (element.state == RunState::kReady) {
    queue_of(element).remove(element);
    element.state = RunState::kStopped;
    element.wake_pending = true;
  }
}

std::uint32_t Scheduler::release(Schedulable& element, std::uint64_t now) {
  INVARIANT(element.held);
  element.held = false;
  if (element.wake_pending && element.state == RunState::kStopped) {
    return wake(element, now);
  }
  return kNoLp;
}

void Scheduler::set_deadline(Schedulable& element, std::uint64_t deadline) {
  if (element.deadline_lp != kNoLp) {
    slots_[element.deadline_lp].deadlines.remove(element);
    element.deadline_lp = kNoLp;
  }
  element.deadline = deadline;
  if (deadline != kNoDeadline) {
    element.deadline_lp = element.lp;
    slots_[element.lp].deadlines.insert(element);
  }
}

std::uint64_t Scheduler::next_deadline(std::uint32_t lp) const {
  const Schedulable* first = slots_[lp].deadlines.first();
  return first != nullptr ? first->deadline : kNoDeadline;
}

Schedulable* Scheduler::take_expired(std::uint32_t lp, std::uint64_t now) {
  Schedulable* first = slots_[lp].deadlines.first();
  if (first == nullptr || first->deadline > now) {
    return nullptr;
  }
  set_deadline(*first, kNoDeadline);
  return first;
}

void Scheduler::remove(Schedulable& element) {
  INVARIANT(element.held && element.state == RunState::kStopped);
  set_deadline(element, kNoDeadline);
}

}  // namespace hv
