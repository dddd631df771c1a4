#include "partitions/child/program.h"

#include "machine/machine.h"
#include "partitions/child/workloads/workload.h"
#include "partitions/kernel/root_services.h"

namespace child {

Program::Program(std::span<std::byte> heap)
    : Kernel(heap, kernel::OverlayPages::kOwn), console_(this->heap()) {}

void Program::start() {
  install_processor_interrupts();
  states_ = make_array<ProcessorState*>(processor_count());
  states_[0] = heap().create<ProcessorState>(processor(0));
  processor(0).synic().attach(kernel::kServicesSint, root_link_);
  main().spawn();
}

ProcessorState& Program::state(std::uint32_t index) {
  INVARIANT(index < processor_count() && states_[index] != nullptr);
  return *states_[index];
}

kernel::Task<> Program::main() {
  bool passed = false;
  const auto settings = parse_parameters(parameters());
  if (!settings) {
    report(settings.error());
  } else {
    settings_ = *settings;
    passed = co_await start_processors();
  }
  if (passed) {
    passed = co_await do_workload();
  }
  console_.line(passed ? "done" : "failed");
  console_.done(passed ? kernel::Verdict::kPassed : kernel::Verdict::kFailed);
}

kernel::Task<bool> Program::start_processors() {
  for (std::uint32_t index = 1; index < processor_count(); ++index) {
    const hv::Status status = start_processor(hv::VpIndex(index));
    if (status != hv::Status::kSuccess) {
      report_not_started(index, status);
      co_return false;
    }
    states_[index] = heap().create<ProcessorState>(processor(index));
    // An errand that does nothing comes back when the processor runs its executor.
    Errand arrival(*states_[index], [](ProcessorState&, std::uint64_t) {}, 0);
    arrival.go();
    co_await arrival.done();
  }
  report_running();
  co_return true;
}

// Lines are put together outside of the tasks, whose frames they would fill.

void Program::report(const kernel::ParameterError& error) {
  kernel::TextLine text;
  text << "parameters, line " << error.line << ": " << error.problem;
  console_.line(text.view());
}

void Program::report_not_started(std::uint32_t index, hv::Status status) {
  kernel::TextLine text;
  text << "processor " << index << " does not start: " << hv::status_name(status);
  console_.line(text.view());
}

void Program::report_running() {
  kernel::TextLine text;
  text << processor_count() << (processor_count() == 1 ? " processor is" : " processors are")
       << " running";
  console_.line(text.view());
}

kernel::Task<bool> Program::do_workload() {
  switch (settings_.workload) {
    case Workload::kHello:
      return hello(*this);
    case Workload::kIdle:
      return idle(*this);
    case Workload::kWork:
      return work(*this);
    case Workload::kStorage:
      return storage_workload(*this);
    case Workload::kPlug:
      return plug(*this);
    case Workload::kLie:
      return lie(*this);
    case Workload::kStream:
      return stream(*this);
    case Workload::kFail:
      return fail(*this);
    case Workload::kLoop:
      return loop(*this);
  }
  return hello(*this);
}

}  // namespace child
