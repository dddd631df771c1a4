// Asynchronous events in VMX non-root operation: their order, windows, injection's after-effects
// (SDM vol. 3 6.9, 25.2, 25.5.1).
#include "machine/vmx_architecture.h"
#include "machine/x86.h"
#include "sim/vtx/processor.h"

namespace sim::vtx {

namespace vmx = machine::vmx;
namespace x86 = machine::x86;
using machine::Vmcs32;

namespace {

constexpr std::uint8_t kNmiVector = 2;

bool is_interrupt_state(std::uint32_t activity) {
  return activity == vmx::kActivityActive || activity == vmx::kActivityHlt;
}

}  // namespace

// From the highest priority down: preemption timer, NMI window, NMI, interrupt window, external
// interrupt. A processor that waits for SIPI sees none of them; one in shutdown no interrupts.
NextEvent Processor::next_event(PendingSignals pending, std::uint64_t now_tsc) const {
  if (guest_.activity == vmx::kActivityWaitForSipi) {
    return NextEvent::kNone;
  }
  if (now_tsc >= preemption_deadline_tsc_) {
    return NextEvent::kExitPreemptionTimer;
  }
  const std::uint32_t blocked = guest_.interruptibility;
  const bool by_mov_ss = (blocked & vmx::kBlockingByMovSs) != 0;
  const bool by_nmi = (blocked & vmx::kBlockingByNmi) != 0;
  if ((processor_controls_ & vmx::kNmiWindowExiting) != 0 && !by_nmi && !by_mov_ss) {
    return NextEvent::kExitNmiWindow;
  }
  // With virtual NMIs, blocking by NMI is of virtual ones and does not hold off physical NMIs.
  const bool virtual_nmis = (pin_controls_ & vmx::kPinVirtualNmis) != 0;
  if (pending.nmi && !by_mov_ss && (virtual_nmis || !by_nmi)) {
    return (pin_controls_ & vmx::kPinNmiExiting) != 0 ? NextEvent::kExitNmi
                                                      : NextEvent::kDeliverNmi;
  }
  if (!is_interrupt_state(guest_.activity)) {
    return NextEvent::kNone;
  }
  const bool open =
      interrupts_enabled() && (blocked & (vmx::kBlockingBySti | vmx::kBlockingByMovSs)) == 0;
  if ((processor_controls_ & vmx::kInterruptWindowExiting) != 0 && open) {
    return NextEvent::kExitInterruptWindow;
  }
  if (pending.external_interrupt) {
    if ((pin_controls_ & vmx::kPinExternalInterruptExiting) != 0) {
      return NextEvent::kExitExternalInterrupt;  // whatever RFLAGS.IF says
    }
    return open ? NextEvent::kDeliverExternalInterrupt : NextEvent::kNone;
  }
  return NextEvent::kNone;
}

bool Processor::acknowledges_interrupts() const {
  return (current_->get32(Vmcs32::kVmExitControls) & vmx::kExitAcknowledgeInterrupt) != 0;
}

Exit Processor::exit_for(NextEvent event, std::uint8_t vector) const {
  using vmx::ExitReason;
  switch (event) {
    case NextEvent::kExitPreemptionTimer:
      return {.reason = ExitReason::kPreemptionTimer};
    case NextEvent::kExitNmiWindow:
      return {.reason = ExitReason::kNmiWindow};
    case NextEvent::kExitNmi:
      return {.reason = ExitReason::kExceptionOrNmi,
              .interruption_information =
                  interruption_information({.type = EventType::kNmi, .vector = kNmiVector})};
    case NextEvent::kExitInterruptWindow:
      return {.reason = ExitReason::kInterruptWindow};
    case NextEvent::kExitExternalInterrupt:
      return {.reason = ExitReason::kExternalInterrupt,
              .interruption_information =
                  acknowledges_interrupts() ? interruption_information({.vector = vector}) : 0};
    case NextEvent::kNone:
    case NextEvent::kDeliverNmi:
    case NextEvent::kDeliverExternalInterrupt:
      break;
  }
  platform_.misuse("an event that is no exit was reported as one");
  return {};
}

void Processor::event_delivered(const Event& event) {
  guest_.activity = vmx::kActivityActive;
  guest_.interruptibility &= ~(vmx::kBlockingBySti | vmx::kBlockingByMovSs);
  guest_.rflags &= ~x86::kRflagsIf;
  if (event.type == EventType::kNmi) {
    guest_.interruptibility |= vmx::kBlockingByNmi;
  }
  if (event.type >= EventType::kSoftwareInterrupt) {
    guest_.rip += event.instruction_length;
  }
}

void Processor::iret() { guest_.interruptibility &= ~vmx::kBlockingByNmi; }

}  // namespace sim::vtx
