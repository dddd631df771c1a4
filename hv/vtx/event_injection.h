// Events into the loaded context: injection at the next entry, the interrupt window, the preemption
// timer.
#pragma once

#include <cstdint>

#include "hv/vtx/capabilities.h"
#include "hv/vtx/exit.h"
#include "machine/vmx_root.h"

namespace hv::vtx {

/// The event that an exit interrupted while it was delivered (SDM vol. 3 27.2.4); invalid if none.
[[nodiscard]] Event interrupted_event();
/// The exception or NMI that caused an exit (SDM vol. 3 27.2.2).
[[nodiscard]] Event exit_event();

/// Delivers the event as part of the next entry.
void inject(const Event& event);
/// The event that the next entry delivers; invalid if none.
[[nodiscard]] Event injected_event();
void cancel_injection();

/// Whether an external interrupt could be injected into the guest at the next entry.
[[nodiscard]] bool accepts_interrupt();
/// Whether an exit is wanted as soon as the guest could take an external interrupt.
void set_interrupt_window_exiting(bool wanted);

/// The exceptions, by vector, that exit.
void set_exception_bitmap(std::uint32_t vectors);

/// Bounds the next stay in the guest, by less than 2^32 ticks. Rounded up to a tick of the
/// preemption timer, so that the guest is not entered for nothing.
inline void set_preemption_timer(const Capabilities& capabilities, std::uint64_t tsc_ticks) {
  // 0 wraps, and is 0 again.
  const std::uint64_t count = ((tsc_ticks - 1) >> capabilities.preemption_timer_shift) + 1;
  machine::vmwrite(machine::Vmcs32::kPreemptionTimerValue, static_cast<std::uint32_t>(count));
}

}  // namespace hv::vtx
