// VMX operation, and a VMCS fit for a guest.
#include <array>
#include <cstddef>

#include "machine/vmx_architecture.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"
#include "tests/metal/seam_check.h"

namespace seam_check {
namespace {

namespace vmx = machine::vmx;
namespace x86 = machine::x86;
using machine::Spa;
using machine::Vmcs16;
using machine::Vmcs32;
using machine::Vmcs64;
using machine::VmcsNatural;
using machine::VmcsReadOnly32;
using machine::vmread;
using machine::vmwrite;
using machine::VmxResult;

struct alignas(4096) PageBytes {
  std::array<std::byte, 4096> bytes{};
};

constinit std::array<PageBytes, static_cast<std::size_t>(Page::kCount)> pages{};
struct alignas(4096) EptTable {
  std::array<std::uint64_t, 512> entries{};
};
constinit EptTable ept_top{};
constinit EptTable ept_pointers{};
constinit EptTable ept_directory{};
constinit PageBytes guest_stack{};

std::uint64_t address_of(const void* object) { return reinterpret_cast<std::uint64_t>(object); }

std::uint64_t ept_pointer() {
  return address_of(&ept_top) | vmx::kMemoryTypeWriteBack | vmx::kEptpWalkLength4;
}

/// 512 MiB in pages of 2 MiB.
void build_ept() {
  constexpr std::uint64_t kAll = vmx::kEptRead | vmx::kEptWrite | vmx::kEptExecute;
  ept_top.entries[0] = address_of(&ept_pointers) | kAll;
  ept_pointers.entries[0] = address_of(&ept_directory) | kAll;
  for (std::uint64_t index = 0; index < 256; ++index) {
    ept_directory.entries[index] = (index * machine::kLargePageSize) | kAll | vmx::kEptLargePage |
                                   (vmx::kMemoryTypeWriteBack << vmx::kEptMemoryTypeShift);
  }
}

std::uint32_t control(std::uint32_t wanted, std::uint32_t msr) {
  const std::uint64_t allowed = machine::read_msr(msr);
  return (wanted | static_cast<std::uint32_t>(allowed)) & static_cast<std::uint32_t>(allowed >> 32);
}

void write_controls() {
  vmwrite(Vmcs32::kPinBasedControls,
          control(vmx::kPinExternalInterruptExiting | vmx::kPinNmiExiting,
                  x86::kMsrVmxTruePinbasedControls));
  vmwrite(Vmcs32::kProcessorBasedControls,
          control(vmx::kHltExiting | vmx::kUseIoBitmaps | vmx::kUseMsrBitmaps |
                      vmx::kActivateSecondaryControls,
                  x86::kMsrVmxTrueProcbasedControls));
  vmwrite(Vmcs32::kSecondaryProcessorBasedControls,
          control(vmx::kEnableEpt | vmx::kUnrestrictedGuest | vmx::kEnableVpid,
                  x86::kMsrVmxProcbasedControls2));
  vmwrite(Vmcs32::kVmExitControls,
          control(vmx::kExitHostAddressSpaceSize | vmx::kExitAcknowledgeInterrupt |
                      vmx::kExitSaveEfer | vmx::kExitLoadEfer | vmx::kExitLoadPat,
                  x86::kMsrVmxTrueExitControls));
  vmwrite(Vmcs32::kVmEntryControls,
          control(vmx::kEntryIa32eModeGuest | vmx::kEntryLoadEfer, x86::kMsrVmxTrueEntryControls));
  vmwrite(Vmcs32::kExceptionBitmap, 0);
  vmwrite(Vmcs32::kCr3TargetCount, 0);
  vmwrite(Vmcs32::kVmExitMsrStoreCount, 0);
  vmwrite(Vmcs32::kVmExitMsrLoadCount, 0);
  vmwrite(Vmcs32::kVmEntryMsrLoadCount, 0);
  vmwrite(Vmcs32::kVmEntryInterruptionInformation, 0);
  vmwrite(Vmcs64::kEptPointer, ept_pointer());
  vmwrite(Vmcs64::kMsrBitmap, page(Page::kMsrBitmap).value());
  vmwrite(Vmcs64::kIoBitmapA, page(Page::kIoBitmapA).value());
  vmwrite(Vmcs64::kIoBitmapB, page(Page::kIoBitmapB).value());
  vmwrite(Vmcs64::kVmcsLinkPointer, ~0ull);
  vmwrite(Vmcs16::kVpid, 1);
}

struct SegmentFields {
  Vmcs16 selector;
  Vmcs32 limit;
  Vmcs32 rights;
  VmcsNatural segment_base;
};

void write_segment(const SegmentFields& fields, std::uint16_t selector, std::uint32_t rights,
                   std::uint64_t segment_base, std::uint32_t limit) {
  vmwrite(fields.selector, selector);
  vmwrite(fields.limit, limit);
  vmwrite(fields.rights, rights);
  vmwrite(fields.segment_base, segment_base);
}

void write_segments() {
  constexpr std::uint32_t kCode64 = 0xA09B;
  constexpr std::uint32_t kData = 0xC093;
  constexpr std::uint32_t kTask = 0x8B;
  constexpr std::uint32_t kUnusable = 1u << 16;
  const std::uint64_t gs_base = vmread(VmcsNatural::kHostGsBase);
  const std::uint64_t task_base = vmread(VmcsNatural::kHostTrBase);
  write_segment({Vmcs16::kGuestCsSelector, Vmcs32::kGuestCsLimit, Vmcs32::kGuestCsAccessRights,
                 VmcsNatural::kGuestCsBase},
                0x08, kCode64, 0, ~0u);
  write_segment({Vmcs16::kGuestSsSelector, Vmcs32::kGuestSsLimit, Vmcs32::kGuestSsAccessRights,
                 VmcsNatural::kGuestSsBase},
                0x10, kData, 0, ~0u);
  write_segment({Vmcs16::kGuestDsSelector, Vmcs32::kGuestDsLimit, Vmcs32::kGuestDsAccessRights,
                 VmcsNatural::kGuestDsBase},
                0x10, kData, 0, ~0u);
  write_segment({Vmcs16::kGuestEsSelector, Vmcs32::kGuestEsLimit, Vmcs32::kGuestEsAccessRights,
                 VmcsNatural::kGuestEsBase},
                0x10, kData, 0, ~0u);
  write_segment({Vmcs16::kGuestFsSelector, Vmcs32::kGuestFsLimit, Vmcs32::kGuestFsAccessRights,
                 VmcsNatural::kGuestFsBase},
                0, kUnusable, 0, 0);
  write_segment({Vmcs16::kGuestGsSelector, Vmcs32::kGuestGsLimit, Vmcs32::kGuestGsAccessRights,
                 VmcsNatural::kGuestGsBase},
                0x10, kData, gs_base, ~0u);
  write_segment({Vmcs16::kGuestTrSelector, Vmcs32::kGuestTrLimit, Vmcs32::kGuestTrAccessRights,
                 VmcsNatural::kGuestTrBase},
                0x20, kTask, task_base, 103);
  write_segment({Vmcs16::kGuestLdtrSelector, Vmcs32::kGuestLdtrLimit,
                 Vmcs32::kGuestLdtrAccessRights, VmcsNatural::kGuestLdtrBase},
                0, kUnusable, 0, 0);
}

void write_guest_registers(std::uint64_t rip) {
  vmwrite(VmcsNatural::kGuestCr0, vmread(VmcsNatural::kHostCr0));
  vmwrite(VmcsNatural::kGuestCr3, vmread(VmcsNatural::kHostCr3));
  vmwrite(VmcsNatural::kGuestCr4, vmread(VmcsNatural::kHostCr4));
  vmwrite(VmcsNatural::kGuestDr7, 0x400);
  vmwrite(VmcsNatural::kGuestRsp, address_of(&guest_stack) + sizeof(guest_stack));
  vmwrite(VmcsNatural::kGuestRip, rip);
  vmwrite(VmcsNatural::kGuestRflags, x86::kRflagsFixed);
  vmwrite(VmcsNatural::kGuestGdtrBase, vmread(VmcsNatural::kHostGdtrBase));
  vmwrite(Vmcs32::kGuestGdtrLimit, 0x2F);
  vmwrite(VmcsNatural::kGuestIdtrBase, vmread(VmcsNatural::kHostIdtrBase));
  vmwrite(Vmcs32::kGuestIdtrLimit, 0xFFF);
  vmwrite(VmcsNatural::kGuestPendingDebugExceptions, 0);
  vmwrite(VmcsNatural::kGuestSysenterEsp, 0);
  vmwrite(VmcsNatural::kGuestSysenterEip, 0);
  vmwrite(Vmcs32::kGuestSysenterCs, 0);
  vmwrite(Vmcs32::kGuestInterruptibilityState, 0);
  vmwrite(Vmcs32::kGuestActivityState, vmx::kActivityActive);
  vmwrite(Vmcs64::kGuestDebugctl, 0);
  vmwrite(Vmcs64::kGuestEfer, machine::read_msr(x86::kMsrEfer));
  vmwrite(VmcsNatural::kCr0GuestHostMask, 0);
  vmwrite(VmcsNatural::kCr4GuestHostMask, 0);
}

}  // namespace

Spa page(Page which) { return Spa(address_of(&pages[static_cast<std::size_t>(which)])); }

void prepare_guest(std::uint64_t rip) {
  machine::vmcs_write_host_state();
  write_controls();
  write_segments();
  write_guest_registers(rip);
}

void check_vmx() {
  const auto revision =
      static_cast<std::uint32_t>(machine::read_msr(x86::kMsrVmxBasic)) & 0x7FFFFFFF;
  machine::store_u32(page(Page::kVmxon), revision);
  machine::store_u32(page(Page::kVmcs), revision);
  check("VMXON begins VMX operation", machine::vmxon(page(Page::kVmxon)) == VmxResult::kSucceed);
  check("VMXON in VMX operation fails", machine::vmxon(page(Page::kVmxon)) != VmxResult::kSucceed);
  check("VMPTRLD of an unaligned address fails",
        machine::vmptrld(page(Page::kVmcs) + 1) != VmxResult::kSucceed);
  check("VMCLEAR accepts a VMCS", machine::vmclear(page(Page::kVmcs)) == VmxResult::kSucceed);
  check("VMPTRLD makes it current", machine::vmptrld(page(Page::kVmcs)) == VmxResult::kSucceed);
  check("VMPTRLD of the VMXON region fails with its error number",
        machine::vmptrld(page(Page::kVmxon)) == VmxResult::kFailValid &&
            vmread(VmcsReadOnly32::kVmInstructionError) == vmx::kErrorVmptrldVmxonPointer);
  vmwrite(Vmcs16::kVpid, 0xABCD);
  vmwrite(Vmcs32::kExceptionBitmap, 0x89ABCDEF);
  vmwrite(Vmcs64::kTscOffset, 0x0123456789ABCDEF);
  vmwrite(VmcsNatural::kGuestRip, 0xFEDCBA9876543210);
  check("VMREAD returns what VMWRITE wrote, in each width",
        vmread(Vmcs16::kVpid) == 0xABCD && vmread(Vmcs32::kExceptionBitmap) == 0x89ABCDEF &&
            vmread(Vmcs64::kTscOffset) == 0x0123456789ABCDEF &&
            vmread(VmcsNatural::kGuestRip) == 0xFEDCBA9876543210);
  build_ept();
  check(
      "INVEPT accepts one context and all",
      machine::invept(machine::InveptKind::kSingleContext, ept_pointer()) == VmxResult::kSucceed &&
          machine::invept(machine::InveptKind::kAllContexts, 0) == VmxResult::kSucceed);
  check("INVVPID accepts an address, one context and all",
        machine::invvpid(machine::InvvpidKind::kAddress, 1, 0x1000) == VmxResult::kSucceed &&
            machine::invvpid(machine::InvvpidKind::kSingleContext, 1, 0) == VmxResult::kSucceed &&
            machine::invvpid(machine::InvvpidKind::kAllContexts, 0, 0) == VmxResult::kSucceed);
  check("INVVPID of VPID 0 fails",
        machine::invvpid(machine::InvvpidKind::kSingleContext, 0, 0) == VmxResult::kFailValid);
}

}  // namespace seam_check
