#include "hv/processor/asked_events.h"

#include "hv/hypervisor.h"
#include "hv/intercept.h"
#include "hv/vtx/event_injection.h"
#include "hv/vtx/guest_context.h"
#include "machine/x86.h"

namespace hv {
namespace {

constexpr std::uint64_t kPriorityMask = 0xFull << kNotifyPriorityShift;

bool interrupt_is_deliverable(const VirtualProcessor& vp) {
  const auto priority = (vp.records.deliverability & kPriorityMask) >> kNotifyPriorityShift;
  return !vp.pending_event.valid && vtx::accepts_interrupt() &&
         (priority == 0 || priority > (vp.apic.processor_priority() >> 4));
}

bool nmi_is_deliverable(const VirtualProcessor& vp) {
  return !vp.pending_event.valid && !vp.nmi_pending && !vtx::nmis_blocked() &&
         !vtx::has_interrupt_shadow();
}

/// What can be told now is no longer waited for.
struct Deliverable {
  bool event = false;
  InterruptionType type = InterruptionType::kInterrupt;
  SintSet sints;
};

Deliverable take_deliverable(VirtualProcessor& vp) {
  Deliverable found;
  std::uint64_t& awaited = vp.records.deliverability;
  if ((awaited & kNotifyNmi) != 0 && nmi_is_deliverable(vp)) {
    found.event = true;
    found.type = InterruptionType::kNmi;
    awaited &= ~kNotifyNmi;
  } else if ((awaited & kNotifyInterrupt) != 0 && interrupt_is_deliverable(vp)) {
    found.event = true;
    awaited &= ~(kNotifyInterrupt | kPriorityMask);
  } else {
    found.sints =
        vp.synic.free_slots(SintSet(static_cast<std::uint16_t>(awaited >> kNotifySintShift)));
    awaited &= ~(static_cast<std::uint64_t>(found.sints.bits()) << kNotifySintShift);
  }
  vp.deliverability_awaited = (awaited & ~kPriorityMask) != 0;
  return found;
}

}  // namespace

void take_asked_events(VirtualProcessor& vp) {
  vp.events_asked_for = false;
  for (RegisterValue& value : vp.records.pending_events) {
    const PendingEvent event{value};
    if (!event.pending()) {
      continue;
    }
    if (event.type() == kPendingEventTypeExtInt) {
      vp.external_vectors[event.external_vector() / 64u] |= 1ull << (event.external_vector() % 64u);
    } else if (!vp.pending_event.valid) {
      if (event.vector() == machine::x86::kVectorPageFault) {
        vp.context.registers().cr2 = event.parameter();
      }
      vp.pending_event = asked_exception(event);
    } else {
      vp.events_asked_for = true;  // once the other has been delivered
      continue;
    }
    value = {};
  }
}

bool awaits_interrupt_window(const VirtualProcessor& vp) {
  return vp.deliverability_awaited && (vp.records.deliverability & kNotifyInterrupt) != 0;
}

bool report_deliverability(Hypervisor& hypervisor, VirtualProcessor& vp) {
  Deliverable found;
  {
    const machine::LockGuard guard(vp.lock);
    if (vp.suspend.stopped()) {
      return false;
    }
    found = take_deliverable(vp);
  }
  if (found.event) {
    intercept_deliverable(hypervisor, vp, found.type);
  } else if (!found.sints.empty()) {
    intercept_deliverable(hypervisor, vp, found.sints);
  } else {
    return false;
  }
  return true;
}

}  // namespace hv
