// Which operations exit, with which qualification (SDM vol. 3 25.1, 25.2, 27.2.1).
#include <catch2/catch.hpp>

#include "tests/sim_vtx/test_processor.h"

using namespace sim_vtx_test;
using P = TestProcessor&;

namespace {

/// A control bit and the operation that it makes exit.
struct Row {
  const char* name;
  Vmcs32 field;
  std::uint32_t control;
  std::optional<Exit> (*execute)(const Processor&);
  Exit expected;
};

constexpr auto kPrimary = Vmcs32::kProcessorBasedControls;
constexpr auto kSecondary = Vmcs32::kSecondaryProcessorBasedControls;

}  // namespace

TEST_CASE("an operation exits if its control says so", "[vtx][exits]") {
  static const auto kRows = std::to_array<Row>({
      {"HLT",
       kPrimary,
       vmx::kHltExiting,
       [](const Processor& c) { return c.hlt(); },
       {.reason = ExitReason::kHlt}},
      {"PAUSE",
       kPrimary,
       vmx::kPauseExiting,
       [](const Processor& c) { return c.pause(); },
       {.reason = ExitReason::kPause}},
      {"RDTSC",
       kPrimary,
       vmx::kRdtscExiting,
       [](const Processor& c) { return c.rdtsc(); },
       {.reason = ExitReason::kRdtsc}},
      {"RDTSCP",
       kPrimary,
       vmx::kRdtscExiting,
       [](const Processor& c) { return c.rdtscp(); },
       {.reason = ExitReason::kRdtscp}},
      {"RDPMC",
       kPrimary,
       vmx::kRdpmcExiting,
       [](const Processor& c) { return c.rdpmc(); },
       {.reason = ExitReason::kRdpmc}},
      {"INVLPG",
       kPrimary,
       vmx::kInvlpgExiting,
       [](const Processor& c) { return c.invlpg(0x1234567); },
       {.reason = ExitReason::kInvlpg, .qualification = 0x1234567}},
      {"MONITOR",
       kPrimary,
       vmx::kMonitorExiting,
       [](const Processor& c) { return c.monitor(); },
       {.reason = ExitReason::kMonitor}},
      {"MWAIT",
       kPrimary,
       vmx::kMwaitExiting,
       [](const Processor& c) { return c.mwait(); },
       {.reason = ExitReason::kMwait}},
      {"WBINVD",
       kSecondary,
       vmx::kWbinvdExiting,
       [](const Processor& c) { return c.wbinvd(); },
       {.reason = ExitReason::kWbinvd}},
      {"MOV CR3, RBX",
       kPrimary,
       vmx::kCr3LoadExiting,
       [](const Processor& c) { return c.mov_to_cr({.control_register = 3, .gpr = 3}, 0x5000); },
       {.reason = ExitReason::kControlRegister, .qualification = 0x303}},
      {"MOV R9, CR3",
       kPrimary,
       vmx::kCr3StoreExiting,
       [](const Processor& c) { return c.mov_from_cr({.control_register = 3, .gpr = 9}); },
       {.reason = ExitReason::kControlRegister, .qualification = 0x913}},
      {"MOV CR8, RAX",
       kPrimary,
       vmx::kCr8LoadExiting,
       [](const Processor& c) { return c.mov_to_cr({.control_register = 8, .gpr = 0}, 1); },
       {.reason = ExitReason::kControlRegister, .qualification = 0x008}},
      {"MOV RDX, CR8",
       kPrimary,
       vmx::kCr8StoreExiting,
       [](const Processor& c) { return c.mov_from_cr({.control_register = 8, .gpr = 2}); },
       {.reason = ExitReason::kControlRegister, .qualification = 0x218}},
      {"MOV DR7, RCX",
       kPrimary,
       vmx::kMovDrExiting,
       [](const Processor& c) { return c.mov_dr(7, 1, false); },
       {.reason = ExitReason::kDebugRegister, .qualification = 0x107}},
      {"MOV RCX, DR6",
       kPrimary,
       vmx::kMovDrExiting,
       [](const Processor& c) { return c.mov_dr(6, 1, true); },
       {.reason = ExitReason::kDebugRegister, .qualification = 0x116}},
      {"OUT DX, EAX",
       kPrimary,
       vmx::kUnconditionalIoExiting,
       [](const Processor& c) { return c.io({.port = 0xCF8, .size_bytes = 4}); },
       {.reason = ExitReason::kIoInstruction, .qualification = 0x0CF8'0003}},
  });
  for (const Row& row : kRows) {
    INFO(row.name);
    TestProcessor p;
    p.clear_bits(kPrimary, vmx::kHltExiting | vmx::kUseIoBitmaps);
    p.clear_bits(row.field, row.control);
    REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
    CHECK_FALSE(row.execute(p.cpu));
    p.cpu.exit({.reason = ExitReason::kVmcall}, 0);
    p.set_bits(row.field, row.control);
    REQUIRE(p.resume().outcome == EntryOutcome::kEntered);
    CHECK(row.execute(p.cpu) == row.expected);
  }
}

TEST_CASE("some operations always exit", "[vtx][exits]") {
  TestProcessor p;
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  CHECK(p.cpu.cpuid()->reason == ExitReason::kCpuid);
  CHECK(p.cpu.unconditional(ExitReason::kVmcall)->reason == ExitReason::kVmcall);
  CHECK(p.cpu.unconditional(ExitReason::kXsetbv)->reason == ExitReason::kXsetbv);
  CHECK(p.cpu.triple_fault().reason == ExitReason::kTripleFault);
}

TEST_CASE("the qualification of an I/O exit tells port, size, direction and form",
          "[vtx][exits][io]") {
  struct IoRow {
    IoAccess access;
    std::uint64_t qualification;
  };
  TestProcessor p;
  p.clear_bits(kPrimary, vmx::kUseIoBitmaps);
  p.set_bits(kPrimary, vmx::kUnconditionalIoExiting);
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  static constexpr auto kRows = std::to_array<IoRow>({
      {{.port = 0x60, .size_bytes = 1, .in = true, .immediate_port = true}, 0x0060'0048},
      {{.port = 0x3F8, .size_bytes = 1}, 0x03F8'0000},
      {{.port = 0x1F0, .size_bytes = 2, .in = true}, 0x01F0'0009},
      {{.port = 0xCFC, .size_bytes = 4, .in = true}, 0x0CFC'000B},
      {{.port = 0x1F0, .size_bytes = 2, .in = true, .string = true, .repeated = true}, 0x01F0'0039},
      {{.port = 0xFFFF, .size_bytes = 1}, 0xFFFF'0000},
  });
  for (const IoRow& row : kRows) {
    INFO(row.access.port);
    const std::optional<Exit> exit = p.cpu.io(row.access);
    REQUIRE(exit);
    CHECK(exit->reason == ExitReason::kIoInstruction);
    CHECK(exit->qualification == row.qualification);
    CHECK(exit->instruction_information == (row.access.string ? 2u << 7 : 0));
  }
}

TEST_CASE("I/O bitmaps choose ports, by any byte of an access", "[vtx][exits][io]") {
  struct IoRow {
    std::uint16_t port;
    std::uint8_t size_bytes;
    bool exits;
  };
  TestProcessor p;
  p.set_bits(kPrimary, vmx::kUnconditionalIoExiting);  // ignored while bitmaps are used
  const auto intercept = [&](std::uint32_t port) {
    const Spa bitmap = port < 0x8000 ? kIoBitmapA : kIoBitmapB;
    const Spa byte = bitmap + (port % 0x8000) / 8;
    p.platform.store(byte, static_cast<std::uint8_t>(p.platform.load_u8(byte) | 1u << (port % 8)));
  };
  for (const std::uint32_t port : {0x61u, 0x7FFFu, 0x8002u, 0xC007u}) {
    intercept(port);
  }
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  static constexpr auto kRows = std::to_array<IoRow>({
      {0x60, 1, false},
      {0x61, 1, true},
      {0x62, 1, false},
      {0x60, 2, true},
      {0x62, 2, false},
      {0x5E, 4, true},
      {0x5D, 4, false},
      {0x7FFE, 1, false},
      {0x7FFE, 2, true},
      {0x7FFF, 1, true},
      {0x8000, 1, false},
      {0x8001, 4, true},
      {0xC004, 4, true},
      {0xC003, 4, false},
      {0xFFFC, 4, false},
      {0xFFFD, 4, true},
      {0xFFFF, 1, false},
      {0xFFFF, 2, true},
  });
  for (const IoRow& row : kRows) {
    INFO(std::hex << row.port << " " << int{row.size_bytes});
    CHECK(p.cpu.io({.port = row.port, .size_bytes = row.size_bytes}).has_value() == row.exits);
  }
}

TEST_CASE("MSR bitmaps choose MSRs, reads and writes apart", "[vtx][exits][msr]") {
  struct MsrRow {
    std::uint32_t msr;
    bool read_exits;
    bool write_exits;
  };
  TestProcessor p;
  p.platform.store(kMsrBitmap + 0x10 / 8, std::uint8_t{1});              // read of 0x10
  p.platform.store(kMsrBitmap + 2048 + 0x1FFF / 8, std::uint8_t{0x80});  // write of 0x1FFF
  p.platform.store(kMsrBitmap + 1024 + 0x80 / 8, std::uint8_t{1});       // read of 0xC0000080
  p.platform.store(kMsrBitmap + 3072 + 0x101 / 8, std::uint8_t{2});      // write of 0xC0000101
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  static constexpr auto kRows = std::to_array<MsrRow>({
      {0x10, true, false},
      {0x11, false, false},
      {0x1FFF, false, true},
      {0x2000, true, true},
      {0x4000'0000, true, true},
      {0xBFFF'FFFF, true, true},
      {0xC000'0080, true, false},
      {0xC000'0100, false, false},
      {0xC000'0101, false, true},
      {0xC000'1FFF, false, false},
      {0xC000'2000, true, true},
      {0xFFFF'FFFF, true, true},
  });
  for (const MsrRow& row : kRows) {
    INFO(std::hex << row.msr);
    CHECK(p.cpu.rdmsr(row.msr).has_value() == row.read_exits);
    CHECK(p.cpu.wrmsr(row.msr).has_value() == row.write_exits);
  }
  p.cpu.exit({.reason = ExitReason::kRdmsr}, 0);
  p.clear_bits(kPrimary, vmx::kUseMsrBitmaps);
  REQUIRE(p.resume().outcome == EntryOutcome::kEntered);
  CHECK(p.cpu.rdmsr(0x11)->reason == ExitReason::kRdmsr);
  CHECK(p.cpu.wrmsr(0x11)->reason == ExitReason::kWrmsr);
}

TEST_CASE("CR0 and CR4 bits of the hypervisor exit when they would leave their shadow",
          "[vtx][exits][cr]") {
  TestProcessor p;
  p.write(VmcsNatural::kCr0GuestHostMask, x86::kCr0Ne | x86::kCr0Cd);
  p.write(VmcsNatural::kCr0ReadShadow, x86::kCr0Ne);
  p.write(VmcsNatural::kCr4GuestHostMask, x86::kCr4Vmxe);
  p.write(VmcsNatural::kCr4ReadShadow, 0);
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  const std::uint64_t cr0 = 0x8001'0031;
  CHECK(p.cpu.read_cr(0) == cr0);
  CHECK(p.cpu.read_cr(4) == x86::kCr4Pae);  // VMXE is hidden
  CHECK_FALSE(p.cpu.mov_to_cr({.control_register = 0}, cr0 & ~x86::kCr0Wp));
  CHECK(p.cpu.mov_to_cr({.control_register = 0, .gpr = 5}, cr0 | x86::kCr0Cd) ==
        Exit{.reason = ExitReason::kControlRegister, .qualification = 0x500});
  CHECK_FALSE(p.cpu.mov_to_cr({.control_register = 4}, x86::kCr4Pae | x86::kCr4Pge));
  CHECK(p.cpu.mov_to_cr({.control_register = 4}, x86::kCr4Pae | x86::kCr4Vmxe) ==
        Exit{.reason = ExitReason::kControlRegister, .qualification = 0x004});

  CHECK(p.cpu.write_cr(4, x86::kCr4Pae | x86::kCr4Pge));
  CHECK(p.cpu.guest_cr4() == (x86::kCr4Pae | x86::kCr4Pge | x86::kCr4Vmxe));
  CHECK_FALSE(p.cpu.write_cr(4, 1u << 23));
  CHECK_FALSE(p.cpu.write_cr(0, cr0 & ~x86::kCr0Pg));
  CHECK(p.cpu.guest_cr0() == cr0);
}

TEST_CASE("MOV to CR3 does not exit for a CR3 target", "[vtx][exits][cr]") {
  TestProcessor p;
  p.set_bits(kPrimary, vmx::kCr3LoadExiting);
  p.write(Vmcs32::kCr3TargetCount, 2);
  p.write(0x6008u, 0x7000);
  p.write(0x600Au, 0x8000);
  p.write(0x600Cu, 0x9000);  // beyond the count
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  const ControlRegisterAccess cr3 = {.control_register = 3};
  CHECK_FALSE(p.cpu.mov_to_cr(cr3, 0x7000));
  CHECK_FALSE(p.cpu.mov_to_cr(cr3, 0x8000));
  CHECK(p.cpu.mov_to_cr(cr3, 0x9000));
  CHECK(p.cpu.write_cr(3, 0x7000));
  CHECK_FALSE(p.cpu.write_cr(3, 1ull << 50));
  CHECK(p.cpu.guest().cr3 == 0x7000);
}

TEST_CASE("exceptions exit by the bitmap, page faults by mask and match too", "[vtx][exits]") {
  struct ExceptionRow {
    std::uint32_t bitmap;
    std::uint32_t mask;
    std::uint32_t match;
    std::uint8_t vector;
    std::uint32_t error_code;
    bool exits;
  };
  static constexpr auto kRows = std::to_array<ExceptionRow>({
      {0, 0, 0, 13, 0x10, false},
      {1u << 13, 0, 0, 13, 0x10, true},
      {1u << 13, 0, 0, 6, 0, false},
      {0, 0, 0, 14, 2, false},
      {1u << 14, 0, 0, 14, 2, true},
      {1u << 14, 1, 1, 14, 2, false},
      {1u << 14, 1, 1, 14, 3, true},
      {0, 1, 1, 14, 2, true},
      {0, 1, 1, 14, 3, false},
      {0, 0, 0xFFFF'FFFF, 14, 3, true},
  });
  for (const ExceptionRow& row : kRows) {
    INFO(row.bitmap << " " << row.mask << " " << row.match << " " << row.error_code);
    TestProcessor p;
    p.write(Vmcs32::kExceptionBitmap, row.bitmap);
    p.write(Vmcs32::kPageFaultErrorCodeMask, row.mask);
    p.write(Vmcs32::kPageFaultErrorCodeMatch, row.match);
    REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
    const Event event = {.type = EventType::kHardwareException,
                         .vector = row.vector,
                         .has_error_code = row.vector != 6,
                         .error_code = row.error_code};
    const std::optional<Exit> exit = p.cpu.exception(event, 0xABC000);
    CHECK(exit.has_value() == row.exits);
    if (exit) {
      CHECK(exit->reason == ExitReason::kExceptionOrNmi);
      CHECK(exit->interruption_information == (0x8000'0B00u | row.vector));
      CHECK(exit->interruption_error_code == row.error_code);
      CHECK(exit->qualification == (row.vector == 14 ? 0xABC000u : 0u));
    }
  }
}

TEST_CASE("the guest's TSC is offset if the control says so", "[vtx][exits]") {
  TestProcessor p;
  p.write(Vmcs64::kTscOffset, static_cast<std::uint64_t>(-1000));
  REQUIRE(p.launch(5000).outcome == EntryOutcome::kEntered);
  CHECK(p.cpu.guest_tsc(6000) == 5000);
  p.cpu.exit({.reason = ExitReason::kHlt}, 6000);
  p.clear_bits(kPrimary, vmx::kUseTscOffsetting);
  REQUIRE(p.resume(6000).outcome == EntryOutcome::kEntered);
  CHECK(p.cpu.guest_tsc(6000) == 6000);
}
