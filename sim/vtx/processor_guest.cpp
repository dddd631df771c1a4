// What a guest's operations do in VMX non-root operation (SDM vol. 3 chapter 25).
#include <array>

#include "machine/vmx_architecture.h"
#include "machine/x86.h"
#include "sim/vtx/checks.h"
#include "sim/vtx/processor.h"

namespace sim::vtx {

namespace vmx = machine::vmx;
namespace x86 = machine::x86;
using machine::Spa;
using machine::Vmcs32;
using machine::Vmcs64;
using machine::VmcsNatural;
using vmx::ExitReason;

namespace {

// Exit qualification of control-register accesses (table 27-3).
constexpr std::uint64_t kAccessMovFromCr = 1u << 4;
constexpr std::uint32_t kGprShift = 8;
// Of MOV DR (table 27-4).
constexpr std::uint64_t kMovFromDr = 1u << 4;
// Of I/O instructions (table 27-5).
constexpr std::uint64_t kIoIn = 1u << 3;
constexpr std::uint64_t kIoString = 1u << 4;
constexpr std::uint64_t kIoRepeated = 1u << 5;
constexpr std::uint64_t kIoImmediate = 1u << 6;
constexpr std::uint32_t kIoPortShift = 16;

constexpr std::uint32_t kFirstCr3Target = 0x6008;

std::uint64_t cr_qualification(ControlRegisterAccess access, bool from) {
  return access.control_register | (from ? kAccessMovFromCr : 0) |
         (static_cast<std::uint64_t>(access.gpr) << kGprShift);
}

}  // namespace

std::optional<Exit> Processor::when(bool exits, ExitReason reason,
                                    std::uint64_t qualification) const {
  if (!exits) {
    return std::nullopt;
  }
  return Exit{.reason = reason, .qualification = qualification};
}

std::uint64_t Processor::guest_cr0() const { return current_->get(VmcsNatural::kGuestCr0); }
std::uint64_t Processor::guest_cr4() const { return current_->get(VmcsNatural::kGuestCr4); }
bool Processor::interrupts_enabled() const { return (guest_.rflags & x86::kRflagsIf) != 0; }

std::uint64_t Processor::guest_tsc(std::uint64_t now_tsc) const {
  const bool offset = (processor_controls_ & vmx::kUseTscOffsetting) != 0;
  return now_tsc + (offset ? current_->get(Vmcs64::kTscOffset) : 0);
}

// --- Instructions that exit (25.1) ---------------------------------------------------------------

std::optional<Exit> Processor::unconditional(ExitReason reason) const { return when(true, reason); }

Exit Processor::triple_fault() const { return {.reason = ExitReason::kTripleFault}; }

// 24.6.9: four bitmaps of 1 KiB, for reads and writes of low and high MSRs. Others always exit.
bool Processor::msr_bit(std::uint32_t msr, bool write) const {
  constexpr std::uint32_t kMsrsInBitmap = 0x2000;
  constexpr std::uint32_t kFirstHighMsr = 0xC000'0000;
  constexpr std::uint64_t kHighBitmap = 1024;
  constexpr std::uint64_t kWriteBitmaps = 2048;
  const bool high = msr >= kFirstHighMsr;
  const std::uint32_t index = high ? msr - kFirstHighMsr : msr;
  if ((processor_controls_ & vmx::kUseMsrBitmaps) == 0 || index >= kMsrsInBitmap) {
    return true;
  }
  const Spa bitmap(current_->get(Vmcs64::kMsrBitmap) + (high ? kHighBitmap : 0) +
                   (write ? kWriteBitmaps : 0));
  return ((platform_.load_u8(bitmap + index / 8) >> (index % 8)) & 1) != 0;
}

std::optional<Exit> Processor::rdmsr(std::uint32_t msr) const {
  return when(msr_bit(msr, false), ExitReason::kRdmsr);
}

std::optional<Exit> Processor::wrmsr(std::uint32_t msr) const {
  return when(msr_bit(msr, true), ExitReason::kWrmsr);
}

// 24.6.4, 25.1.3: an access exits if any of its ports has its bit set, or if it wraps around.
std::optional<Exit> Processor::io(const IoAccess& access) const {
  constexpr std::uint32_t kPorts = 0x10000;
  constexpr std::uint32_t kPortsInBitmap = 0x8000;
  bool exits = (processor_controls_ & vmx::kUnconditionalIoExiting) != 0;
  if ((processor_controls_ & vmx::kUseIoBitmaps) != 0) {
    const std::uint32_t end = std::uint32_t{access.port} + access.size_bytes;
    exits = end > kPorts;
    for (std::uint32_t port = access.port; port < end && !exits; ++port) {
      const Spa bitmap(
          current_->get(port < kPortsInBitmap ? Vmcs64::kIoBitmapA : Vmcs64::kIoBitmapB));
      const std::uint32_t index = port % kPortsInBitmap;
      exits = ((platform_.load_u8(bitmap + index / 8) >> (index % 8)) & 1) != 0;
    }
  }
  const std::uint64_t qualification =
      (access.size_bytes - 1u) | (access.in ? kIoIn : 0) | (access.string ? kIoString : 0) |
      (access.repeated ? kIoRepeated : 0) | (access.immediate_port ? kIoImmediate : 0) |
      (std::uint64_t{access.port} << kIoPortShift);
  std::optional<Exit> exit = when(exits, ExitReason::kIoInstruction, qualification);
  if (exit && access.string) {
    // 2, 4 or 8 bytes are 0, 1 or 2 (table 27-8).
    exit->instruction_information = (access.address_size_bytes / 4u) << vmx::kAddressSizeShift;
  }
  return exit;
}

std::optional<Exit> Processor::hlt() const {
  return when((processor_controls_ & vmx::kHltExiting) != 0, ExitReason::kHlt);
}
std::optional<Exit> Processor::pause() const {
  return when((processor_controls_ & vmx::kPauseExiting) != 0, ExitReason::kPause);
}
std::optional<Exit> Processor::rdtsc() const {
  return when((processor_controls_ & vmx::kRdtscExiting) != 0, ExitReason::kRdtsc);
}
std::optional<Exit> Processor::rdtscp() const {
  return when((processor_controls_ & vmx::kRdtscExiting) != 0, ExitReason::kRdtscp);
}
std::optional<Exit> Processor::rdpmc() const {
  return when((processor_controls_ & vmx::kRdpmcExiting) != 0, ExitReason::kRdpmc);
}
std::optional<Exit> Processor::invlpg(std::uint64_t linear_address) const {
  return when((processor_controls_ & vmx::kInvlpgExiting) != 0, ExitReason::kInvlpg,
              linear_address);
}
std::optional<Exit> Processor::wbinvd() const {
  return when((secondary_controls_ & vmx::kWbinvdExiting) != 0, ExitReason::kWbinvd);
}
std::optional<Exit> Processor::monitor() const {
  return when((processor_controls_ & vmx::kMonitorExiting) != 0, ExitReason::kMonitor);
}
std::optional<Exit> Processor::mwait() const {
  return when((processor_controls_ & vmx::kMwaitExiting) != 0, ExitReason::kMwait);
}

std::optional<Exit> Processor::mov_dr(std::uint8_t debug_register, std::uint8_t gpr,
                                      bool from_dr) const {
  const std::uint64_t qualification =
      debug_register | (from_dr ? kMovFromDr : 0) | (static_cast<std::uint64_t>(gpr) << kGprShift);
  return when((processor_controls_ & vmx::kMovDrExiting) != 0, ExitReason::kDebugRegister,
              qualification);
}

// A bit that the hypervisor owns may be written with its shadow's value and no other.
std::optional<Exit> Processor::mov_to_cr(ControlRegisterAccess access, std::uint64_t value) const {
  bool exits = false;
  switch (access.control_register) {
    case 0:
      exits = ((value ^ current_->get(VmcsNatural::kCr0ReadShadow)) &
               current_->get(VmcsNatural::kCr0GuestHostMask)) != 0;
      break;
    case 3: {
      exits = (processor_controls_ & vmx::kCr3LoadExiting) != 0;
      const std::uint64_t targets = current_->get(Vmcs32::kCr3TargetCount);
      for (std::uint32_t i = 0; exits && i < targets; ++i) {
        exits = value != current_->values[find_field(kFirstCr3Target + 2 * i).slot];
      }
      break;
    }
    case 4:
      exits = ((value ^ current_->get(VmcsNatural::kCr4ReadShadow)) &
               current_->get(VmcsNatural::kCr4GuestHostMask)) != 0;
      break;
    case 8:
      exits = (processor_controls_ & vmx::kCr8LoadExiting) != 0;
      break;
    default:
      break;
  }
  return when(exits, ExitReason::kControlRegister, cr_qualification(access, false));
}

std::optional<Exit> Processor::mov_from_cr(ControlRegisterAccess access) const {
  const bool exits =
      (access.control_register == 3 && (processor_controls_ & vmx::kCr3StoreExiting) != 0) ||
      (access.control_register == 8 && (processor_controls_ & vmx::kCr8StoreExiting) != 0);
  return when(exits, ExitReason::kControlRegister, cr_qualification(access, true));
}

// 25.2: the exception bitmap; for page faults, its sense is inverted if the error code under the
// mask is not the match.
std::optional<Exit> Processor::exception(const Event& event, std::uint64_t address) const {
  bool exits = ((current_->get(Vmcs32::kExceptionBitmap) >> (event.vector & 31)) & 1) != 0;
  const bool page_fault = event.vector == x86::kVectorPageFault;
  if (page_fault) {
    const std::uint32_t mask = current_->get32(Vmcs32::kPageFaultErrorCodeMask);
    const std::uint32_t match = current_->get32(Vmcs32::kPageFaultErrorCodeMatch);
    exits = exits == ((event.error_code & mask) == match);
  }
  if (!exits) {
    return std::nullopt;
  }
  return Exit{.reason = ExitReason::kExceptionOrNmi,
              .qualification = page_fault ? address : 0,
              .interruption_information = interruption_information(event),
              .interruption_error_code = event.has_error_code ? event.error_code : 0};
}

// --- Completing what does not exit (25.3) --------------------------------------------------------

std::uint64_t Processor::read_cr(std::uint8_t control_register) const {
  const auto through = [this](VmcsNatural value, VmcsNatural mask, VmcsNatural shadow) {
    const std::uint64_t owned = current_->get(mask);
    return (current_->get(value) & ~owned) | (current_->get(shadow) & owned);
  };
  switch (control_register) {
    case 0:
      return through(VmcsNatural::kGuestCr0, VmcsNatural::kCr0GuestHostMask,
                     VmcsNatural::kCr0ReadShadow);
    case 3:
      return guest_.cr3;
    case 4:
      return through(VmcsNatural::kGuestCr4, VmcsNatural::kCr4GuestHostMask,
                     VmcsNatural::kCr4ReadShadow);
    default:
      return 0;
  }
}

bool Processor::write_cr(std::uint8_t control_register, std::uint64_t value) {
  if (control_register == 3) {
    if (!capabilities_.is_physical(value)) {
      return false;
    }
    guest_.cr3 = value;
    tlb_.drop_vpid(tlb_.vpid());
    return true;
  }
  const bool cr0 = control_register == 0;
  const VmcsNatural field = cr0 ? VmcsNatural::kGuestCr0 : VmcsNatural::kGuestCr4;
  const std::uint64_t owned =
      current_->get(cr0 ? VmcsNatural::kCr0GuestHostMask : VmcsNatural::kCr4GuestHostMask);
  const std::uint64_t next = (current_->get(field) & owned) | (value & ~owned);
  // 23.8: in VMX operation the fixed bits stay, but for an unrestricted guest's PE and PG.
  const bool unrestricted = (secondary_controls_ & vmx::kUnrestrictedGuest) != 0;
  const std::uint64_t exempt = cr0 && unrestricted ? x86::kCr0Pe | x86::kCr0Pg : 0;
  const std::uint64_t fixed0 =
      (cr0 ? capabilities_.cr0_fixed0 : capabilities_.cr4_fixed0) & ~exempt;
  const std::uint64_t fixed1 = cr0 ? capabilities_.cr0_fixed1 : capabilities_.cr4_fixed1;
  const bool paging_without_protection = cr0 && (next & (x86::kCr0Pg | x86::kCr0Pe)) == x86::kCr0Pg;
  if ((next & fixed0) != fixed0 || (next & ~fixed1) != 0 || paging_without_protection) {
    return false;
  }
  if (next != current_->get(field)) {
    current_->set(field, next);
    tlb_.drop_vpid(tlb_.vpid());
  }
  return true;
}

std::optional<std::uint64_t> Processor::guest_msr(std::uint32_t msr) const {
  switch (msr) {
    case x86::kMsrEfer:
      return efer_;
    case x86::kMsrPat:
      return pat_;
    case x86::kMsrDebugctl:
      return debugctl_;
    case x86::kMsrSysenterCs:
      return current_->get(Vmcs32::kGuestSysenterCs);
    case x86::kMsrSysenterEsp:
      return current_->get(VmcsNatural::kGuestSysenterEsp);
    case x86::kMsrSysenterEip:
      return current_->get(VmcsNatural::kGuestSysenterEip);
    case x86::kMsrFsBase:
      return current_->get(VmcsNatural::kGuestFsBase);
    case x86::kMsrGsBase:
      return current_->get(VmcsNatural::kGuestGsBase);
    default:
      return std::nullopt;
  }
}

bool Processor::set_guest_msr(std::uint32_t msr, std::uint64_t value) {
  const auto set_canonical = [&](VmcsNatural field) {
    if (!capabilities_.is_canonical(value)) {
      return false;
    }
    current_->set(field, value);
    return true;
  };
  switch (msr) {
    case x86::kMsrEfer:
      // LMA is read-only, and LME stays while paging is on (2.2.1).
      if ((value & ~kEferBits) != 0 || ((value ^ efer_) & x86::kEferLme) != 0) {
        return false;
      }
      efer_ = (value & ~x86::kEferLma) | (efer_ & x86::kEferLma);
      return true;
    case x86::kMsrPat:
      if (!is_valid_pat(value)) {
        return false;
      }
      pat_ = value;
      return true;
    case x86::kMsrDebugctl:
      if ((value & ~kDebugctlBits) != 0) {
        return false;
      }
      debugctl_ = value;
      return true;
    case x86::kMsrSysenterCs:
      current_->set(Vmcs32::kGuestSysenterCs, value & 0xFFFF'FFFF);
      return true;
    case x86::kMsrSysenterEsp:
      return set_canonical(VmcsNatural::kGuestSysenterEsp);
    case x86::kMsrSysenterEip:
      return set_canonical(VmcsNatural::kGuestSysenterEip);
    case x86::kMsrFsBase:
      return set_canonical(VmcsNatural::kGuestFsBase);
    case x86::kMsrGsBase:
      return set_canonical(VmcsNatural::kGuestGsBase);
    default:
      return false;
  }
}

}  // namespace sim::vtx
