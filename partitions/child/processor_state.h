// What the child keeps for each VP beside the kernel's own: its arrival, its periodic timer, the
// injected interrupts, errands between VPs.
#pragma once

#include <cstdint>

#include "machine/shared.h"
#include "partitions/kernel/processor.h"
#include "partitions/kernel/synchronization.h"

namespace child {

class ProcessorState {
 public:
  explicit ProcessorState(kernel::Processor& processor) : processor_(processor) {}
  ProcessorState(const ProcessorState&) = delete;
  ProcessorState& operator=(const ProcessorState&) = delete;

  [[nodiscard]] kernel::Processor& processor() { return processor_; }

  // --- The periodic timer (synthetic timer 1), on the executing VP.
  void start_periodic_timer(std::uint64_t period_100ns);
  void stop_periodic_timer();
  void tick() { ticks_.store(ticks_.load() + 1); }
  [[nodiscard]] std::uint64_t ticks() const { return ticks_.load(); }

  // --- Interrupts that the root injects.
  void injected() { injected_.store(injected_.load() + 1); }
  [[nodiscard]] std::uint32_t injections() const { return injected_.load(); }

 private:
  kernel::Processor& processor_;
  machine::Shared<std::uint64_t> ticks_{0};
  machine::Shared<std::uint32_t> injected_{0};
};

/// Something that one VP does for a task of VP 0, which awaits it.
class Errand : private kernel::Work {
 public:
  using Run = void (*)(ProcessorState& here, std::uint64_t argument);
  Errand(ProcessorState& where, Run run, std::uint64_t argument);

  /// Sends it on its way, to be awaited at `done()`. The errand outlives its way.
  void go();
  [[nodiscard]] kernel::Event::Wait done() { return back_.done.wait(); }

 private:
  struct Return : kernel::Work {
    Return() : Work([](Work& work) { static_cast<Return&>(work).done.set(); }) {}
    kernel::Event done;
  };
  static void arrive(Work& work);

  ProcessorState& where_;
  kernel::Executor& home_;
  Run run_;
  std::uint64_t argument_;
  Return back_;
};

/// Installs the handlers of the periodic timer and the injected interrupt.
void install_processor_interrupts();

}  // namespace child
