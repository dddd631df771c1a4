// What the scheduler keeps about one virtual processor. Every field belongs to the scheduler.
#pragma once

#include <cstdint>

namespace hv {

inline constexpr std::uint32_t kNoLp = ~0u;
inline constexpr std::uint64_t kNoDeadline = ~0ull;

enum class RunState : std::uint8_t {
  /// Blocked or suspended: nothing to run until somebody wakes it.
  kStopped,
  kReady,
  kRunning,
};

/// What of the logical processors it gets (TLFS "CPU Reserve", "CPU Cap", "CPU Weight").
struct ProcessorShares {
  static constexpr std::uint32_t kDefaultWeight = 100;
  /// A whole logical processor.
  static constexpr std::uint32_t kWhole = 0x10000;

  /// Of what is left, against the weights of others.
  std::uint32_t weight = kDefaultWeight;
  /// At least, if it wants it; 0 to kWhole.
  std::uint32_t reserve = 0;
  /// At most, whoever else wants any; 0 counts as 1.
  std::uint32_t cap = kWhole;
  friend constexpr bool operator==(const ProcessorShares&, const ProcessorShares&) = default;
};

/// Packed: two virtual processors share a page.
class Schedulable {
 public:
  static constexpr std::uint32_t kDefaultWeight = ProcessorShares::kDefaultWeight;

  /// A bit for each logical processor that it may run on.
  std::uint64_t affinity = ~0ull;
  /// The logical processor that it may run on, or kNoLp for any of `affinity`.
  std::uint32_t pinned_lp = kNoLp;
  ProcessorShares shares;
  /// Those of one partition have one group: they may hold what another of them waits for.
  std::uint32_t group = 0;
  /// Where it runs, or ran last.
  std::uint32_t lp = 0;
  std::uint32_t deadline_lp = kNoLp;

  RunState state = RunState::kStopped;
  /// Preempts others as soon as it wakes: the root, which all others wait for.
  bool urgent = false;
  /// Kept from running, whatever wakes it.
  bool held = false;
  /// Woken while it could not be made ready; made ready as soon as it can.
  bool wake_pending = false;
  /// Pauses for its cap until its deadline.
  bool throttled = false;

  /// TSC ticks of running, divided by weight: who has least runs next.
  std::uint64_t virtual_time = 0;
  /// Running time over reserve: what it is owed has been had when this is past the present.
  std::uint64_t reserve_time = 0;
  /// Running time over cap: how far past the present is how long it has to pause.
  std::uint64_t cap_time = 0;
  /// Its place among those that are ready.
  std::uint64_t order = 0;
  std::uint64_t running_since = 0;
  std::uint64_t run_time = 0;

  Schedulable* ready_next = nullptr;
  Schedulable* ready_previous = nullptr;
  /// Among those that are ready and have a reserve.
  Schedulable* reserved_next = nullptr;
  Schedulable* reserved_previous = nullptr;

  /// When to wake it, in TSC ticks, and its links in the heap of deadlines; `deadline_lp` says
  /// whose.
  std::uint64_t deadline = kNoDeadline;
  Schedulable* heap_child = nullptr;
  Schedulable* heap_sibling = nullptr;
  Schedulable* heap_previous = nullptr;
};
static_assert(sizeof(Schedulable) <= 160);

}  // namespace hv
