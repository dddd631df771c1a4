// The interrupt handlers of a kernel: each finds its processor and queues work.
#pragma once

namespace kernel {

/// Installs the handlers of SINTs, timer and wake-up, for all processors.
void install_interrupt_handlers();

}  // namespace kernel
