#include "hv/vtx/event_injection.h"

#include "hv/vtx/guest_context.h"
#include "machine/vmx_architecture.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"

namespace hv::vtx {
namespace {

namespace vmx = machine::vmx;
using machine::Vmcs32;
using machine::VmcsReadOnly32;
using machine::vmread;
using machine::vmwrite;

}  // namespace

Event interrupted_event() {
  const std::uint32_t information = vmread(VmcsReadOnly32::kIdtVectoringInformation);
  if ((information & vmx::kEventValid) == 0) {
    return {};
  }
  Event event = decode_event(information, vmread(VmcsReadOnly32::kIdtVectoringErrorCode));
  if (is_software_event(event.type)) {
    event.instruction_length = vmread(VmcsReadOnly32::kExitInstructionLength);
  }
  return event;
}

Event exit_event() {
  const std::uint32_t information = vmread(VmcsReadOnly32::kExitInterruptionInformation);
  return decode_event(information, vmread(VmcsReadOnly32::kExitInterruptionErrorCode));
}

void inject(const Event& event) {
  std::uint32_t information = encode_event(event);
  if (event.type == EventType::kHardwareException && pushes_error_code(event.vector)) {
    // In protected mode an entry fails without one, in real mode with one (SDM vol. 3 26.2.1.3).
    if (in_protected_mode()) {
      information |= vmx::kEventErrorCodeValid;
      vmwrite(Vmcs32::kVmEntryExceptionErrorCode, event.error_code);
    } else {
      information &= ~vmx::kEventErrorCodeValid;
    }
  }
  vmwrite(Vmcs32::kVmEntryInterruptionInformation, information);
  if (is_software_event(event.type)) {
    vmwrite(Vmcs32::kVmEntryInstructionLength, event.instruction_length);
  }
}

Event injected_event() {
  const std::uint32_t information = vmread(Vmcs32::kVmEntryInterruptionInformation);
  Event event = decode_event(information, vmread(Vmcs32::kVmEntryExceptionErrorCode));
  if (event.valid && is_software_event(event.type)) {
    event.instruction_length = vmread(Vmcs32::kVmEntryInstructionLength);
  }
  return event;
}

void cancel_injection() { vmwrite(Vmcs32::kVmEntryInterruptionInformation, 0); }

bool accepts_interrupt() {
  if ((read_rflags() & machine::x86::kRflagsIf) == 0) {
    return false;
  }
  return !has_interrupt_shadow();
}

void set_interrupt_window_exiting(bool wanted) {
  const std::uint32_t controls = vmread(Vmcs32::kProcessorBasedControls);
  const std::uint32_t next = wanted ? (controls | vmx::kInterruptWindowExiting)
                                    : (controls & ~vmx::kInterruptWindowExiting);
  if (next != controls) {
    vmwrite(Vmcs32::kProcessorBasedControls, next);
  }
}

void set_exception_bitmap(std::uint32_t vectors) { vmwrite(Vmcs32::kExceptionBitmap, vectors); }

}  // namespace hv::vtx
