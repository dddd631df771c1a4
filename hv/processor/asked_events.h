// What a parent asked for with the registers PendingEvent0 and 1 and DeliverabilityNotifications:
// events that its child takes, and messages when the child could take one (TLFS "Virtual Processor
// Register Names"). The VP is loaded here and not suspended.
#pragma once

#include <cstdint>

#include "hv/tlfs/register_values.h"
#include "hv/vtx/exit.h"

namespace hv {

class Hypervisor;
class VirtualProcessor;

/// The exception that a PendingEvent register holds; not one that can be injected if its vector is
/// none.
[[nodiscard]] constexpr vtx::Event asked_exception(const PendingEvent& event) {
  constexpr std::uint16_t kNoVector = 0xFF;
  const std::uint16_t vector = event.vector() < kNoVector ? event.vector() : kNoVector;
  vtx::Event exception = vtx::hardware_exception(static_cast<std::uint8_t>(vector));
  exception.has_error_code = event.deliver_error_code();
  exception.error_code = event.deliver_error_code() ? event.error_code() : 0;
  return exception;
}

/// Makes what the PendingEvent registers hold the VP's own. An exception waits for an event that is
/// being delivered; an external interrupt joins those that pass the local APIC by. Under the VP's
/// lock.
void take_asked_events(VirtualProcessor& vp);

/// Whether the parent waits for an interrupt to become deliverable, and so for an exit. Under the
/// VP's lock.
[[nodiscard]] bool awaits_interrupt_window(const VirtualProcessor& vp);

/// Tells the parent of something that has become deliverable. True: it did, and the VP is
/// suspended for it. Takes the communication lock and the VP's.
[[nodiscard]] bool report_deliverability(Hypervisor& hypervisor, VirtualProcessor& vp);

}  // namespace hv
