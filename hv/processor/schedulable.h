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

class Schedulable {
 public:
  static constexpr std::uint32_t kDefaultWeight = 100;

  /// The logical processor that it may run on, or kNoLp for any.
  std::uint32_t pinned_lp = kNoLp;
  std::uint32_t weight = kDefaultWeight;
  /// Preempts others as soon as it wakes: the root, which all others wait for.
  bool urgent = false;

  RunState state = RunState::kStopped;
  /// Kept from running, whatever wakes it.
  bool held = false;
  /// Woken while it could not be made ready; made ready as soon as it can.
  bool wake_pending = false;
  /// Where it runs, or ran last.
  std::uint32_t lp = 0;
  /// TSC ticks of running, divided by weight: who has least runs next.
  std::uint64_t virtual_time = 0;
  /// Its place among those that are ready.
  std::uint64_t order = 0;
  std::uint64_t running_since = 0;
  std::uint64_t run_time = 0;

  Schedulable* ready_next = nullptr;
  Schedulable* ready_previous = nullptr;

  /// When to wake it, in TSC ticks, and its links in the heap of deadlines.
  std::uint64_t deadline = kNoDeadline;
  std::uint32_t deadline_lp = kNoLp;
  Schedulable* heap_child = nullptr;
  Schedulable* heap_sibling = nullptr;
  Schedulable* heap_previous = nullptr;
};

}  // namespace hv
