#include "tests/sim_vtx/test_processor.h"

namespace sim_vtx_test {

void TestProcessor::write_baseline() {
  write_control_baseline();
  write_host_baseline();
  write_guest_baseline();
  write_segment_baseline();
}

void TestProcessor::write_control_baseline() {
  write(Vmcs32::kPinBasedControls, capabilities.pin_based.required |
                                       vmx::kPinExternalInterruptExiting | vmx::kPinNmiExiting |
                                       vmx::kPinVirtualNmis | vmx::kPinPreemptionTimer);
  write(Vmcs32::kProcessorBasedControls,
        capabilities.processor_based.required | vmx::kHltExiting | vmx::kUseIoBitmaps |
            vmx::kUseMsrBitmaps | vmx::kUseTscOffsetting | vmx::kActivateSecondaryControls);
  write(Vmcs32::kSecondaryProcessorBasedControls, vmx::kEnableEpt | vmx::kEnableVpid);
  write(Vmcs32::kVmExitControls, capabilities.exit.required | vmx::kExitHostAddressSpaceSize |
                                     vmx::kExitAcknowledgeInterrupt | vmx::kExitLoadEfer |
                                     vmx::kExitSaveEfer | vmx::kExitLoadPat | vmx::kExitSavePat |
                                     vmx::kExitSavePreemptionTimer);
  write(Vmcs32::kVmEntryControls, capabilities.entry.required | vmx::kEntryIa32eModeGuest |
                                      vmx::kEntryLoadEfer | vmx::kEntryLoadPat |
                                      vmx::kEntryLoadDebugControls);
  write(Vmcs16::kVpid, 1);
  write(Vmcs64::kIoBitmapA, kIoBitmapA.value());
  write(Vmcs64::kIoBitmapB, kIoBitmapB.value());
  write(Vmcs64::kMsrBitmap, kMsrBitmap.value());
  write(Vmcs64::kEptPointer, kEptp);
  write(Vmcs64::kTscOffset, 0);
  write(Vmcs32::kPreemptionTimerValue, 1000);
  for (const Vmcs32 field :
       {Vmcs32::kExceptionBitmap, Vmcs32::kPageFaultErrorCodeMask, Vmcs32::kPageFaultErrorCodeMatch,
        Vmcs32::kCr3TargetCount, Vmcs32::kVmExitMsrStoreCount, Vmcs32::kVmExitMsrLoadCount,
        Vmcs32::kVmEntryMsrLoadCount, Vmcs32::kVmEntryInterruptionInformation,
        Vmcs32::kVmEntryExceptionErrorCode, Vmcs32::kVmEntryInstructionLength}) {
    write(field, 0);
  }
  for (const VmcsNatural field : {VmcsNatural::kCr0GuestHostMask, VmcsNatural::kCr4GuestHostMask,
                                  VmcsNatural::kCr0ReadShadow, VmcsNatural::kCr4ReadShadow}) {
    write(field, 0);
  }
}

void TestProcessor::write_host_baseline() {
  write(VmcsNatural::kHostCr0, 0x8001'0031);
  write(VmcsNatural::kHostCr3, 0x20000);
  write(VmcsNatural::kHostCr4, x86::kCr4Pae | x86::kCr4Vmxe);
  write(Vmcs64::kHostPat, 0x0007'0406'0007'0406);
  write(Vmcs64::kHostEfer, x86::kEferLma | x86::kEferLme | x86::kEferNxe);
  for (const Vmcs16 field :
       {Vmcs16::kHostEsSelector, Vmcs16::kHostSsSelector, Vmcs16::kHostDsSelector,
        Vmcs16::kHostFsSelector, Vmcs16::kHostGsSelector}) {
    write(field, 0x10);
  }
  write(Vmcs16::kHostCsSelector, 0x08);
  write(Vmcs16::kHostTrSelector, 0x18);
  write(Vmcs32::kHostSysenterCs, 0);
  for (const VmcsNatural field :
       {VmcsNatural::kHostFsBase, VmcsNatural::kHostGsBase, VmcsNatural::kHostTrBase,
        VmcsNatural::kHostGdtrBase, VmcsNatural::kHostIdtrBase, VmcsNatural::kHostSysenterEsp,
        VmcsNatural::kHostSysenterEip, VmcsNatural::kHostRsp, VmcsNatural::kHostRip}) {
    write(field, 0xFFFF'8000'0000'1000);
  }
}

void TestProcessor::write_guest_baseline() {
  write(Vmcs64::kVmcsLinkPointer, ~std::uint64_t{0});
  write(Vmcs64::kGuestDebugctl, 0);
  write(Vmcs64::kGuestPat, 0x0007'0406'0007'0406);
  write(Vmcs64::kGuestEfer, x86::kEferLma | x86::kEferLme);
  write(Vmcs32::kGuestInterruptibilityState, 0);
  write(Vmcs32::kGuestActivityState, vmx::kActivityActive);
  write(Vmcs32::kGuestSysenterCs, 0);
  write(VmcsNatural::kGuestCr0, 0x8001'0031);
  write(VmcsNatural::kGuestCr3, 0x30000);
  write(VmcsNatural::kGuestCr4, x86::kCr4Pae | x86::kCr4Vmxe);
  write(VmcsNatural::kGuestDr7, 0x400);
  write(VmcsNatural::kGuestRip, 0x10'0000);
  write(VmcsNatural::kGuestRsp, 0x20'0000);
  write(VmcsNatural::kGuestRflags, x86::kRflagsFixed | x86::kRflagsIf);
  write(VmcsNatural::kGuestPendingDebugExceptions, 0);
  write(VmcsNatural::kGuestSysenterEsp, 0);
  write(VmcsNatural::kGuestSysenterEip, 0);
}

void TestProcessor::write_segment_baseline() {
  for (std::uint32_t segment = 0; segment < 8; ++segment) {
    const bool code = segment == 1;
    const bool ldtr = segment == 6;
    const bool tr = segment == 7;
    const std::uint32_t system_rights = ldtr ? kUnusable : kTssRights;
    write(0x0800 + 2 * segment, code ? 0x08u : 0x10u);
    write(0x4800 + 2 * segment, ldtr || tr ? 0x67u : 0xFFFF'FFFFu);
    write(0x4814 + 2 * segment, ldtr || tr ? system_rights : code ? kCodeRights : kDataRights);
    write(0x6806 + 2 * segment, 0);
  }
  write(Vmcs32::kGuestGdtrLimit, 0xFFFF);
  write(Vmcs32::kGuestIdtrLimit, 0xFFFF);
  write(VmcsNatural::kGuestGdtrBase, 0);
  write(VmcsNatural::kGuestIdtrBase, 0);
}

void TestProcessor::make_virtual_8086() {
  clear_bits(Vmcs32::kVmEntryControls, vmx::kEntryIa32eModeGuest);
  write(Vmcs64::kGuestEfer, 0);
  write(VmcsNatural::kGuestCr4, x86::kCr4Vmxe);
  write(VmcsNatural::kGuestRflags, x86::kRflagsFixed | x86::kRflagsIf | (1u << 17));
  for (std::uint32_t segment = 0; segment < 6; ++segment) {
    write(0x0800 + 2 * segment, 0x1000);
    write(0x4800 + 2 * segment, 0xFFFF);
    write(0x4814 + 2 * segment, 0xF3);
    write(0x6806 + 2 * segment, 0x1'0000);
  }
}

void TestProcessor::make_unrestricted_real_mode() {
  set_bits(Vmcs32::kSecondaryProcessorBasedControls, vmx::kUnrestrictedGuest);
  clear_bits(Vmcs32::kVmEntryControls, vmx::kEntryIa32eModeGuest);
  write(Vmcs64::kGuestEfer, 0);
  write(VmcsNatural::kGuestCr0, 0x30);
  write(VmcsNatural::kGuestCr4, x86::kCr4Vmxe);
  write(VmcsNatural::kGuestRip, 0xFFF0);
  for (std::uint32_t segment = 0; segment < 6; ++segment) {
    write(0x4800 + 2 * segment, 0xFFFF);
    write(0x4814 + 2 * segment, segment == 1 ? 0x9B : 0x93);
  }
}

}  // namespace sim_vtx_test
