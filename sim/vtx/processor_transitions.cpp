// VM entries and VM exits (SDM vol. 3 chapters 26 and 27).
#include "machine/vmx_architecture.h"
#include "machine/x86.h"
#include "sim/vtx/checks.h"
#include "sim/vtx/processor.h"

namespace sim::vtx {

namespace vmx = machine::vmx;
namespace x86 = machine::x86;
using machine::EntryKind;
using machine::Vmcs16;
using machine::Vmcs32;
using machine::Vmcs64;
using machine::VmcsNatural;
using machine::VmcsReadOnly32;
using machine::VmcsReadOnly64;
using machine::VmcsReadOnlyNatural;

namespace {

constexpr std::uint64_t kNever = ~std::uint64_t{0};
/// Tag of what is cached while EPT is off; no page table stands there.
constexpr std::uint64_t kNoEp4ta = ~std::uint64_t{0} >> machine::kPageShift;
/// Exit qualification of an entry that failed at the n-th entry of the MSR-load area is n (26.7).
constexpr std::uint64_t kFirstMsrEntry = 1;

}  // namespace

EntryResult Processor::fail_entry(std::uint32_t error) {
  return {.outcome = fail(error) == machine::VmxResult::kFailInvalid ? EntryOutcome::kFailInvalid
                                                                     : EntryOutcome::kFailValid,
          .event = std::nullopt};
}

// 26.7: exit reason and qualification are written and the host state is loaded; the guest-state
// area, the injection field and the other exit information stay as they are.
EntryResult Processor::fail_guest_state(vmx::ExitReason reason, std::uint64_t qualification) {
  current_->put(VmcsReadOnly32::kExitReason,
                static_cast<std::uint32_t>(reason) | vmx::kExitReasonEntryFailure);
  current_->put(VmcsReadOnlyNatural::kExitQualification, qualification);
  load_host_state();
  return {.outcome = EntryOutcome::kFailedEntry, .event = std::nullopt};
}

// The basic checks (26.1).
bool Processor::refuses_entry(EntryKind kind, EntryResult& result) {
  if (!vmx_operation_ || current_ == nullptr) {
    result = {.outcome = EntryOutcome::kFailInvalid, .event = std::nullopt};
    return true;
  }
  std::uint32_t error = 0;
  if (root_mov_ss_blocking_) {
    error = vmx::kErrorEntryWithMovSsBlocking;
  } else if (kind == EntryKind::kLaunch && current_->launched) {
    error = vmx::kErrorVmlaunchNonClearVmcs;
  } else if (kind == EntryKind::kResume && !current_->launched) {
    error = vmx::kErrorVmresumeNonLaunchedVmcs;
  }
  if (error != 0) {
    result = fail_entry(error);
  }
  return error != 0;
}

// Groups whose fields were not written since they last passed pass again: a check reads only fields
// of its own groups, but for what guest_checks_read_more() tells.
bool Processor::checks_pass(EntryResult& result) {
  const CheckContext context(*current_, capabilities_, platform_);
  const std::uint8_t unchecked = current_->unchecked_groups;
  const bool controls = (unchecked & kGroupControls) != 0;
  if ((controls && find_failure(CheckGroup::kControls, context) != nullptr) ||
      find_failure(CheckGroup::kInjection, context) != nullptr) {
    result = fail_entry(vmx::kErrorInvalidControlFields);
    return false;
  }
  if ((controls || (unchecked & kGroupHost) != 0) &&
      find_failure(CheckGroup::kHostState, context) != nullptr) {
    result = fail_entry(vmx::kErrorInvalidHostState);
    return false;
  }
  const Check* failed = nullptr;
  const bool more = guest_checks_read_more(context);
  if (controls || (unchecked & kGroupGuest) != 0 || more) {
    failed = find_failure(CheckGroup::kGuestRegisters, context);
    failed = failed != nullptr ? failed : find_failure(CheckGroup::kGuestSegments, context);
  }
  failed = failed != nullptr ? failed : find_failure(CheckGroup::kGuestActivity, context);
  if (failed != nullptr) {
    result = fail_guest_state(vmx::ExitReason::kEntryFailureGuestState, failed->qualification);
    return false;
  }
  current_->unchecked_groups = more ? kGroupGuest : 0;
  return true;
}

// Every way out returns the one result, which is put together where the caller has it.
EntryResult Processor::enter(EntryKind kind, std::uint64_t now_tsc) {
  EntryResult result;
  if (refuses_entry(kind, result)) {
    return result;
  }
  const bool unchanged =
      current_->unchecked_groups == 0 && is_plainly_runnable(*current_, capabilities_);
  if (!unchanged && !checks_pass(result)) {
    return result;
  }
  if (current_->get(Vmcs32::kVmEntryMsrLoadCount) != 0) {
    platform_.misuse("the MSR-load area of VM entries is not modelled");
    result = fail_guest_state(vmx::ExitReason::kEntryFailureMsrLoading, kFirstMsrEntry);
    return result;
  }
  if (kind == EntryKind::kLaunch) {
    current_->launched = true;
  }
  load_guest_state(now_tsc);
  result.outcome = EntryOutcome::kEntered;
  if ((current_->get32(Vmcs32::kVmEntryInterruptionInformation) & vmx::kEventValid) != 0) {
    result.event = take_injected_event();
  }
  return result;
}

void Processor::load_guest_state(std::uint64_t now_tsc) {
  const Vmcs& vmcs = *current_;
  pin_controls_ = vmcs.get32(Vmcs32::kPinBasedControls);
  processor_controls_ = vmcs.get32(Vmcs32::kProcessorBasedControls);
  secondary_controls_ = (processor_controls_ & vmx::kActivateSecondaryControls) != 0
                            ? vmcs.get32(Vmcs32::kSecondaryProcessorBasedControls)
                            : 0;
  guest_ = {.rip = vmcs.get(VmcsNatural::kGuestRip),
            .rsp = vmcs.get(VmcsNatural::kGuestRsp),
            .rflags = vmcs.get(VmcsNatural::kGuestRflags),
            .cr3 = vmcs.get(VmcsNatural::kGuestCr3),
            .pending_debug_exceptions = vmcs.get(VmcsNatural::kGuestPendingDebugExceptions),
            .interruptibility = vmcs.get32(Vmcs32::kGuestInterruptibilityState),
            .activity = vmcs.get32(Vmcs32::kGuestActivityState)};
  const std::uint32_t entry = vmcs.get32(Vmcs32::kVmEntryControls);
  const std::uint64_t mode = (entry & vmx::kEntryIa32eModeGuest) != 0 ? x86::kEferLma : 0;
  if ((entry & vmx::kEntryLoadEfer) != 0) {
    efer_ = vmcs.get(Vmcs64::kGuestEfer);
  } else {
    // 26.3.2.1: LMA, and with paging LME, follow the IA-32e-mode control.
    efer_ = (efer_ & ~(x86::kEferLma | x86::kEferLme)) | mode | (mode != 0 ? x86::kEferLme : 0);
  }
  if ((entry & vmx::kEntryLoadPat) != 0) {
    pat_ = vmcs.get(Vmcs64::kGuestPat);
  }
  if ((entry & vmx::kEntryLoadDebugControls) != 0) {
    debugctl_ = vmcs.get(Vmcs64::kGuestDebugctl);
  }
  preemption_deadline_tsc_ = kNever;
  if ((pin_controls_ & vmx::kPinPreemptionTimer) != 0) {
    // 25.5.1: counts down with every change of the TSC bit that IA32_VMX_MISC names.
    const std::uint32_t shift = capabilities_.preemption_timer_shift();
    preemption_deadline_tsc_ = ((now_tsc >> shift) + vmcs.get(Vmcs32::kPreemptionTimerValue))
                               << shift;
  }
  const bool vpid = (secondary_controls_ & vmx::kEnableVpid) != 0;
  const bool ept = (secondary_controls_ & vmx::kEnableEpt) != 0;
  tlb_.use(vpid ? static_cast<std::uint16_t>(vmcs.get(Vmcs16::kVpid)) : std::uint16_t{0},
           ept ? vmcs.get(Vmcs64::kEptPointer) >> machine::kPageShift : kNoEp4ta);
  non_root_ = true;
}

Event Processor::take_injected_event() {
  const std::uint32_t information = current_->get32(Vmcs32::kVmEntryInterruptionInformation);
  guest_.activity = vmx::kActivityActive;  // 26.6.2
  const auto type = static_cast<EventType>((information >> vmx::kEventTypeShift) & 7);
  const bool error_code = (information & vmx::kEventErrorCodeValid) != 0;
  const bool software = type >= EventType::kSoftwareInterrupt;
  return Event{
      .type = type,
      .vector = static_cast<std::uint8_t>(information),
      .has_error_code = error_code,
      .error_code = error_code ? current_->get32(Vmcs32::kVmEntryExceptionErrorCode) : 0,
      .instruction_length = software ? current_->get32(Vmcs32::kVmEntryInstructionLength) : 0};
}

void Processor::exit(const Exit& cause, std::uint32_t instruction_length, std::uint64_t now_tsc) {
  save_guest_state(now_tsc);
  write_exit_information(cause, instruction_length);
  load_host_state();
}

void Processor::save_guest_state(std::uint64_t now_tsc) {
  Vmcs& vmcs = *current_;
  const std::uint32_t exit_controls = vmcs.get32(Vmcs32::kVmExitControls);
  vmcs.put(VmcsNatural::kGuestRip, guest_.rip);
  vmcs.put(VmcsNatural::kGuestRsp, guest_.rsp);
  vmcs.put(VmcsNatural::kGuestRflags, guest_.rflags);
  vmcs.put(VmcsNatural::kGuestPendingDebugExceptions, guest_.pending_debug_exceptions);
  vmcs.put(Vmcs32::kGuestInterruptibilityState, guest_.interruptibility);
  vmcs.put(Vmcs32::kGuestActivityState, guest_.activity);
  if (vmcs.get(VmcsNatural::kGuestCr3) != guest_.cr3) {
    vmcs.set(VmcsNatural::kGuestCr3, guest_.cr3);
  }
  if ((exit_controls & vmx::kExitSaveEfer) != 0 && vmcs.get(Vmcs64::kGuestEfer) != efer_) {
    vmcs.set(Vmcs64::kGuestEfer, efer_);
  }
  if ((exit_controls & vmx::kExitSavePat) != 0 && vmcs.get(Vmcs64::kGuestPat) != pat_) {
    vmcs.set(Vmcs64::kGuestPat, pat_);
  }
  if ((exit_controls & vmx::kExitSaveDebugControls) != 0 &&
      vmcs.get(Vmcs64::kGuestDebugctl) != debugctl_) {
    vmcs.set(Vmcs64::kGuestDebugctl, debugctl_);
  }
  // 27.3.1: the IA-32e-mode control becomes EFER.LMA, on processors with unrestricted guests.
  const std::uint32_t entry = vmcs.get32(Vmcs32::kVmEntryControls);
  const std::uint32_t mode = (efer_ & x86::kEferLma) != 0 ? vmx::kEntryIa32eModeGuest : 0;
  if ((entry & vmx::kEntryIa32eModeGuest) != mode) {
    vmcs.set(Vmcs32::kVmEntryControls, entry ^ vmx::kEntryIa32eModeGuest);
  }
  if ((exit_controls & vmx::kExitSavePreemptionTimer) != 0) {
    const std::uint32_t shift = capabilities_.preemption_timer_shift();
    const std::uint64_t end = preemption_deadline_tsc_ >> shift;
    const std::uint64_t now = now_tsc >> shift;
    vmcs.put(Vmcs32::kPreemptionTimerValue, end > now ? end - now : 0);
  }
}

void Processor::write_exit_information(const Exit& cause, std::uint32_t instruction_length) {
  Vmcs& vmcs = *current_;
  vmcs.put(VmcsReadOnly32::kExitReason, static_cast<std::uint32_t>(cause.reason));
  vmcs.put(VmcsReadOnlyNatural::kExitQualification, cause.qualification);
  vmcs.put(VmcsReadOnly32::kExitInstructionLength, instruction_length);
  vmcs.put(VmcsReadOnly32::kExitInstructionInformation, cause.instruction_information);
  vmcs.put(VmcsReadOnly32::kExitInterruptionInformation, cause.interruption_information);
  vmcs.put(VmcsReadOnly32::kExitInterruptionErrorCode, cause.interruption_error_code);
  vmcs.put(VmcsReadOnly32::kIdtVectoringInformation, cause.idt_vectoring_information);
  vmcs.put(VmcsReadOnly32::kIdtVectoringErrorCode, cause.idt_vectoring_error_code);
  vmcs.put(VmcsReadOnlyNatural::kGuestLinearAddress, cause.guest_linear_address);
  vmcs.put(VmcsReadOnly64::kGuestPhysicalAddress, cause.guest_physical_address.value());
  // 27.2: an exit clears the valid bit of the injection field.
  vmcs.put(Vmcs32::kVmEntryInterruptionInformation,
           vmcs.get(Vmcs32::kVmEntryInterruptionInformation) & ~std::uint64_t{vmx::kEventValid});
}

void Processor::load_host_state() {
  const Vmcs& vmcs = *current_;
  const std::uint32_t exit_controls = vmcs.get32(Vmcs32::kVmExitControls);
  if ((exit_controls & vmx::kExitLoadEfer) != 0) {
    efer_ = vmcs.get(Vmcs64::kHostEfer);
  } else {
    efer_ |= x86::kEferLma | x86::kEferLme;  // 27.5.1; the host is 64-bit
  }
  if ((exit_controls & vmx::kExitLoadPat) != 0) {
    pat_ = vmcs.get(Vmcs64::kHostPat);
  }
  debugctl_ = 0;  // 27.5.1
  preemption_deadline_tsc_ = kNever;
  non_root_ = false;
}

}  // namespace sim::vtx
