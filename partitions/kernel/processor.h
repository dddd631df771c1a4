// What a kernel keeps for one virtual processor, and how code finds it.
#pragma once

#include <cstdint>

#include "hv/tlfs/partition.h"
#include "partitions/kernel/executor.h"
#include "partitions/kernel/hypercalls.h"
#include "partitions/kernel/synic.h"
#include "partitions/kernel/timer_queue.h"

namespace kernel {

class Kernel;

class Processor final : private ProcessorWaker {
 public:
  Processor(Kernel& kernel, hv::VpIndex index, const Hypercalls& hypercalls);
  Processor(const Processor&) = delete;
  Processor& operator=(const Processor&) = delete;

  /// The processor that executes this.
  [[nodiscard]] static Processor& current();

  /// Makes this the executing processor's object, and switches its local APIC on.
  void adopt();

  [[nodiscard]] Kernel& kernel() { return kernel_; }
  [[nodiscard]] hv::VpIndex index() const { return index_; }
  [[nodiscard]] Executor& executor() { return executor_; }
  [[nodiscard]] Hypercalls& hypercalls() { return hypercalls_; }
  [[nodiscard]] Synic& synic() { return synic_; }
  [[nodiscard]] TimerQueue& timers() { return timers_; }

 private:
  void wake() override;

  Kernel& kernel_;
  hv::VpIndex index_;
  Executor executor_;
  Hypercalls hypercalls_;
  Synic synic_;
  TimerQueue timers_;
};

/// Ends the handling of an interrupt at the local APIC.
void end_of_interrupt();

/// `co_await sleep_until(time)` on the executing processor.
[[nodiscard]] inline TimerQueue::Sleep sleep_until(std::uint64_t deadline_100ns) {
  return Processor::current().timers().sleep_until(deadline_100ns);
}
[[nodiscard]] inline TimerQueue::Sleep sleep_for(std::uint64_t duration_100ns) {
  return sleep_until(reference_time_100ns() + duration_100ns);
}

}  // namespace kernel
