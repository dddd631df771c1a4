#include "machine/machine.h"
#include "partitions/child/program.h"
#include "partitions/child/workloads/workload.h"
#include "partitions/kernel/vectors.h"

namespace child {

namespace {

constexpr std::uint64_t kBusyNs = 1'000;

/// Computes until the periodic timer has interrupted this processor.
void be_busy_until_tick(const ProcessorState& here) {
  while (here.ticks() == 0) {
    machine::spend(kBusyNs);
    machine::pause();
  }
}

/// Computes until the root has injected an interrupt. The root may need this very processor to do
/// so: the hypervisor takes it away.
void be_busy_until_injected(const ProcessorState& here) {
  while (here.injections() == 0) {
    machine::spend(kBusyNs);
    machine::pause();
  }
}

}  // namespace

kernel::Task<bool> hello(Program& program) {
  Console& console = program.console();
  RootLink& root = program.root_link();
  ProcessorState& here = program.state(0);

  if (root.greet("hello, root") != hv::Status::kSuccess) {
    console.line("the root cannot be reached");
    co_return false;
  }
  co_await root.answered().wait();
  {
    kernel::TextLine text;
    text << "the root answered: " << root.answer();
    console.line(text.view());
  }

  here.start_periodic_timer(kernel::kMillisecond100ns);
  be_busy_until_tick(here);
  here.stop_periodic_timer();
  console.line("a synthetic timer interrupted a busy loop");

  if (root.ask_for_interrupt(kernel::kVectorInjected) != hv::Status::kSuccess) {
    console.line("the root cannot be asked");
    co_return false;
  }
  be_busy_until_injected(here);
  console.line("the root injected an interrupt into a busy loop");
  co_return true;
}

}  // namespace child
