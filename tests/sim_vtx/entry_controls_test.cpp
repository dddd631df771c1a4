// SDM vol. 3 26.2.1.
#include <catch2/catch.hpp>

#include "tests/sim_vtx/broken_state.h"

using namespace sim_vtx_test;
using P = TestProcessor&;

TEST_CASE("each check on control fields refuses what it is there to refuse", "[vtx][entry]") {
  static constexpr auto kRows = std::to_array<Broken>({
      {"pin-based controls have their fixed bits",
       [](P p) { p.clear_bits(Vmcs32::kPinBasedControls, 1u << 1); }},
      {"pin-based controls have their fixed bits",
       [](P p) { p.set_bits(Vmcs32::kPinBasedControls, 1u << 7); }},
      {"primary processor-based controls have their fixed bits",
       [](P p) { p.clear_bits(Vmcs32::kProcessorBasedControls, 1u << 1); }},
      {"primary processor-based controls have their fixed bits",
       [](P p) { p.set_bits(Vmcs32::kProcessorBasedControls, vmx::kUseTprShadow); }},
      {"secondary processor-based controls have their fixed bits",
       [](P p) { p.set_bits(Vmcs32::kSecondaryProcessorBasedControls, 1u << 0); }},
      {"the CR3-target count is supported", [](P p) { p.write(Vmcs32::kCr3TargetCount, 5); }},
      {"I/O bitmap A is a page", [](P p) { p.write(Vmcs64::kIoBitmapA, 0x4800); }},
      {"I/O bitmap A is a page", [](P p) { p.write(Vmcs64::kIoBitmapA, std::uint64_t{1} << 46); }},
      {"I/O bitmap B is a page", [](P p) { p.write(Vmcs64::kIoBitmapB, 0x5001); }},
      {"the MSR bitmap is a page", [](P p) { p.write(Vmcs64::kMsrBitmap, 0x6008); }},
      {"virtual NMIs need NMI exiting",
       [](P p) { p.clear_bits(Vmcs32::kPinBasedControls, vmx::kPinNmiExiting); }},
      {"NMI-window exiting needs virtual NMIs",
       [](P p) {
         p.clear_bits(Vmcs32::kPinBasedControls, vmx::kPinVirtualNmis);
         p.set_bits(Vmcs32::kProcessorBasedControls, vmx::kNmiWindowExiting);
       }},
      {"VPID 0 is the hypervisor's own", [](P p) { p.write(Vmcs16::kVpid, 0); }},
      {"the EPT pointer is valid", [](P p) { p.write(Vmcs64::kEptPointer, kEptp ^ 7); }},
      {"the EPT pointer is valid", [](P p) { p.write(Vmcs64::kEptPointer, kEptp & ~0x38u); }},
      {"the EPT pointer is valid", [](P p) { p.write(Vmcs64::kEptPointer, kEptp | (1u << 7)); }},
      {"the EPT pointer is valid", [](P p) { p.write(Vmcs64::kEptPointer, kEptp | (1ull << 46)); }},
      {"an unrestricted guest needs EPT",
       [](P p) { p.write(Vmcs32::kSecondaryProcessorBasedControls, vmx::kUnrestrictedGuest); }},
      {"VM-exit controls have their fixed bits",
       [](P p) { p.clear_bits(Vmcs32::kVmExitControls, 1u << 0); }},
      {"VM-exit controls have their fixed bits",
       [](P p) { p.set_bits(Vmcs32::kVmExitControls, 1u << 12); }},
      {"saving the preemption timer needs the preemption timer",
       [](P p) { p.clear_bits(Vmcs32::kPinBasedControls, vmx::kPinPreemptionTimer); }},
      {"the VM-exit MSR-store area is in physical memory",
       [](P p) {
         p.write(Vmcs32::kVmExitMsrStoreCount, 1);
         p.write(Vmcs64::kVmExitMsrStoreAddress, 0x7008);
       }},
      {"the VM-exit MSR-load area is in physical memory",
       [](P p) {
         p.write(Vmcs32::kVmExitMsrLoadCount, 2);
         p.write(Vmcs64::kVmExitMsrLoadAddress, (1ull << 46) - 16);
       }},
      {"VM-entry controls have their fixed bits",
       [](P p) { p.clear_bits(Vmcs32::kVmEntryControls, 1u << 0); }},
      {"VM-entry controls have their fixed bits",
       [](P p) { p.set_bits(Vmcs32::kVmEntryControls, 1u << 10); }},
      {"the VM-entry MSR-load area is in physical memory",
       [](P p) {
         p.write(Vmcs32::kVmEntryMsrLoadCount, 1);
         p.write(Vmcs64::kVmEntryMsrLoadAddress, 0x7004);
       }},
  });
  require_refusals(CheckGroup::kControls, kRows);
}

