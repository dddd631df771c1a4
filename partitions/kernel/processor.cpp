#include "partitions/kernel/processor.h"

#include "machine/machine.h"
#include "machine/x86.h"
#include "partitions/kernel/kernel.h"
#include "partitions/kernel/vectors.h"

namespace kernel {

namespace {

constexpr std::uint64_t kSpuriousVector = 0xFF;

}  // namespace

Processor::Processor(Kernel& kernel, hv::VpIndex index, const Hypercalls& hypercalls)
    : kernel_(kernel),
      index_(index),
      executor_(*this),
      hypercalls_(hypercalls),
      synic_(executor_),
      timers_(executor_) {}

Processor& Processor::current() {
  auto* processor = static_cast<Processor*>(machine::processor_local());
  INVARIANT(processor != nullptr);
  return *processor;
}

void Processor::adopt() {
  machine::set_processor_local(this);
  const std::uint64_t base = machine::read_msr(machine::x86::kMsrApicBase);
  machine::write_msr(machine::x86::kMsrApicBase,
                     base | machine::x86::kApicBaseEnable | machine::x86::kApicBaseX2ApicEnable);
  machine::write_msr(machine::x86::kX2ApicSvr, machine::x86::kApicSoftwareEnable | kSpuriousVector);
}

void Processor::wake() {
  // Fixed delivery, physical destination: the APIC id of a virtual processor is its index.
  const std::uint64_t destination = static_cast<std::uint64_t>(index_) << 32;
  machine::write_msr(machine::x86::kX2ApicIcr, destination | kVectorWake);
}

void end_of_interrupt() { machine::write_msr(machine::x86::kX2ApicEoi, 0); }

Executor& current_executor() { return Processor::current().executor(); }

void* allocate_frame(std::size_t size_bytes) {
  INVARIANT(size_bytes <= kFrameSlotBytes);
  return Processor::current().kernel().heap().allocate(kFrameSlotBytes);
}

void free_frame(void* frame) { Processor::current().kernel().heap().free(frame, kFrameSlotBytes); }

}  // namespace kernel
