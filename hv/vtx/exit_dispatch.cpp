#include "hv/vtx/exit_dispatch.h"

#include "hv/hypercall/hypercall_exit.h"
#include "hv/hypervisor.h"
#include "hv/intercept.h"
#include "hv/msr/msr_exit.h"
#include "hv/processor/exception_exits.h"
#include "hv/processor/instruction_exits.h"
#include "hv/vtx/event_injection.h"
#include "machine/machine.h"
#include "machine/x86.h"

namespace hv::vtx {
namespace {

using machine::vmx::ExitReason;

/// An exit of a kind that can happen while an event is delivered through the guest's IDT (SDM
/// vol. 3 27.2.4). The event is then delivered again.
void deliver_again(VirtualProcessor& vp) { vp.pending_event = interrupted_event(); }

/// The processor found the guest's own state illegal: somebody wrote it so. The event that was to
/// be delivered is pending as before, where the parent sees it and may take it away.
void report_failed_entry(LogicalProcessor& processor, VirtualProcessor& vp) {
  const Event event = injected_event();
  if (event.valid) {
    vp.pending_event = event;
    cancel_injection();
  }
  intercept_invalid_register_value(processor.hypervisor(), vp);
}

/// Instructions of VMX and of MONITOR, which no guest is offered.
bool is_absent_instruction(ExitReason reason) {
  return (reason >= ExitReason::kVmclear && reason <= ExitReason::kVmxon) ||
         reason == ExitReason::kInvept || reason == ExitReason::kInvvpid ||
         reason == ExitReason::kMwait || reason == ExitReason::kMonitor;
}

/// What becomes of an instruction that the hypervisor does not carry out itself.
void handle_other_instruction(VirtualProcessor& vp, ExitReason reason) {
  if (is_absent_instruction(reason)) {
    vp.pending_event = hardware_exception(machine::x86::kVectorInvalidOpcode);
  } else if (reason == ExitReason::kRdpmc) {
    vp.pending_event = hardware_exception(machine::x86::kVectorGeneralProtection, 0);
  } else {
    // INVD and WBINVD, as memory is coherent; PAUSE. The controls in use rule out all others.
    INVARIANT(reason == ExitReason::kInvd || reason == ExitReason::kWbinvd ||
              reason == ExitReason::kPause);
    complete_instruction();
  }
}

}  // namespace

void dispatch_exit(LogicalProcessor& processor, VirtualProcessor& vp, Exit exit) {
  vp.statistics.count_exit(exit.reason());
  if (exit.entry_failed()) [[unlikely]] {
    report_failed_entry(processor, vp);
    return;
  }
  switch (exit.reason()) {
    case ExitReason::kExternalInterrupt:
      processor.take_physical_interrupt(exit_event().vector);
      return;
    case ExitReason::kPreemptionTimer:
      return;  // the run loop looks at what is due
    case ExitReason::kInterruptWindow:
    case ExitReason::kNmiWindow:
      vp.changed = true;
      return;
    case ExitReason::kVmcall:
      handle_hypercall(processor, vp);
      return;
    case ExitReason::kRdmsr:
      handle_rdmsr(processor, vp);
      return;
    case ExitReason::kWrmsr:
      handle_wrmsr(processor, vp);
      return;
    case ExitReason::kHlt:
      handle_hlt(vp);
      return;
    case ExitReason::kCpuid:
      handle_cpuid(processor, vp);
      return;
    case ExitReason::kIoInstruction:
      handle_io(processor, vp);
      return;
    case ExitReason::kControlRegister:
      handle_control_register(processor, vp);
      return;
    case ExitReason::kXsetbv:
      handle_xsetbv(processor, vp);
      return;
    case ExitReason::kEptViolation:
      deliver_again(vp);
      handle_ept_violation(processor, vp);
      return;
    case ExitReason::kTripleFault:
      deliver_again(vp);
      intercept_unrecoverable_exception(processor.hypervisor(), vp);
      return;
    case ExitReason::kTaskSwitch:
      deliver_again(vp);
      intercept_unsupported_feature(processor.hypervisor(), vp,
                                    UnsupportedFeatureMessage::kTaskSwitch);
      return;
    case ExitReason::kExceptionOrNmi:
      deliver_again(vp);
      handle_exception(processor, vp);
      return;
    default:  // the number comes from the processor: it may be one without a name
      handle_other_instruction(vp, exit.reason());
      return;
  }
}

}  // namespace hv::vtx
