#include "partitions/kernel/interrupts.h"

#include "hv/tlfs/synic.h"
#include "machine/common.h"
#include "partitions/kernel/processor.h"
#include "partitions/kernel/vectors.h"

namespace kernel {

namespace {

void on_sint(const machine::InterruptFrame&) {
  Processor::current().synic().interrupted();
  end_of_interrupt();
}

void on_timer(const machine::InterruptFrame&) {
  Processor::current().timers().expired();
  end_of_interrupt();
}

/// The work is in the queue; that the processor is awake is all that was wanted.
void on_wake(const machine::InterruptFrame&) { end_of_interrupt(); }

}  // namespace

void install_interrupt_handlers() {
  for (std::uint8_t sint = 0; sint < hv::kSintCount; ++sint) {
    machine::set_interrupt_handler(static_cast<std::uint8_t>(kVectorSint + sint), &on_sint);
  }
  machine::set_interrupt_handler(kVectorTimer, &on_timer);
  machine::set_interrupt_handler(kVectorWake, &on_wake);
}

}  // namespace kernel