TEST_CASE("each check on the injected event refuses what it is there to refuse",
          "[vtx][entry][injection]") {
  static constexpr auto kRows = std::to_array<Broken>({
      {"the injected event has a type that exists", [](P p) { p.inject(1, 0x30); }},
      {"the injected event has a type that exists", [](P p) { p.inject(7, 0); }},
      {"an injected NMI has vector 2", [](P p) { p.inject(vmx::kEventTypeNmi, 3); }},
      {"an injected hardware exception has a vector below 32",
       [](P p) { p.inject(vmx::kEventTypeHardwareException, 32); }},
      {"an error code is delivered with the exceptions that have one and no others",
       [](P p) { p.inject(vmx::kEventTypeHardwareException, x86::kVectorGeneralProtection); }},
      {"an error code is delivered with the exceptions that have one and no others",
       [](P p) {
         p.inject(vmx::kEventTypeHardwareException, x86::kVectorInvalidOpcode,
                  vmx::kEventErrorCodeValid);
       }},
      {"an error code is delivered with the exceptions that have one and no others",
       [](P p) { p.inject(vmx::kEventTypeExternalInterrupt, 0x30, vmx::kEventErrorCodeValid); }},
      {"an error code is delivered with the exceptions that have one and no others",
       [](P p) {
         p.make_unrestricted_real_mode();
         p.inject(vmx::kEventTypeHardwareException, x86::kVectorGeneralProtection,
                  vmx::kEventErrorCodeValid);
       }},
      {"reserved bits of the interruption information are clear",
       [](P p) { p.inject(vmx::kEventTypeExternalInterrupt, 0x30, 1u << 12); }},
      {"an error code has 15 bits",
       [](P p) {
         p.inject(vmx::kEventTypeHardwareException, x86::kVectorPageFault,
                  vmx::kEventErrorCodeValid);
         p.write(Vmcs32::kVmEntryExceptionErrorCode, 0x8000);
       }},
      {"an injected software interrupt or exception has an instruction length",
       [](P p) { p.inject(vmx::kEventTypeSoftwareInterrupt, 0x80); }},
      {"an injected software interrupt or exception has an instruction length",
       [](P p) {
         p.inject(vmx::kEventTypeSoftwareException, 3);
         p.write(Vmcs32::kVmEntryInstructionLength, 16);
       }},
  });
  require_refusals(CheckGroup::kInjection, kRows);
}

TEST_CASE("controls that are off have no rule for what they would use", "[vtx][entry]") {
  static constexpr auto kRows = std::to_array<Broken>({
      {"I/O bitmaps",
       [](P p) {
         p.clear_bits(Vmcs32::kProcessorBasedControls, vmx::kUseIoBitmaps);
         p.write(Vmcs64::kIoBitmapA, 1);
         p.write(Vmcs64::kIoBitmapB, 1);
       }},
      {"MSR bitmap",
       [](P p) {
         p.clear_bits(Vmcs32::kProcessorBasedControls, vmx::kUseMsrBitmaps);
         p.write(Vmcs64::kMsrBitmap, 1);
       }},
      {"secondary controls",
       [](P p) {
         p.clear_bits(Vmcs32::kProcessorBasedControls, vmx::kActivateSecondaryControls);
         p.write(Vmcs32::kSecondaryProcessorBasedControls, ~0u);
       }},
      {"VPID",
       [](P p) {
         p.clear_bits(Vmcs32::kSecondaryProcessorBasedControls, vmx::kEnableVpid);
         p.write(Vmcs16::kVpid, 0);
       }},
      {"EPT",
       [](P p) {
         p.clear_bits(Vmcs32::kSecondaryProcessorBasedControls, vmx::kEnableEpt);
         p.write(Vmcs64::kEptPointer, 0);
       }},
      {"accessed and dirty flags",
       [](P p) { p.write(Vmcs64::kEptPointer, kEptp | vmx::kEptpEnableAccessedDirty); }},
      {"an event that is not valid",
       [](P p) { p.write(Vmcs32::kVmEntryInterruptionInformation, 0x7FFF'FFFF); }},
      {"host PAT and EFER",
       [](P p) {
         p.clear_bits(Vmcs32::kVmExitControls, vmx::kExitLoadPat | vmx::kExitLoadEfer);
         p.write(Vmcs64::kHostPat, 2);
         p.write(Vmcs64::kHostEfer, 2);
       }},
      {"guest PAT, EFER and debug controls",
       [](P p) {
         p.clear_bits(Vmcs32::kVmEntryControls,
                      vmx::kEntryLoadPat | vmx::kEntryLoadEfer | vmx::kEntryLoadDebugControls);
         p.write(Vmcs64::kGuestPat, 2);
         p.write(Vmcs64::kGuestEfer, 2);
         p.write(Vmcs64::kGuestDebugctl, ~std::uint64_t{0});
         p.write(VmcsNatural::kGuestDr7, ~std::uint64_t{0});
       }},
  });
  for (const Broken& row : kRows) {
    INFO(row.check);
    TestProcessor p;
    row.break_it(p);
    CHECK(p.launch().outcome == EntryOutcome::kEntered);
  }
}
