// What entries load and exits save (SDM vol. 3 26.3.2, 26.5, 27.2 to 27.5).
#include <catch2/catch.hpp>

#include "tests/sim_vtx/test_processor.h"

using namespace sim_vtx_test;

TEST_CASE("an entry loads the guest, an exit saves it", "[vtx][transitions]") {
  TestProcessor p;
  p.write(Vmcs32::kGuestInterruptibilityState, vmx::kBlockingByNmi);
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  GuestState& guest = p.cpu.guest();
  CHECK(guest.rip == 0x10'0000);
  CHECK(guest.rsp == 0x20'0000);
  CHECK(guest.cr3 == 0x30000);
  CHECK(guest.interruptibility == vmx::kBlockingByNmi);
  guest = {.rip = 0x11'0000,
           .rsp = 0x21'0000,
           .rflags = x86::kRflagsFixed,
           .cr3 = 0x31000,
           .pending_debug_exceptions = 0,
           .interruptibility = 0,
           .activity = vmx::kActivityHlt};
  CHECK(p.read(VmcsNatural::kGuestRip) == 0x10'0000);  // until the exit
  p.cpu.exit({.reason = ExitReason::kInterruptWindow}, 0);
  CHECK(p.read(VmcsNatural::kGuestRip) == 0x11'0000);
  CHECK(p.read(VmcsNatural::kGuestRsp) == 0x21'0000);
  CHECK(p.read(VmcsNatural::kGuestRflags) == x86::kRflagsFixed);
  CHECK(p.read(VmcsNatural::kGuestCr3) == 0x31000);
  CHECK(p.read(Vmcs32::kGuestInterruptibilityState) == 0);
  CHECK(p.read(Vmcs32::kGuestActivityState) == vmx::kActivityHlt);
  CHECK_FALSE(p.cpu.in_non_root_mode());
}

TEST_CASE("an exit writes every exit-information field", "[vtx][transitions]") {
  TestProcessor p;
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  p.cpu.exit({.reason = ExitReason::kEptViolation,
              .instruction_length = 3,
              .qualification = 0x183,
              .instruction_information = 4,
              .interruption_information = 5,
              .interruption_error_code = 6,
              .idt_vectoring_information = 7,
              .idt_vectoring_error_code = 8,
              .guest_linear_address = 0x9000,
              .guest_physical_address = Gpa(0xA000)},
             0);
  CHECK(p.read(VmcsReadOnly32::kExitReason) == 48);
  CHECK(p.read(VmcsReadOnly32::kExitInstructionLength) == 3);
  CHECK(p.read(VmcsReadOnlyNatural::kExitQualification) == 0x183);
  CHECK(p.read(VmcsReadOnly32::kExitInstructionInformation) == 4);
  CHECK(p.read(VmcsReadOnly32::kExitInterruptionInformation) == 5);
  CHECK(p.read(VmcsReadOnly32::kExitInterruptionErrorCode) == 6);
  CHECK(p.read(VmcsReadOnly32::kIdtVectoringInformation) == 7);
  CHECK(p.read(VmcsReadOnly32::kIdtVectoringErrorCode) == 8);
  CHECK(p.read(VmcsReadOnlyNatural::kGuestLinearAddress) == 0x9000);
  CHECK(p.read(VmcsReadOnly64::kGuestPhysicalAddress) == 0xA000);
}

TEST_CASE("EFER and PAT are switched as the controls say", "[vtx][transitions]") {
  constexpr std::uint64_t kPat = 0x0006'0606'0606'0606;
  const bool saves = GENERATE(false, true);
  TestProcessor p;
  if (!saves) {
    p.clear_bits(Vmcs32::kVmExitControls, vmx::kExitSaveEfer | vmx::kExitSavePat);
  }
  p.write(Vmcs64::kGuestPat, 0x0606'0606'0606'0606);
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  CHECK(p.cpu.guest_msr(x86::kMsrPat) == 0x0606'0606'0606'0606u);
  CHECK(p.cpu.guest_msr(x86::kMsrEfer) == (x86::kEferLma | x86::kEferLme));
  CHECK(p.cpu.set_guest_msr(x86::kMsrEfer, x86::kEferLme | x86::kEferNxe));
  CHECK_FALSE(p.cpu.set_guest_msr(x86::kMsrEfer, x86::kEferNxe));  // paging is on: LME stays
  CHECK_FALSE(p.cpu.set_guest_msr(x86::kMsrPat, 2));
  CHECK(p.cpu.set_guest_msr(x86::kMsrPat, kPat));
  p.cpu.exit({.reason = ExitReason::kHlt}, 0);
  const std::uint64_t efer = x86::kEferLma | x86::kEferLme;
  CHECK(p.read(Vmcs64::kGuestEfer) == (saves ? efer | x86::kEferNxe : efer));
  CHECK(p.read(Vmcs64::kGuestPat) == (saves ? kPat : 0x0606'0606'0606'0606u));
  REQUIRE(p.resume().outcome == EntryOutcome::kEntered);
  CHECK(p.cpu.guest_msr(x86::kMsrPat) == p.read(Vmcs64::kGuestPat));
}

TEST_CASE("segment bases and SYSENTER MSRs are the VMCS's", "[vtx][transitions]") {
  TestProcessor p;
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  for (const std::uint32_t msr : {x86::kMsrFsBase, x86::kMsrGsBase, x86::kMsrSysenterEsp,
                                  x86::kMsrSysenterEip, x86::kMsrSysenterCs}) {
    CHECK(p.cpu.set_guest_msr(msr, 0x1000 + msr % 7));
    CHECK(p.cpu.guest_msr(msr) == 0x1000 + msr % 7);
  }
  CHECK_FALSE(p.cpu.set_guest_msr(x86::kMsrGsBase, 0x0000'8000'0000'0000));
  CHECK_FALSE(p.cpu.guest_msr(x86::kMsrTsc));
  p.cpu.exit({.reason = ExitReason::kHlt}, 0);
  CHECK(p.read(VmcsNatural::kGuestGsBase) == 0x1000 + x86::kMsrGsBase % 7);
}

TEST_CASE("an exit clears the valid bit of the injection field, a failed entry does not",
          "[vtx][transitions][injection]") {
  TestProcessor p;
  p.inject(vmx::kEventTypeExternalInterrupt, 0x30);
  p.write(VmcsNatural::kGuestCr3, 1ull << 50);
  CHECK(p.launch().outcome == EntryOutcome::kFailedEntry);
  CHECK(p.read(Vmcs32::kVmEntryInterruptionInformation) == 0x8000'0030);
  p.write(VmcsNatural::kGuestCr3, 0x30000);
  CHECK(p.launch().event.has_value());
  p.cpu.exit({.reason = ExitReason::kHlt}, 0);
  CHECK(p.read(Vmcs32::kVmEntryInterruptionInformation) == 0x30);
  CHECK_FALSE(p.resume().event);
}

TEST_CASE("the IA-32e-mode control follows the guest's EFER.LMA", "[vtx][transitions]") {
  TestProcessor p;
  p.make_unrestricted_real_mode();
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  p.cpu.exit({.reason = ExitReason::kHlt}, 0);
  CHECK((p.read(Vmcs32::kVmEntryControls) & vmx::kEntryIa32eModeGuest) == 0);
  p.write_baseline();
  REQUIRE(p.resume().outcome == EntryOutcome::kEntered);
  p.cpu.exit({.reason = ExitReason::kHlt}, 0);
  CHECK((p.read(Vmcs32::kVmEntryControls) & vmx::kEntryIa32eModeGuest) != 0);
}

TEST_CASE("MSR-load areas of entries are refused aloud", "[vtx][transitions]") {
  TestProcessor p;
  p.write(Vmcs32::kVmEntryMsrLoadCount, 1);
  p.write(Vmcs64::kVmEntryMsrLoadAddress, 0x7000);
  CHECK(p.launch().outcome == EntryOutcome::kFailedEntry);
  CHECK(p.read(VmcsReadOnly32::kExitReason) == (34u | vmx::kExitReasonEntryFailure));
  CHECK(p.read(VmcsReadOnlyNatural::kExitQualification) == 1);
  CHECK(p.platform.misuses.size() == 1);
}

TEST_CASE("a check is made again once a field it reads was written", "[vtx][transitions]") {
  // The same fields broken after a first successful entry, when no check is pending any more.
  struct Row {
    const char* name;
    void (*break_it)(TestProcessor&);
    EntryOutcome outcome;
  };
  using P = TestProcessor&;
  static constexpr auto kRows = std::to_array<Row>({
      {"control", [](P p) { p.write(Vmcs16::kVpid, 0); }, EntryOutcome::kFailValid},
      {"EPT pointer", [](P p) { p.write(Vmcs64::kEptPointer, 0); }, EntryOutcome::kFailValid},
      {"injection", [](P p) { p.inject(vmx::kEventTypeNmi, 3); }, EntryOutcome::kFailValid},
      {"host", [](P p) { p.write(VmcsNatural::kHostCr4, 0); }, EntryOutcome::kFailValid},
      {"host mode",
       [](P p) { p.clear_bits(Vmcs32::kVmExitControls, vmx::kExitHostAddressSpaceSize); },
       EntryOutcome::kFailValid},
      {"register", [](P p) { p.write(VmcsNatural::kGuestCr0, 0); }, EntryOutcome::kFailedEntry},
      {"segment", [](P p) { p.write(Vmcs32::kGuestTrAccessRights, 0); },
       EntryOutcome::kFailedEntry},
      {"guest rule by a control",
       [](P p) { p.clear_bits(Vmcs32::kVmEntryControls, vmx::kEntryIa32eModeGuest); },
       EntryOutcome::kFailedEntry},
      {"RIP", [](P p) { p.write(VmcsNatural::kGuestRip, 1ull << 47); }, EntryOutcome::kFailedEntry},
      {"RFLAGS", [](P p) { p.write(VmcsNatural::kGuestRflags, 0); }, EntryOutcome::kFailedEntry},
      {"virtual-8086 mode", [](P p) { p.set_bits(VmcsNatural::kGuestRflags, 1u << 17); },
       EntryOutcome::kFailedEntry},
      {"activity", [](P p) { p.write(Vmcs32::kGuestActivityState, 9); },
       EntryOutcome::kFailedEntry},
      {"interruptibility",
       [](P p) { p.write(Vmcs32::kGuestInterruptibilityState, vmx::kBlockingBySmi); },
       EntryOutcome::kFailedEntry},
      {"link pointer", [](P p) { p.write(Vmcs64::kVmcsLinkPointer, 0); },
       EntryOutcome::kFailedEntry},
      {"high half",
       [](P p) { p.write(static_cast<std::uint32_t>(Vmcs64::kEptPointer) + 1, 0x8000'0000); },
       EntryOutcome::kFailValid},
  });
  for (const Row& row : kRows) {
    INFO(row.name);
    TestProcessor p;
    REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
    p.cpu.exit({.reason = ExitReason::kHlt}, 0);
    row.break_it(p);
    CHECK(p.resume().outcome == row.outcome);
    CHECK(p.resume().outcome == row.outcome);
  }
}

TEST_CASE("segments that virtual-8086 mode allowed are checked again when it is left",
          "[vtx][transitions]") {
  TestProcessor p;
  p.make_virtual_8086();
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  p.cpu.exit({.reason = ExitReason::kHlt}, 0);
  p.clear_bits(VmcsNatural::kGuestRflags, 1u << 17);
  CHECK(p.resume().outcome == EntryOutcome::kFailedEntry);
}

TEST_CASE("PDPTEs in memory are checked at every entry", "[vtx][transitions]") {
  TestProcessor p;
  p.clear_bits(Vmcs32::kVmEntryControls, vmx::kEntryIa32eModeGuest);
  p.clear_bits(Vmcs32::kSecondaryProcessorBasedControls, vmx::kEnableEpt);
  p.write(Vmcs64::kGuestEfer, 0);
  p.write(Vmcs32::kGuestCsAccessRights, 0xC09B);
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  p.cpu.exit({.reason = ExitReason::kHlt}, 0);
  p.platform.store_u64(Spa(0x30000), 0x40003);
  CHECK(p.resume().outcome == EntryOutcome::kFailedEntry);
  CHECK(p.read(VmcsReadOnlyNatural::kExitQualification) == 2);
}
