// Which virtual processor runs on which logical processor: the policy, without locks, interrupts or
// clocks of its own. The caller holds the scheduler lock and passes the time in TSC ticks.
//
// Who is owed running time by its reserve runs next; else who has the least virtual time (running
// time over weight). A virtual processor that wakes preempts one that is a slice ahead of it; an
// urgent one (the root's) need not wait for the slice. One that has had its cap pauses until time
// has caught up with it. One that spins lets another of its partition go first, which may hold what
// it waits for.
#pragma once

#include <array>
#include <cstdint>

#include "hv/hypervisor_limits.h"
#include "hv/processor/deadline_heap.h"
#include "hv/processor/ready_queue.h"
#include "hv/processor/schedulable.h"

namespace hv {

class Scheduler {
 public:
  Scheduler(std::uint32_t lp_count, std::uint64_t slice_ticks);
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// There may be something to run. Returns the logical processor that has to look again (to be
  /// interrupted if it sleeps or runs a guest), or kNoLp. For one that runs already it only
  /// remembers the wake, so that it is not put down as blocked.
  [[nodiscard]] std::uint32_t wake(Schedulable& element, std::uint64_t now);

  /// The next one to run on `lp`, now running; null leaves the processor idle.
  [[nodiscard]] Schedulable* pick(std::uint32_t lp, std::uint64_t now);

  /// A processor that idles while somebody waits whom it may run, or kNoLp: to be asked after each
  /// pick, because the one picked need not be the one for whom the processor was woken.
  [[nodiscard]] std::uint32_t idle_for_waiting(std::uint64_t now);

  /// Ends the run of the current one of `lp`, which stays ready if `runnable` or woken meanwhile.
  /// Returns another logical processor that could take it over, or kNoLp. Stopped with a wake
  /// pending, it has a deadline already if it needs one.
  [[nodiscard]] std::uint32_t put_down(std::uint32_t lp, std::uint64_t now, bool runnable);

  /// Whether the current one of `lp` has to make way for another, or to pause.
  [[nodiscard]] bool should_yield(std::uint32_t lp, std::uint64_t now) const;
  /// When should_yield() may come true by the passing of time alone; kNoDeadline if nothing runs on
  /// `lp`, or nothing else wants to.
  [[nodiscard]] std::uint64_t look_again_at(std::uint32_t lp, std::uint64_t now) const;
  /// The current one of `lp` waits for another of its group: the next of those that are ready goes
  /// first, if there is one.
  void give_way(std::uint32_t lp, std::uint64_t now);
  /// Whether anything else waits to run on `lp`.
  [[nodiscard]] bool has_waiting(std::uint32_t lp, std::uint64_t now) const {
    return best(lp, now) != nullptr;
  }

  /// What it had before does not count. Returns a logical processor that has to look again, or
  /// kNoLp.
  [[nodiscard]] std::uint32_t set_shares(Schedulable& element, const ProcessorShares& shares,
                                         std::uint64_t now);
  /// Lets it run on the logical processors of a mask, one of which exists. Returns a logical
  /// processor that has to look again, or kNoLp.
  [[nodiscard]] std::uint32_t set_affinity(Schedulable& element, std::uint64_t mask,
                                           std::uint64_t now);

  /// Keeps one from running until release(). It may be running still: the caller waits until it is
  /// not.
  void hold(Schedulable& element);
  [[nodiscard]] std::uint32_t release(Schedulable& element, std::uint64_t now);

  /// Wakes it at `deadline`, or never with kNoDeadline; replaces what was set before.
  void set_deadline(Schedulable& element, std::uint64_t deadline);
  [[nodiscard]] std::uint64_t next_deadline(std::uint32_t lp) const;
  /// The first one on `lp` whose deadline has come, its deadline taken away; null if none. The
  /// caller wakes it.
  [[nodiscard]] Schedulable* take_expired(std::uint32_t lp, std::uint64_t now);

  /// Forgets a held one that does not run.
  void remove(Schedulable& element);

  [[nodiscard]] Schedulable* current(std::uint32_t lp) const { return slots_[lp].current; }
  [[nodiscard]] bool is_idle(std::uint32_t lp) const { return slots_[lp].idle; }

 private:
  struct Slot {
    Schedulable* current = nullptr;
    bool idle = false;
    /// The current one lets others go first.
    bool yields = false;
    ReadyQueue pinned;
    DeadlineHeap deadlines;
  };

  [[nodiscard]] ReadyQueue& queue_of(const Schedulable& element) {
    return element.pinned_lp == kNoLp ? shared_ : slots_[element.pinned_lp].pinned;
  }
  [[nodiscard]] Schedulable* best(std::uint32_t lp, std::uint64_t now) const;
  [[nodiscard]] Schedulable* first_reserved(std::uint32_t lp) const;
  [[nodiscard]] Schedulable* sibling_of(const Schedulable& running, std::uint32_t lp) const;
  [[nodiscard]] std::uint64_t charged_time(const Schedulable& element, std::uint64_t now) const;
  [[nodiscard]] std::uint64_t charged_reserve(const Schedulable& element, std::uint64_t now) const;
  [[nodiscard]] std::uint64_t charged_cap(const Schedulable& element, std::uint64_t now) const;
  [[nodiscard]] bool is_over_cap(const Schedulable& element, std::uint64_t cap_time,
                                 std::uint64_t now) const;
  [[nodiscard]] std::uint64_t order_at(const Schedulable& element,
                                       std::uint64_t virtual_time) const;
  [[nodiscard]] bool preempts(const Schedulable& waiting, const Schedulable& running,
                              std::uint64_t now) const;
  [[nodiscard]] std::uint64_t cap_reached_at(const Schedulable& running, std::uint64_t now) const;
  void insert(Schedulable& element);
  void take_out(Schedulable& element);
  [[nodiscard]] std::uint32_t enqueue(Schedulable& element, std::uint64_t now,
                                      std::uint32_t except_lp);
  void throttle(Schedulable& element);
  [[nodiscard]] std::uint32_t processor_for(const Schedulable& element, std::uint64_t now,
                                            std::uint32_t except_lp);

  std::uint32_t lp_count_;
  std::uint64_t slice_ticks_;
  /// The virtual time of whoever was picked last: where those that slept go on.
  std::uint64_t clock_ = 0;
  ReadyQueue shared_;
  ReservedQueue reserved_;
  std::array<Slot, kMaxLogicalProcessors> slots_{};
};

}  // namespace hv
