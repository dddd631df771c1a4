#include "hv/vtx/guest_context.h"

#include "machine/invariant.h"
#include "machine/vmx_architecture.h"
#include "machine/x86.h"

namespace hv::vtx {
namespace {

namespace vmx = machine::vmx;
namespace x86 = machine::x86;
using machine::Vmcs32;
using machine::Vmcs64;
using machine::VmcsNatural;
using machine::vmwrite;

constexpr std::uint64_t kNoLink = ~0ull;
constexpr std::uint64_t kDefaultPat = 0x0007'0406'0007'0406;
constexpr std::uint64_t kDr7AfterReset = 0x400;
constexpr std::uint64_t kRipAfterReset = 0xFFF0;
constexpr std::uint64_t kCodeBaseAfterReset = 0xFFFF'0000;
constexpr std::uint16_t kCodeSelectorAfterReset = 0xF000;
constexpr std::uint16_t kRealModeCode = 0x9B;
constexpr std::uint16_t kRealModeData = 0x93;
constexpr std::uint16_t kLdtAfterReset = 0x82;
constexpr std::uint16_t kBusyTss = 0x8B;

void program_controls(const Capabilities& capabilities, const SharedPages& pages,
                      std::uint64_t eptp) {
  const Controls& controls = capabilities.controls;
  vmwrite(Vmcs32::kPinBasedControls, controls.pin_based);
  vmwrite(Vmcs32::kSecondaryProcessorBasedControls, controls.secondary);
  vmwrite(Vmcs32::kVmExitControls, controls.exit);
  vmwrite(Vmcs32::kExceptionBitmap, 0);
  vmwrite(Vmcs32::kPageFaultErrorCodeMask, 0);
  vmwrite(Vmcs32::kPageFaultErrorCodeMatch, 0);
  vmwrite(Vmcs32::kCr3TargetCount, 0);
  vmwrite(Vmcs32::kVmExitMsrStoreCount, 0);
  vmwrite(Vmcs32::kVmExitMsrLoadCount, 0);
  vmwrite(Vmcs32::kVmEntryMsrLoadCount, 0);
  vmwrite(Vmcs32::kVmEntryInterruptionInformation, 0);
  vmwrite(Vmcs64::kIoBitmapA, pages.io_bitmap_a.value());
  vmwrite(Vmcs64::kIoBitmapB, pages.io_bitmap_b.value());
  vmwrite(Vmcs64::kMsrBitmap, pages.msr_bitmap.value());
  vmwrite(Vmcs64::kEptPointer, eptp);
  vmwrite(Vmcs64::kVmcsLinkPointer, kNoLink);
}

void program_reset_segments() {
  const SegmentRegister data{
      .base = 0, .limit = 0xFFFF, .selector = 0, .attributes = kRealModeData};
  for (const SegmentName name :
       {SegmentName::kEs, SegmentName::kSs, SegmentName::kDs, SegmentName::kFs, SegmentName::kGs}) {
    write_segment(name, data);
  }
  write_segment(SegmentName::kCs, {.base = kCodeBaseAfterReset,
                                   .limit = 0xFFFF,
                                   .selector = kCodeSelectorAfterReset,
                                   .attributes = kRealModeCode});
  write_segment(SegmentName::kLdtr, {.limit = 0xFFFF, .attributes = kLdtAfterReset});
  write_segment(SegmentName::kTr, {.limit = 0xFFFF, .attributes = kBusyTss});
  write_gdtr({.limit = 0xFFFF, .base = 0});
  write_idtr({.limit = 0xFFFF, .base = 0});
}

void program_reset_state(const Capabilities& capabilities) {
  vmwrite(Vmcs32::kProcessorBasedControls, capabilities.controls.processor_based);
  vmwrite(Vmcs32::kVmEntryControls, capabilities.controls.entry);
  program_reset_segments();
  // Bits that VMX operation fixes belong to the host; the guest reads the shadow.
  vmwrite(VmcsNatural::kCr0GuestHostMask, capabilities.cr0.must_be_one | x86::kCr0Nw | x86::kCr0Cd);
  vmwrite(VmcsNatural::kCr4GuestHostMask, capabilities.cr4.must_be_one);
  constexpr std::uint64_t kCr0AfterReset = x86::kCr0Et | x86::kCr0Nw | x86::kCr0Cd;
  INVARIANT(write_cr0(capabilities, kCr0AfterReset));
  INVARIANT(write_cr4(capabilities, 0));
  vmwrite(Vmcs32::kVmEntryInterruptionInformation, 0);
  vmwrite(VmcsNatural::kGuestCr3, 0);
  vmwrite(Vmcs64::kGuestEfer, 0);
  vmwrite(Vmcs64::kGuestPat, kDefaultPat);
  vmwrite(Vmcs64::kGuestDebugctl, 0);
  vmwrite(VmcsNatural::kGuestDr7, kDr7AfterReset);
  vmwrite(VmcsNatural::kGuestRip, kRipAfterReset);
  vmwrite(VmcsNatural::kGuestRsp, 0);
  vmwrite(VmcsNatural::kGuestRflags, x86::kRflagsFixed);
  vmwrite(VmcsNatural::kGuestPendingDebugExceptions, 0);
  vmwrite(Vmcs32::kGuestInterruptibilityState, 0);
  vmwrite(Vmcs32::kGuestActivityState, vmx::kActivityActive);
  write_sysenter_cs(0);
  write_sysenter_esp(0);
  write_sysenter_eip(0);
  vmwrite(Vmcs32::kPreemptionTimerValue, 0);
}

std::uint64_t* register_slot(machine::GuestRegisters& registers, std::uint8_t number) {
  switch (number) {
    case 0:
      return &registers.rax;
    case 1:
      return &registers.rcx;
    case 2:
      return &registers.rdx;
    case 3:
      return &registers.rbx;
    case 5:
      return &registers.rbp;
    case 6:
      return &registers.rsi;
    case 7:
      return &registers.rdi;
    case 8:
      return &registers.r8;
    case 9:
      return &registers.r9;
    case 10:
      return &registers.r10;
    case 11:
      return &registers.r11;
    case 12:
      return &registers.r12;
    case 13:
      return &registers.r13;
    case 14:
      return &registers.r14;
    case 15:
      return &registers.r15;
    default:
      return nullptr;  // 4: RSP, which the VMCS holds
  }
}

}  // namespace

void GuestContext::initialize(const Capabilities& capabilities, const SharedPages& pages,
                              std::uint64_t eptp) {
  capabilities_ = &capabilities;
  ept_pointer_ = eptp;
  const machine::Spa region(vmcs_page_);
  machine::fill_memory(region, machine::kPageSize, 0);
  machine::store_u32(region, capabilities.revision);
  INVARIANT(machine::vmclear(region) == machine::VmxResult::kSucceed);
  INVARIANT(machine::vmptrld(region) == machine::VmxResult::kSucceed);
  program_controls(capabilities, pages, eptp);
  reset_state();
  unload();
}

void GuestContext::reset_state() {
  program_reset_state(*capabilities_);
  registers_ = {};
  // EDX holds the processor's signature after INIT (SDM vol. 3 9.1.1).
  const machine::CpuidResult signature = machine::cpuid(1, 0);
  registers_.rdx = signature.eax;
}

void GuestContext::use_ept_pointer(std::uint64_t eptp) {
  if (eptp != ept_pointer_) {
    vmwrite(Vmcs64::kEptPointer, eptp);
    ept_pointer_ = eptp;
  }
}

void GuestContext::load(std::uint32_t lp) {
  INVARIANT(machine::vmptrld(machine::Spa(vmcs_page_)) == machine::VmxResult::kSucceed);
  if (host_lp_ != lp) {
    machine::vmcs_write_host_state();
    host_lp_ = lp;
  }
}

void GuestContext::unload() {
  INVARIANT(machine::vmclear(machine::Spa(vmcs_page_)) == machine::VmxResult::kSucceed);
  launched_ = false;
}

void invalidate_translations(const Capabilities& capabilities, std::uint64_t eptp) {
  const machine::InveptKind kind = capabilities.invept_single_context
                                       ? machine::InveptKind::kSingleContext
                                       : machine::InveptKind::kAllContexts;
  INVARIANT(machine::invept(kind, eptp) == machine::VmxResult::kSucceed);
}

std::uint64_t make_ept_pointer(machine::Spn root_table, bool notes) {
  return machine::Spa(root_table).value() | vmx::kMemoryTypeWriteBack | vmx::kEptpWalkLength4 |
         (notes ? vmx::kEptpEnableAccessedDirty : 0);
}

std::uint64_t GuestContext::general_register(std::uint8_t number) const {
  machine::GuestRegisters copy = registers_;
  const std::uint64_t* slot = register_slot(copy, number);
  return slot != nullptr ? *slot : read_rsp();
}

void GuestContext::set_general_register(std::uint8_t number, std::uint64_t value) {
  std::uint64_t* slot = register_slot(registers_, number);
  if (slot != nullptr) {
    *slot = value;
  } else {
    write_rsp(value);
  }
}

}  // namespace hv::vtx
