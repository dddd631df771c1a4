#include "hv/registers/register_access.h"

#include <bit>
#include <optional>

#include "hv/hypervisor.h"
#include "hv/msr/msr_table.h"
#include "hv/partition_time.h"
#include "hv/processor/register_page.h"
#include "hv/registers/extended_registers.h"
#include "hv/registers/parent_registers.h"
#include "hv/vtx/guest_context.h"
#include "machine/machine.h"
#include "machine/x86.h"

namespace hv {
namespace {

namespace x86 = machine::x86;
using RegisterResult = std::expected<RegisterValue, Status>;

constexpr std::uint32_t number(RegisterName name) { return static_cast<std::uint32_t>(name); }

constexpr bool is_between(RegisterName name, RegisterName first, RegisterName last) {
  return number(name) >= number(first) && number(name) <= number(last);
}

// MSRs that have names in the interface, and are readable if the MSR table has them.
constexpr std::uint32_t kMsrSpecCtrl = 0x48;
constexpr std::uint32_t kMsrPredCmd = 0x49;
constexpr std::uint32_t kMsrXss = 0xDA0;

/// The MSR that a register stands for, if the hypervisor keeps it as one.
std::optional<std::uint32_t> msr_of(RegisterName name) {
  if (is_between(name, RegisterName::kApicFirst, RegisterName::kApicSelfIpi)) {
    return x86::kX2ApicFirst + (number(name) - number(RegisterName::kApicFirst));
  }
  if (is_between(name, RegisterName::kSint0, RegisterName::kSint15)) {
    return kMsrSint0 + (number(name) - number(RegisterName::kSint0));
  }
  if (is_between(name, RegisterName::kScontrol, RegisterName::kSirbp)) {
    return kMsrScontrol + (number(name) - number(RegisterName::kScontrol));
  }
  if (is_between(name, RegisterName::kCrashP0, RegisterName::kCrashP4)) {
    return kMsrCrashP0 + (number(name) - number(RegisterName::kCrashP0));
  }
  if (is_between(name, RegisterName::kStimer0Config, RegisterName::kStimer3Count)) {
    return kMsrStimer0Config + (number(name) - number(RegisterName::kStimer0Config));
  }
  switch (name) {
    case RegisterName::kTsc:
      return x86::kMsrTsc;
    case RegisterName::kEfer:
      return x86::kMsrEfer;
    case RegisterName::kApicBase:
      return x86::kMsrApicBase;
    case RegisterName::kPat:
      return x86::kMsrPat;
    case RegisterName::kSysenterCs:
      return x86::kMsrSysenterCs;
    case RegisterName::kSysenterEip:
      return x86::kMsrSysenterEip;
    case RegisterName::kSysenterEsp:
      return x86::kMsrSysenterEsp;
    case RegisterName::kKernelGsBase:
      return x86::kMsrKernelGsBase;
    case RegisterName::kStar:
    case RegisterName::kLstar:
    case RegisterName::kCstar:
    case RegisterName::kSfmask:
      return x86::kMsrStar + (number(name) - number(RegisterName::kStar));
    case RegisterName::kTscAux:
      return x86::kMsrTscAux;
    case RegisterName::kSpecCtrl:
      return kMsrSpecCtrl;
    case RegisterName::kPredCmd:
      return kMsrPredCmd;
    case RegisterName::kXss:
      return kMsrXss;
    case RegisterName::kTscDeadline:
      return x86::kMsrTscDeadline;
    case RegisterName::kVpRuntime:
      return kMsrVpRuntime;
    case RegisterName::kHypercall:
      return kMsrHypercall;
    case RegisterName::kGuestOsId:
      return kMsrGuestOsId;
    case RegisterName::kVpIndex:
      return kMsrVpIndex;
    case RegisterName::kTimeRefCount:
      return kMsrTimeRefCount;
    case RegisterName::kVpAssistPage:
      return kMsrVpAssistPage;
    case RegisterName::kReferenceTsc:
      return kMsrReferenceTsc;
    default:
      return std::nullopt;
  }
}

RegisterValue from_number(std::uint64_t value) { return {value, 0}; }

std::optional<vtx::SegmentName> segment_of(RegisterName name) {
  if (!is_between(name, RegisterName::kEs, RegisterName::kTr)) {
    return std::nullopt;
  }
  // The interface numbers the segments as the processor does.
  return static_cast<vtx::SegmentName>(number(name) - number(RegisterName::kEs));
}

std::uint64_t activity_state(VirtualProcessor& vp) {
  const machine::LockGuard guard(vp.lock);
  return (vp.suspend.startup ? kActivityStartupSuspend : 0) |
         (vp.suspend.halt ? kActivityHaltSuspend : 0) |
         (vp.suspend.idle ? kActivityIdleSuspend : 0);
}

std::uint64_t intercept_suspend(VirtualProcessor& vp) {
  const machine::LockGuard guard(vp.lock);
  return (vp.suspend.intercept ? kSuspended : 0) |
         (vp.tlb_flush_inhibited ? kInterceptSuspendTlbFlushInhibit : 0);
}

std::uint64_t pending_interruption(const vtx::Event& event) {
  if (!event.valid) {
    return 0;
  }
  return PendingInterruption::kPending |
         (static_cast<std::uint64_t>(event.type) << PendingInterruption::kTypeShift) |
         (event.has_error_code ? PendingInterruption::kDeliverErrorCode : 0) |
         (static_cast<std::uint64_t>(event.instruction_length & 0xF)
          << PendingInterruption::kInstructionLengthShift) |
         (static_cast<std::uint64_t>(event.vector) << PendingInterruption::kVectorShift) |
         (static_cast<std::uint64_t>(event.error_code) << PendingInterruption::kErrorCodeShift);
}

bool set_pending_interruption(VirtualProcessor& vp, std::uint64_t value) {
  const PendingInterruption wanted{value};
  if (!wanted.pending()) {
    vp.pending_event = {};
    return true;
  }
  const vtx::Event event = {.type = static_cast<vtx::EventType>(wanted.type()),
                            .vector = static_cast<std::uint8_t>(wanted.vector()),
                            .has_error_code = wanted.deliver_error_code(),
                            .error_code = wanted.deliver_error_code() ? wanted.error_code() : 0,
                            .instruction_length = wanted.instruction_length(),
                            .valid = true};
  if (wanted.vector() > 0xFF || !vtx::can_be_injected(event)) {
    return false;
  }
  vp.pending_event = event;
  return true;
}

std::optional<std::uint64_t> read_number(VirtualProcessor& vp, RegisterName name) {
  switch (name) {
    case RegisterName::kExplicitSuspend: {
      const machine::LockGuard guard(vp.lock);
      return vp.suspend.explicitly ? kSuspended : 0;
    }
    case RegisterName::kInterceptSuspend:
      return intercept_suspend(vp);
    case RegisterName::kInternalActivityState:
      return activity_state(vp);
    case RegisterName::kPendingInterruption:
      return pending_interruption(vp.pending_event);
    case RegisterName::kInterruptState:
      return (vtx::has_interrupt_shadow() ? kInterruptShadow : 0) |
             (vtx::nmis_blocked() ? kNmiMasked : 0);
    case RegisterName::kRip:
      return vtx::read_rip();
    case RegisterName::kRflags:
      return vtx::read_rflags();
    case RegisterName::kCr0:
      return vtx::read_cr0();
    case RegisterName::kCr2:
      return vp.context.registers().cr2;
    case RegisterName::kCr3:
      return vtx::read_cr3();
    case RegisterName::kCr4:
      return vtx::read_cr4();
    case RegisterName::kCr8: {
      const machine::LockGuard guard(vp.lock);
      return vp.apic.cr8();
    }
    case RegisterName::kDr7:
      return vtx::read_dr7();
    case RegisterName::kInitialApicId: {
      const machine::LockGuard guard(vp.lock);
      return vp.apic.id();
    }
    case RegisterName::kCrashCtl:
      return vp.partition.crash_control.load();  // as the guest wrote it
    default:
      return std::nullopt;
  }
}

/// Bits of RFLAGS that software may choose, and bit 1, which is always set.
constexpr std::uint64_t kRflagsBits = 0x3F'7FD7;

/// Of the register InterceptSuspend nobody but the hypervisor sets a bit (TLFS "Intercepts").
bool write_intercept_suspend(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint64_t value) {
  const std::uint64_t before = intercept_suspend(vp);
  if ((value & ~before) != 0) {
    return false;
  }
  if ((before & ~value & kInterceptSuspendTlbFlushInhibit) != 0) {
    end_flush_inhibition(hypervisor, vp);
  }
  if ((before & ~value & kSuspended) != 0) {
    take_register_page(hypervisor, vp);
    {
      const machine::LockGuard guard(vp.lock);
      vp.suspend.intercept = false;
    }
    hypervisor.notify(vp);
  }
  return true;
}

bool write_suspension(Hypervisor& hypervisor, VirtualProcessor& vp, RegisterName name,
                      std::uint64_t value) {
  constexpr std::uint64_t kActivities =
      kActivityStartupSuspend | kActivityHaltSuspend | kActivityIdleSuspend;
  if (name == RegisterName::kInterceptSuspend) {
    return write_intercept_suspend(hypervisor, vp, value);
  }
  if ((value & ~(name == RegisterName::kExplicitSuspend ? kSuspended : kActivities)) != 0) {
    return false;
  }
  {
    const machine::LockGuard guard(vp.lock);
    if (name == RegisterName::kExplicitSuspend) {
      vp.suspend.explicitly = value != 0;
    } else {
      vp.suspend.startup = (value & kActivityStartupSuspend) != 0;
      vp.suspend.halt = (value & kActivityHaltSuspend) != 0;
      vp.suspend.idle = (value & kActivityIdleSuspend) != 0;
      vp.halts = false;
    }
  }
  if (name == RegisterName::kExplicitSuspend) {
    review_time(hypervisor, vp.partition);
  }
  hypervisor.notify(vp);
  return true;
}

bool write_interrupt_state(std::uint64_t value) {
  if ((value & ~(kInterruptShadow | kNmiMasked)) != 0) {
    return false;
  }
  vtx::set_interrupt_shadow((value & kInterruptShadow) != 0);
  vtx::set_nmis_blocked((value & kNmiMasked) != 0);
  return true;
}

bool write_cr8(VirtualProcessor& vp, std::uint64_t value) {
  constexpr std::uint64_t kCr8Max = 15;
  if (value > kCr8Max) {
    return false;
  }
  const machine::LockGuard guard(vp.lock);
  vp.apic.set_cr8(static_cast<std::uint8_t>(value));
  return true;
}

Status write_msr_register(const MsrAccess& access, std::uint64_t value) {
  const auto written = write_guest_msr(access, value);
  if (written) {
    return Status::kSuccess;
  }
  if (written.error() == MsrFailure::kUnknown) {
    return Status::kUnknownRegisterName;
  }
  const MsrDescription* const msr = find_guest_msr(access.msr);
  return msr->write == nullptr ? Status::kInvalidParameter : Status::kInvalidRegisterValue;
}

/// The APIC id that a VP has until its guest changes something about it: no other VP has it, and
/// this one has not run.
bool write_initial_apic_id(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint64_t value) {
  constexpr std::uint64_t kBroadcast = 0xFFFF'FFFF;
  if (value >= kBroadcast) {
    return false;
  }
  const machine::LockGuard guard(hypervisor.communication_lock);
  for (VirtualProcessor* other : vp.partition.vps) {
    if (other != nullptr && other != &vp) {
      const machine::LockGuard other_guard(other->lock);
      if (other->apic.id() == value) {
        return false;
      }
    }
  }
  const machine::LockGuard vp_guard(vp.lock);
  if (!vp.suspend.explicitly) {
    return vp.apic.id() == value;
  }
  vp.apic.reset(static_cast<std::uint32_t>(value));
  return true;
}

/// Nothing if there is no such register; false if it does not take the value.
std::optional<bool> write_number(Hypervisor& hypervisor, VirtualProcessor& vp, RegisterName name,
                                 std::uint64_t value) {
  const vtx::Capabilities& capabilities = this_processor().capabilities();
  switch (name) {
    case RegisterName::kExplicitSuspend:
    case RegisterName::kInterceptSuspend:
    case RegisterName::kInternalActivityState:
      return write_suspension(hypervisor, vp, name, value);
    case RegisterName::kPendingInterruption:
      return set_pending_interruption(vp, value);
    case RegisterName::kInterruptState:
      return write_interrupt_state(value);
    case RegisterName::kRip:
      vtx::write_rip(value);
      return true;
    case RegisterName::kRflags:
      if ((value & ~kRflagsBits) != 0) {
        return false;
      }
      vtx::write_rflags(value | x86::kRflagsFixed);
      return true;
    case RegisterName::kCr0:
      return vtx::write_cr0(capabilities, value);
    case RegisterName::kCr2:
      vp.context.registers().cr2 = value;
      return true;
    case RegisterName::kCr3:
      vtx::write_cr3(value);
      return true;
    case RegisterName::kCr4:
      return vtx::write_cr4(capabilities, value);
    case RegisterName::kCr8:
      return write_cr8(vp, value);
    case RegisterName::kDr7:
      vtx::write_dr7(value);
      return true;
    case RegisterName::kInitialApicId:
      return write_initial_apic_id(hypervisor, vp, value);
    case RegisterName::kCrashCtl:
      vp.partition.crash_control.store(value);
      return true;
    default:
      return std::nullopt;
  }
}

void write_table(bool is_idtr, const TableRegister& table) {
  if (is_idtr) {
    vtx::write_idtr(table);
  } else {
    vtx::write_gdtr(table);
  }
}

}  // namespace

RegisterResult read_register(Hypervisor& hypervisor, VirtualProcessor& vp, RegisterName name) {
  if (is_between(name, RegisterName::kRax, RegisterName::kR15)) {
    const auto gpr = static_cast<std::uint8_t>(number(name) - number(RegisterName::kRax));
    return from_number(vp.context.general_register(gpr));
  }
  if (is_extended_register(name)) {
    return read_extended_register(vp, name);
  }
  if (const auto segment = segment_of(name)) {
    return std::bit_cast<RegisterValue>(vtx::read_segment(*segment));
  }
  if (name == RegisterName::kGdtr || name == RegisterName::kIdtr) {
    return std::bit_cast<RegisterValue>(name == RegisterName::kIdtr ? vtx::read_idtr()
                                                                    : vtx::read_gdtr());
  }
  if (const auto msr = msr_of(name)) {
    const auto value = read_guest_msr({hypervisor, vp, *msr, true});
    if (!value) {
      return std::unexpected(value.error() == MsrFailure::kUnknown ? Status::kUnknownRegisterName
                                                                   : Status::kInvalidParameter);
    }
    return from_number(*value);
  }
  if (const auto value = read_number(vp, name)) {
    return from_number(*value);
  }
  if (const auto value = read_parent_register(hypervisor, vp, name)) {
    return *value;
  }
  return std::unexpected(Status::kUnknownRegisterName);
}

Status write_register(Hypervisor& hypervisor, VirtualProcessor& vp, RegisterName name,
                      const RegisterValue& value) {
  vp.changed = true;
  if (is_between(name, RegisterName::kRax, RegisterName::kR15)) {
    const auto gpr = static_cast<std::uint8_t>(number(name) - number(RegisterName::kRax));
    vp.context.set_general_register(gpr, value.low);
    return Status::kSuccess;
  }
  if (is_extended_register(name)) {
    return write_extended_register(vp, name, value) ? Status::kSuccess
                                                    : Status::kInvalidRegisterValue;
  }
  if (const auto segment = segment_of(name)) {
    vtx::write_segment(*segment, std::bit_cast<SegmentRegister>(value));
    return Status::kSuccess;
  }
  if (name == RegisterName::kGdtr || name == RegisterName::kIdtr) {
    write_table(name == RegisterName::kIdtr, std::bit_cast<TableRegister>(value));
    return Status::kSuccess;
  }
  if (const auto msr = msr_of(name)) {
    return write_msr_register({hypervisor, vp, *msr, true}, value.low);
  }
  if (const auto written = write_number(hypervisor, vp, name, value.low)) {
    return *written ? Status::kSuccess : Status::kInvalidRegisterValue;
  }
  return write_parent_register(hypervisor, vp, name, value).value_or(Status::kUnknownRegisterName);
}

bool is_legal_initial_context(const InitialVpContext& initial) {
  const vtx::Capabilities& capabilities = this_processor().capabilities();
  return vtx::is_legal_cr0(initial.cr0) && vtx::is_legal_cr4(capabilities, initial.cr4) &&
         vtx::is_legal_efer(initial.efer) && (initial.rflags & ~kRflagsBits) == 0;
}

void write_initial_context(VirtualProcessor& vp, const InitialVpContext& initial) {
  const vtx::Capabilities& capabilities = this_processor().capabilities();
  vtx::write_segment(vtx::SegmentName::kCs, initial.cs);
  vtx::write_segment(vtx::SegmentName::kDs, initial.ds);
  vtx::write_segment(vtx::SegmentName::kEs, initial.es);
  vtx::write_segment(vtx::SegmentName::kFs, initial.fs);
  vtx::write_segment(vtx::SegmentName::kGs, initial.gs);
  vtx::write_segment(vtx::SegmentName::kSs, initial.ss);
  vtx::write_segment(vtx::SegmentName::kTr, initial.tr);
  vtx::write_segment(vtx::SegmentName::kLdtr, initial.ldtr);
  vtx::write_idtr(initial.idtr);
  vtx::write_gdtr(initial.gdtr);
  INVARIANT(vtx::write_efer(initial.efer));
  INVARIANT(vtx::write_cr4(capabilities, initial.cr4));
  vtx::write_cr3(initial.cr3);
  INVARIANT(vtx::write_cr0(capabilities, initial.cr0));
  vtx::write_pat(initial.pat);
  vtx::write_rsp(initial.rsp);
  vtx::write_rflags(initial.rflags | x86::kRflagsFixed);
  vtx::write_rip(initial.rip);
  vp.context.registers() = {};
  vp.changed = true;
}

}  // namespace hv
