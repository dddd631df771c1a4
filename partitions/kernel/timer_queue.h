// Tasks that sleep until a point of reference time, on synthetic timer 0 of their processor.
#pragma once

#include <coroutine>
#include <cstdint>

#include "partitions/kernel/executor.h"
#include "partitions/kernel/task.h"

namespace kernel {

/// Partition reference time, in units of 100 ns.
[[nodiscard]] std::uint64_t reference_time_100ns();

inline constexpr std::uint64_t kMillisecond100ns = 10'000;

/// Belongs to one executor. The timer's interrupt handler calls expired(); all else is for tasks.
class TimerQueue : private Work {
 public:
  explicit TimerQueue(Executor& executor);

  struct Sleeper {
    std::uint64_t deadline_100ns = 0;
    TaskPromise* task = nullptr;
    Sleeper* next = nullptr;
  };

  class Sleep {
   public:
    Sleep(TimerQueue& queue, std::uint64_t deadline_100ns) : queue_(queue) {
      sleeper_.deadline_100ns = deadline_100ns;
    }
    bool await_ready() { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> task) {
      sleeper_.task = &task.promise();
      queue_.add(sleeper_);
    }
    void await_resume() {}

   private:
    TimerQueue& queue_;
    Sleeper sleeper_;
  };

  /// Prepares the synthetic timer of the executing processor.
  void enable();
  /// From the interrupt handler: the timer has fired.
  void expired() { executor_.post(*this); }

  [[nodiscard]] Sleep sleep_until(std::uint64_t deadline_100ns) {
    return Sleep(*this, deadline_100ns);
  }

 private:
  void add(Sleeper& sleeper);
  void wake_due();
  void arm();

  Executor& executor_;
  Sleeper* first_ = nullptr;
  std::uint64_t armed_for_ = 0;
};

}  // namespace kernel
