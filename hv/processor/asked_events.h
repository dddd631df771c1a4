// What a parent asked for with the registers PendingEvent0 and 1 and DeliverabilityNotifications:
// events that its child takes, and messages when the child could take one (TLFS "Virtual Processor
// Register Names"). The VP is loaded here and not suspended.
#pragma once

namespace hv {

class Hypervisor;
class VirtualProcessor;

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
