#include "partitions/child/processor_state.h"

#include "hv/tlfs/msr.h"
#include "hv/tlfs/timers.h"
#include "machine/machine.h"
#include "partitions/child/program.h"
#include "partitions/kernel/vectors.h"

namespace child {

namespace {

constexpr std::uint32_t kPeriodicTimer = 1;
constexpr std::uint32_t kConfigMsr = hv::kMsrStimer0Config + 2 * kPeriodicTimer;
constexpr std::uint32_t kCountMsr = hv::kMsrStimer0Count + 2 * kPeriodicTimer;

ProcessorState& current_state() {
  kernel::Processor& processor = kernel::Processor::current();
  auto& program = static_cast<Program&>(processor.kernel());
  return program.state(static_cast<std::uint32_t>(processor.index()));
}

void on_periodic_timer(const machine::InterruptFrame&) {
  current_state().tick();
  kernel::end_of_interrupt();
}

void on_injected(const machine::InterruptFrame&) {
  current_state().injected();
  kernel::end_of_interrupt();
}

}  // namespace

void ProcessorState::start_periodic_timer(std::uint64_t period_100ns) {
  machine::write_msr(
      kConfigMsr, hv::TimerConfig::direct(kernel::kVectorPeriodicTimer,
                                          hv::TimerConfig::kPeriodic | hv::TimerConfig::kAutoEnable)
                      .value);
  machine::write_msr(kCountMsr, period_100ns);
}

void ProcessorState::stop_periodic_timer() { machine::write_msr(kCountMsr, 0); }

Errand::Errand(ProcessorState& where, Run run, std::uint64_t argument)
    : Work(&Errand::arrive),
      where_(where),
      home_(kernel::current_executor()),
      run_(run),
      argument_(argument) {}

void Errand::go() {
  kernel::Executor& there = where_.processor().executor();
  if (&there == &home_) {
    home_.post(*this);
  } else {
    there.post_from_elsewhere(*this);
  }
}

void Errand::arrive(Work& work) {
  auto& errand = static_cast<Errand&>(work);
  errand.run_(errand.where_, errand.argument_);
  if (&errand.where_.processor().executor() == &errand.home_) {
    errand.home_.post(errand.back_);
  } else {
    errand.home_.post_from_elsewhere(errand.back_);
  }
}

void install_processor_interrupts() {
  machine::set_interrupt_handler(kernel::kVectorPeriodicTimer, &on_periodic_timer);
  machine::set_interrupt_handler(kernel::kVectorInjected, &on_injected);
}

}  // namespace child
