// SDM vol. 3 26.3.1.1 and 26.3.1.3 to 26.3.1.6.
#include <catch2/catch.hpp>

#include "tests/sim_vtx/broken_state.h"

using namespace sim_vtx_test;
using P = TestProcessor&;

namespace {

constexpr std::uint64_t kNotCanonical = 0x0000'8000'0000'0000;
constexpr std::uint64_t kRflagsTf = 1u << 8;
constexpr std::uint64_t kPendingSingleStep = 1u << 14;

template <auto field, std::uint64_t value>
void put(P p) {
  p.write(field, value);
}

// A 32-bit guest with PAE paging, whose PDPTEs are in the VMCS.
void make_pae(P p) {
  p.clear_bits(Vmcs32::kVmEntryControls, vmx::kEntryIa32eModeGuest);
  p.write(Vmcs64::kGuestEfer, 0);
  p.write(Vmcs32::kGuestCsAccessRights, 0xC09B);
  for (std::uint32_t i = 0; i < 4; ++i) {
    p.write(static_cast<std::uint32_t>(Vmcs64::kGuestPdpte0) + 2 * i, 0x40001);
  }
}

}  // namespace

TEST_CASE("each check on guest registers refuses what it is there to refuse", "[vtx][entry]") {
  static constexpr auto kRows = std::to_array<Broken>({
      {"guest CR0 has its fixed bits",
       [](P p) { p.clear_bits(VmcsNatural::kGuestCr0, x86::kCr0Ne); }},
      {"guest CR0 has its fixed bits",
       [](P p) { p.clear_bits(VmcsNatural::kGuestCr0, x86::kCr0Pg | x86::kCr0Pe); }},
      {"guest CR0 has its fixed bits", [](P p) { p.set_bits(VmcsNatural::kGuestCr0, 1ull << 40); }},
      {"paging needs protection",
       [](P p) {
         p.make_unrestricted_real_mode();
         p.set_bits(VmcsNatural::kGuestCr0, x86::kCr0Pg);
       }},
      {"guest CR4 has its fixed bits",
       [](P p) { p.clear_bits(VmcsNatural::kGuestCr4, x86::kCr4Vmxe); }},
      {"guest CR4 has its fixed bits", [](P p) { p.set_bits(VmcsNatural::kGuestCr4, 1u << 21); }},
      {"guest DEBUGCTL has its reserved bits clear", put<Vmcs64::kGuestDebugctl, 1u << 2>},
      {"an IA-32e guest has paging and PAE",
       [](P p) { p.clear_bits(VmcsNatural::kGuestCr4, x86::kCr4Pae); }},
      {"PCIDs need an IA-32e guest",
       [](P p) {
         p.make_virtual_8086();
         p.set_bits(VmcsNatural::kGuestCr4, 1u << 17);
       }},
      {"guest CR3 is a physical address", put<VmcsNatural::kGuestCr3, 1ull << 50>},
      {"guest DR7 has its upper half clear", put<VmcsNatural::kGuestDr7, 1ull << 32>},
      {"guest SYSENTER_ESP is canonical", put<VmcsNatural::kGuestSysenterEsp, kNotCanonical>},
      {"guest SYSENTER_EIP is canonical", put<VmcsNatural::kGuestSysenterEip, kNotCanonical>},
      {"guest PAT holds memory types", put<Vmcs64::kGuestPat, 8>},
      {"guest EFER has its reserved bits clear",
       [](P p) { p.set_bits(Vmcs64::kGuestEfer, 1u << 12); }},
      {"guest EFER.LMA is the IA-32e-mode control",
       [](P p) { p.clear_bits(Vmcs64::kGuestEfer, x86::kEferLma); }},
      {"guest EFER.LME is LMA while paging is on",
       [](P p) { p.clear_bits(Vmcs64::kGuestEfer, x86::kEferLme); }},
      {"guest GDTR base is canonical", put<VmcsNatural::kGuestGdtrBase, kNotCanonical>},
      {"guest IDTR base is canonical", put<VmcsNatural::kGuestIdtrBase, kNotCanonical>},
      {"guest GDTR limit has 16 bits", put<Vmcs32::kGuestGdtrLimit, 0x1'0000>},
      {"guest IDTR limit has 16 bits", put<Vmcs32::kGuestIdtrLimit, 0x1'0000>},
      {"PDPTEs have their reserved bits clear",
       [](P p) {
         make_pae(p);
         p.write(Vmcs64::kGuestPdpte2, 0x40003);
       }},
      {"PDPTEs have their reserved bits clear",
       [](P p) {  // without EPT the PDPTEs are in memory
         make_pae(p);
         p.clear_bits(Vmcs32::kSecondaryProcessorBasedControls, vmx::kEnableEpt);
         p.platform.store_u64(Spa(0x30018), 0x40021);
       }},
  });
  require_refusals(CheckGroup::kGuestRegisters, kRows);
}

TEST_CASE("each check on guest activity refuses what it is there to refuse",
          "[vtx][entry][injection]") {
  constexpr auto kInterruptibility = Vmcs32::kGuestInterruptibilityState;
  static constexpr auto kRows = std::to_array<Broken>({
      {"guest RIP fits the guest's mode", put<VmcsNatural::kGuestRip, kNotCanonical>},
      {"guest RIP fits the guest's mode",
       [](P p) {
         make_pae(p);
         p.write(VmcsNatural::kGuestRip, 1ull << 32);
       }},
      {"guest RFLAGS has its fixed bits",
       [](P p) { p.clear_bits(VmcsNatural::kGuestRflags, x86::kRflagsFixed); }},
      {"guest RFLAGS has its fixed bits",
       [](P p) { p.set_bits(VmcsNatural::kGuestRflags, 1u << 3); }},
      {"guest RFLAGS has its fixed bits",
       [](P p) { p.set_bits(VmcsNatural::kGuestRflags, 1ull << 22); }},
      {"virtual-8086 mode needs protection and no IA-32e mode",
       [](P p) {
         p.make_virtual_8086();
         p.set_bits(Vmcs32::kVmEntryControls, vmx::kEntryIa32eModeGuest);
         p.write(Vmcs64::kGuestEfer, x86::kEferLma | x86::kEferLme);
         p.set_bits(VmcsNatural::kGuestCr4, x86::kCr4Pae);
       }},
      {"an injected interrupt finds interrupts enabled",
       [](P p) {
         p.inject(vmx::kEventTypeExternalInterrupt, 0x30);
         p.clear_bits(VmcsNatural::kGuestRflags, x86::kRflagsIf);
       }},
      {"the activity state is one the processor has", put<Vmcs32::kGuestActivityState, 4>},
      {"only ring 0 halts",
       [](P p) {
         p.write(Vmcs32::kGuestActivityState, vmx::kActivityHlt);
         p.write(Vmcs32::kGuestSsAccessRights, kDataRights | (3u << 5));
         p.write(Vmcs16::kGuestSsSelector, 0x13);
         p.write(Vmcs32::kGuestCsAccessRights, kCodeRights | (3u << 5));
         p.write(Vmcs16::kGuestCsSelector, 0x0B);
       }},
      {"a guest blocked by STI or MOV SS is active",
       [](P p) {
         p.write(kInterruptibility, vmx::kBlockingBySti);
         p.write(Vmcs32::kGuestActivityState, vmx::kActivityHlt);
       }},
      {"the activity state takes the injected event",
       [](P p) {
         p.write(Vmcs32::kGuestActivityState, vmx::kActivityHlt);
         p.inject(vmx::kEventTypeHardwareException, x86::kVectorInvalidOpcode);
       }},
      {"the activity state takes the injected event",
       [](P p) {
         p.write(Vmcs32::kGuestActivityState, vmx::kActivityShutdown);
         p.inject(vmx::kEventTypeExternalInterrupt, 0x30);
       }},
      {"the activity state takes the injected event",
       [](P p) {
         p.write(Vmcs32::kGuestActivityState, vmx::kActivityWaitForSipi);
         p.inject(vmx::kEventTypeNmi, 2);
       }},
      {"reserved bits of the interruptibility state are clear", put<kInterruptibility, 1u << 4>},
      {"blocking is by STI or by MOV SS, not both", put < kInterruptibility,
       vmx::kBlockingBySti | vmx::kBlockingByMovSs > },
      {"blocking by STI needs interrupts enabled",
       [](P p) {
         p.write(kInterruptibility, vmx::kBlockingBySti);
         p.clear_bits(VmcsNatural::kGuestRflags, x86::kRflagsIf);
       }},
      {"an injected interrupt is not blocked by STI or MOV SS",
       [](P p) {
         p.write(kInterruptibility, vmx::kBlockingBySti);
         p.inject(vmx::kEventTypeExternalInterrupt, 0x30);
       }},
      {"an injected interrupt is not blocked by STI or MOV SS",
       [](P p) {
         p.write(kInterruptibility, vmx::kBlockingByMovSs);
         p.inject(vmx::kEventTypeExternalInterrupt, 0x30);
       }},
      {"an injected NMI is not blocked by MOV SS",
       [](P p) {
         p.write(kInterruptibility, vmx::kBlockingByMovSs);
         p.inject(vmx::kEventTypeNmi, 2);
       }},
      {"there is no blocking by SMI outside SMM", put<kInterruptibility, vmx::kBlockingBySmi>},
      {"an injected virtual NMI is not blocked by NMI",
       [](P p) {
         p.write(kInterruptibility, vmx::kBlockingByNmi);
         p.inject(vmx::kEventTypeNmi, 2);
       }},
      {"reserved bits of the pending debug exceptions are clear",
       put<VmcsNatural::kGuestPendingDebugExceptions, 1u << 4>},
      {"a single step is pending as RFLAGS.TF and DEBUGCTL.BTF say",
       [](P p) {
         p.write(kInterruptibility, vmx::kBlockingBySti);
         p.set_bits(VmcsNatural::kGuestRflags, kRflagsTf);
       }},
      {"a single step is pending as RFLAGS.TF and DEBUGCTL.BTF say",
       [](P p) {
         p.write(Vmcs32::kGuestActivityState, vmx::kActivityHlt);
         p.write(VmcsNatural::kGuestPendingDebugExceptions, kPendingSingleStep);
       }},
      {"the link pointer names a VMCS, or none", put<Vmcs64::kVmcsLinkPointer, 0x3800>},
      {"the link pointer names a VMCS, or none",
       put<Vmcs64::kVmcsLinkPointer, kVmcsRegion.value()>},
      {"the link pointer names a VMCS, or none", put<Vmcs64::kVmcsLinkPointer, 0x7000>},
  });
  require_refusals(CheckGroup::kGuestActivity, kRows);
}

TEST_CASE("guest states that look broken and are not enter", "[vtx][entry]") {
  static constexpr auto kRows = std::to_array<Broken>({
      {"PAE paging", make_pae},
      {"a link pointer to another VMCS", put<Vmcs64::kVmcsLinkPointer, kOtherVmcsRegion.value()>},
      {"halted", put<Vmcs32::kGuestActivityState, vmx::kActivityHlt>},
      {"shut down", put<Vmcs32::kGuestActivityState, vmx::kActivityShutdown>},
      {"waiting for SIPI", put<Vmcs32::kGuestActivityState, vmx::kActivityWaitForSipi>},
      {"halted with an interrupt injected",
       [](P p) {
         p.write(Vmcs32::kGuestActivityState, vmx::kActivityHlt);
         p.inject(vmx::kEventTypeExternalInterrupt, 0x30);
       }},
      {"blocked by STI", put<Vmcs32::kGuestInterruptibilityState, vmx::kBlockingBySti>},
      {"blocked by NMI", put<Vmcs32::kGuestInterruptibilityState, vmx::kBlockingByNmi>},
      {"single step pending in an STI shadow",
       [](P p) {
         p.write(Vmcs32::kGuestInterruptibilityState, vmx::kBlockingBySti);
         p.set_bits(VmcsNatural::kGuestRflags, kRflagsTf);
         p.write(VmcsNatural::kGuestPendingDebugExceptions, kPendingSingleStep);
       }},
      {"a canonical kernel address in RIP", put<VmcsNatural::kGuestRip, 0xFFFF'8000'0000'0000>},
  });
  for (const Broken& row : kRows) {
    INFO(row.check);
    TestProcessor p;
    row.break_it(p);
    CHECK(p.launch().outcome == EntryOutcome::kEntered);
  }
}
