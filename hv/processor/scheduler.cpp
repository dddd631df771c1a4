#include "hv/processor/scheduler.h"

#include <algorithm>

#include "machine/invariant.h"

namespace hv {

namespace {

constexpr std::uint64_t kWhole = ProcessorShares::kWhole;

bool may_run_on(const Schedulable& element, std::uint32_t lp) {
  return element.pinned_lp == kNoLp ? ((element.affinity >> lp) & 1) != 0 : element.pinned_lp == lp;
}

bool is_capped(const Schedulable& element) { return element.shares.cap < kWhole; }

std::uint64_t cap_of(const Schedulable& element) {
  return std::max<std::uint64_t>(element.shares.cap, 1);
}

/// Of an element that has a reserve.
bool is_owed(std::uint64_t reserve_time, std::uint64_t now) { return reserve_time <= now; }

/// A TSC that is behind on this processor charges nothing.
std::uint64_t ran(const Schedulable& element, std::uint64_t now) {
  return now > element.running_since ? now - element.running_since : 0;
}

}  // namespace

Scheduler::Scheduler(std::uint32_t lp_count, std::uint64_t slice_ticks)
    : lp_count_(lp_count), slice_ticks_(slice_ticks) {}

Schedulable* Scheduler::first_reserved(std::uint32_t lp) const {
  Schedulable* element = reserved_.head();
  while (element != nullptr && !may_run_on(*element, lp)) {
    element = ReservedQueue::after(*element);
  }
  return element;
}

Schedulable* Scheduler::best(std::uint32_t lp, std::uint64_t now) const {
  Schedulable* const reserved = first_reserved(lp);
  if (reserved != nullptr && is_owed(reserved->reserve_time, now)) {
    return reserved;
  }
  Schedulable* const pinned = slots_[lp].pinned.head();
  Schedulable* shared = shared_.head();
  while (shared != nullptr && !may_run_on(*shared, lp)) {
    shared = ReadyQueue::after(*shared);
  }
  if (pinned == nullptr || shared == nullptr) {
    return pinned != nullptr ? pinned : shared;
  }
  return shared->order < pinned->order ? shared : pinned;
}

std::uint64_t Scheduler::charged_time(const Schedulable& element, std::uint64_t now) const {
  return element.virtual_time +
         ran(element, now) * Schedulable::kDefaultWeight / element.shares.weight;
}

std::uint64_t Scheduler::charged_reserve(const Schedulable& element, std::uint64_t now) const {
  const std::uint64_t reserve = element.shares.reserve;
  return reserve == 0 ? element.reserve_time
                      : element.reserve_time + ran(element, now) * kWhole / reserve;
}

std::uint64_t Scheduler::charged_cap(const Schedulable& element, std::uint64_t now) const {
  return is_capped(element) ? element.cap_time + ran(element, now) * kWhole / cap_of(element)
                            : element.cap_time;
}

/// It may be a slice ahead, so that it does not pause after every few ticks.
bool Scheduler::is_over_cap(const Schedulable& element, std::uint64_t cap_time,
                            std::uint64_t now) const {
  return is_capped(element) && cap_time > now + slice_ticks_;
}

/// Urgent ones stand a slice before others.
std::uint64_t Scheduler::order_at(const Schedulable& element, std::uint64_t virtual_time) const {
  return virtual_time + (element.urgent ? 0 : slice_ticks_);
}

bool Scheduler::preempts(const Schedulable& waiting, const Schedulable& running,
                         std::uint64_t now) const {
  if (running.shares.reserve != 0) {
    // What it is owed nobody takes; after that it keeps the processor for a slice.
    const std::uint64_t had = charged_reserve(running, now);
    const std::uint64_t slice = slice_ticks_ * kWhole / running.shares.reserve;
    if (is_owed(had, now) || (!waiting.urgent && had <= now + slice)) {
      return false;
    }
  }
  if (waiting.shares.reserve != 0 && is_owed(waiting.reserve_time, now)) {
    return true;
  }
  const std::uint64_t runs_at = order_at(running, charged_time(running, now));
  if (waiting.urgent && !running.urgent) {
    return waiting.order <= runs_at;
  }
  return waiting.order + slice_ticks_ <= runs_at;
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
  if (slots_[element.lp].idle && element.lp != except_lp && may_run_on(element, element.lp))
      [[likely]] {
    slots_[element.lp].idle = false;
    return element.lp;
  }
  std::uint32_t found = kNoLp;
  for (std::uint32_t offset = 0; offset < lp_count_; ++offset) {
    const std::uint32_t lp = (element.lp + offset) % lp_count_;
    if (lp == except_lp || !may_run_on(element, lp)) {
      continue;
    }
    if (slots_[lp].idle) {
      slots_[lp].idle = false;
      return lp;
    }
    const Schedulable* current = slots_[lp].current;
    if (found == kNoLp && current != nullptr && preempts(element, *current, now)) {
      found = lp;
    }
  }
  return found;
}

void Scheduler::insert(Schedulable& element) {
  queue_of(element).insert(element);
  if (element.shares.reserve != 0) {
    reserved_.insert(element);
  }
}

void Scheduler::take_out(Schedulable& element) {
  queue_of(element).remove(element);
  if (element.shares.reserve != 0) {
    reserved_.remove(element);
  }
}

std::uint32_t Scheduler::enqueue(Schedulable& element, std::uint64_t now, std::uint32_t except_lp) {
  element.state = RunState::kReady;
  element.wake_pending = false;
  element.order = order_at(element, element.virtual_time);
  insert(element);
  return processor_for(element, now, except_lp);
}

/// Its deadline wakes it.
void Scheduler::throttle(Schedulable& element) {
  element.throttled = true;
  element.wake_pending = true;
  set_deadline(element, element.cap_time);
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
  if (element.throttled ? now < element.cap_time : is_over_cap(element, element.cap_time, now)) {
    throttle(element);
    return kNoLp;
  }
  element.throttled = false;
  set_deadline(element, kNoDeadline);
  const std::uint64_t floor = clock_ > slice_ticks_ ? clock_ - slice_ticks_ : 0;
  element.virtual_time = std::max(element.virtual_time, floor);
  element.reserve_time = std::max(element.reserve_time, now);
  return enqueue(element, now, kNoLp);
}

Schedulable* Scheduler::pick(std::uint32_t lp, std::uint64_t now) {
  Slot& slot = slots_[lp];
  INVARIANT(slot.current == nullptr);
  Schedulable* next = best(lp, now);
  slot.idle = next == nullptr;
  if (next == nullptr) {
    return nullptr;
  }
  take_out(*next);
  next->state = RunState::kRunning;
  next->lp = lp;
  next->running_since = now;
  next->cap_time = std::max(next->cap_time, now);
  slot.current = next;
  clock_ = std::max(clock_, next->virtual_time);
  return next;
}

std::uint32_t Scheduler::idle_for_waiting(std::uint64_t now) {
  if (shared_.head() == nullptr) {
    return kNoLp;
  }
  for (std::uint32_t lp = 0; lp < lp_count_; ++lp) {
    if (slots_[lp].idle && best(lp, now) != nullptr) {
      slots_[lp].idle = false;
      return lp;
    }
  }
  return kNoLp;
}

std::uint32_t Scheduler::put_down(std::uint32_t lp, std::uint64_t now, bool runnable) {
  Slot& slot = slots_[lp];
  INVARIANT(slot.current != nullptr);
  Schedulable& element = *slot.current;
  element.virtual_time = charged_time(element, now);
  element.reserve_time = charged_reserve(element, now);
  element.cap_time = charged_cap(element, now);
  element.run_time += ran(element, now);
  slot.current = nullptr;
  slot.yields = false;
  element.state = RunState::kStopped;
  const bool again = runnable || element.wake_pending;
  if (element.held) {
    element.wake_pending = again;
    return kNoLp;
  }
  if (again && is_over_cap(element, element.cap_time, now)) {
    throttle(element);
    return kNoLp;
  }
  return again ? enqueue(element, now, lp) : kNoLp;
}

bool Scheduler::should_yield(std::uint32_t lp, std::uint64_t now) const {
  const Slot& slot = slots_[lp];
  const Schedulable* running = slot.current;
  if (running == nullptr) {
    return false;
  }
  if (running->held || slot.yields || !may_run_on(*running, lp) ||
      is_over_cap(*running, charged_cap(*running, now), now)) {
    return true;
  }
  const Schedulable* waiting = best(lp, now);
  return waiting != nullptr && preempts(*waiting, *running, now);
}

/// While it runs for t, its cap takes t * whole / cap away, and the passing of time gives t back.
std::uint64_t Scheduler::cap_reached_at(const Schedulable& running, std::uint64_t now) const {
  if (!is_capped(running)) {
    return kNoDeadline;
  }
  const std::uint64_t limit = now + slice_ticks_;
  const std::uint64_t had = charged_cap(running, now);
  const std::uint64_t cap = cap_of(running);
  return had > limit ? now : now + (limit - had) * cap / (kWhole - cap) + 1;
}

std::uint64_t Scheduler::look_again_at(std::uint32_t lp, std::uint64_t now) const {
  const Schedulable* running = slots_[lp].current;
  if (running == nullptr) {
    return kNoDeadline;
  }
  std::uint64_t at = cap_reached_at(*running, now);
  if (const Schedulable* waiting = best(lp, now)) {
    const std::uint64_t runs_at = order_at(*running, charged_time(*running, now));
    const std::uint64_t due = waiting->order + slice_ticks_;
    const std::uint64_t ahead = due > runs_at ? due - runs_at : 0;
    at = std::min(at, now + ahead * running->shares.weight / Schedulable::kDefaultWeight + 1);
  }
  const Schedulable* reserved = first_reserved(lp);
  if (reserved != nullptr && !is_owed(reserved->reserve_time, now)) {
    at = std::min(at, reserved->reserve_time);
  }
  // What is due already and was not done has its reason: not at every turn again.
  return std::max(at, now + slice_ticks_ / 8);
}

Schedulable* Scheduler::sibling_of(const Schedulable& running, std::uint32_t lp) const {
  for (const ReadyQueue* queue : {&shared_, &slots_[lp].pinned}) {
    for (Schedulable* element = queue->head(); element != nullptr;
         element = ReadyQueue::after(*element)) {
      if (element->group == running.group && may_run_on(*element, lp)) {
        return element;
      }
    }
  }
  return nullptr;
}

void Scheduler::give_way(std::uint32_t lp, std::uint64_t now) {
  const Schedulable* running = slots_[lp].current;
  Schedulable* sibling = running != nullptr ? sibling_of(*running, lp) : nullptr;
  if (sibling == nullptr) {
    return;
  }
  // To the front, before what runs now, which is charged no more than it ran.
  const std::uint64_t first = std::min(
      {sibling->order, best(lp, now)->order, order_at(*running, charged_time(*running, now))});
  take_out(*sibling);
  sibling->order = first > 0 ? first - 1 : 0;
  insert(*sibling);
  slots_[lp].yields = true;
}

std::uint32_t Scheduler::set_shares(Schedulable& element, const ProcessorShares& shares,
                                    std::uint64_t now) {
  INVARIANT(shares.weight != 0 && shares.reserve <= kWhole && shares.cap <= kWhole);
  const bool is_ready = element.state == RunState::kReady;
  if (is_ready) {
    take_out(element);
  }
  element.shares = shares;
  element.reserve_time = now;
  element.cap_time = now;
  if (is_ready) {
    insert(element);
  }
  return element.throttled ? wake(element, now) : kNoLp;
}

std::uint32_t Scheduler::set_affinity(Schedulable& element, std::uint64_t mask, std::uint64_t now) {
  const std::uint64_t existing = lp_count_ == 64 ? ~0ull : (1ull << lp_count_) - 1;
  INVARIANT((mask & existing) != 0);
  const bool is_ready = element.state == RunState::kReady;
  if (is_ready) {
    take_out(element);
  }
  element.pinned_lp = kNoLp;
  element.affinity = mask;
  if (is_ready) {
    return enqueue(element, now, kNoLp);
  }
  const bool moves = element.state == RunState::kRunning && !may_run_on(element, element.lp);
  return moves ? element.lp : kNoLp;
}

void Scheduler::hold(Schedulable& element) {
  INVARIANT(!element.held);
  element.held = true;
  if (element.state == RunState::kReady) {
    take_out(element);
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
