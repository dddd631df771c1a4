// VMX instructions (SDM vol. 3 chapter 30) and launch state (24.11.3).
#include <catch2/catch.hpp>

#include "tests/sim_vtx/test_processor.h"

using namespace sim_vtx_test;

TEST_CASE("VMXON takes an aligned region with the processor's revision", "[vtx][instructions]") {
  const Capabilities capabilities = haswell();
  test_support::VtxPlatform platform;
  VmcsTable vmcss;
  Processor cpu(platform, vmcss, capabilities, 0);
  platform.store(kVmxonRegion, capabilities.revision());
  platform.store(kVmcsRegion, capabilities.revision() ^ 1);

  CHECK(cpu.vmclear(kVmxonRegion) == VmxResult::kFailInvalid);
  CHECK(cpu.vmxon(kVmcsRegion) == VmxResult::kFailInvalid);
  CHECK(cpu.vmxon(Spa(0x1004)) == VmxResult::kFailInvalid);
  CHECK(cpu.vmxon(Spa(1ull << 46)) == VmxResult::kFailInvalid);
  CHECK_FALSE(cpu.in_vmx_operation());
  CHECK(cpu.vmxon(kVmxonRegion) == VmxResult::kSucceed);
  CHECK(cpu.in_vmx_operation());
  CHECK(cpu.vmxon(kVmxonRegion) == VmxResult::kFailInvalid);  // in root mode, no current VMCS
  CHECK(cpu.vmxoff() == VmxResult::kSucceed);
  CHECK_FALSE(cpu.in_vmx_operation());
}

TEST_CASE("VMX instructions name their errors", "[vtx][instructions]") {
  struct Row {
    const char* name;
    VmxResult (*execute)(TestProcessor&);
    std::uint32_t error;
  };
  static constexpr auto kRows = std::to_array<Row>({
      {"VMCLEAR of an odd address", [](auto& p) { return p.cpu.vmclear(Spa(0x2008)); }, 2},
      {"VMCLEAR beyond memory", [](auto& p) { return p.cpu.vmclear(Spa(1ull << 50)); }, 2},
      {"VMCLEAR of the VMXON region", [](auto& p) { return p.cpu.vmclear(kVmxonRegion); }, 3},
      {"VMRESUME before VMLAUNCH",
       [](auto& p) {
         CHECK(p.resume().outcome == EntryOutcome::kFailValid);
         return VmxResult::kFailValid;
       },
       5},
      {"entry in a MOV SS shadow",
       [](auto& p) {
         p.cpu.set_root_blocking_by_mov_ss(true);
         CHECK(p.launch().outcome == EntryOutcome::kFailValid);
         return VmxResult::kFailValid;
       },
       26},
      {"VMPTRLD of an odd address", [](auto& p) { return p.cpu.vmptrld(Spa(0x2008)); }, 9},
      {"VMPTRLD of the VMXON region", [](auto& p) { return p.cpu.vmptrld(kVmxonRegion); }, 10},
      {"VMPTRLD of a foreign revision", [](auto& p) { return p.cpu.vmptrld(Spa(0x7000)); }, 11},
      {"VMWRITE of an absent field", [](auto& p) { return p.write(0x2808u, 0); }, 12},
      {"VMWRITE of an index without field", [](auto& p) { return p.write(0x48F0u, 0); }, 12},
      {"VMWRITE of the high half of a narrow field", [](auto& p) { return p.write(0x4001u, 0); },
       12},
      {"VMWRITE of a read-only field",
       [](auto& p) { return p.write(VmcsReadOnly32::kExitReason, 0); }, 13},
      {"VMXON in root operation", [](auto& p) { return p.cpu.vmxon(kVmxonRegion); }, 15},
      {"INVEPT of no kind", [](auto& p) { return p.cpu.invept(0, kEptp); }, 28},
      {"INVEPT of kind 3", [](auto& p) { return p.cpu.invept(3, kEptp); }, 28},
      {"INVEPT of a bad EPT pointer", [](auto& p) { return p.cpu.invept(1, kEptRoot); }, 28},
      {"INVVPID of kind 4", [](auto& p) { return p.cpu.invvpid(4, 1, 0); }, 28},
      {"INVVPID of VPID 0", [](auto& p) { return p.cpu.invvpid(1, 0, 0); }, 28},
      {"INVVPID of an address that is not canonical",
       [](auto& p) { return p.cpu.invvpid(0, 1, 1ull << 47); }, 28},
  });
  for (const Row& row : kRows) {
    INFO(row.name);
    TestProcessor p;
    CHECK(row.execute(p) == VmxResult::kFailValid);
    CHECK(p.instruction_error() == row.error);
    CHECK(p.cpu.current_vmcs() != nullptr);
  }
}

TEST_CASE("VMLAUNCH needs a clear VMCS, VMRESUME a launched one", "[vtx][instructions]") {
  TestProcessor p;
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  p.cpu.exit({.reason = ExitReason::kHlt}, 0);
  CHECK(p.launch().outcome == EntryOutcome::kFailValid);
  CHECK(p.instruction_error() == vmx::kErrorVmlaunchNonClearVmcs);
  CHECK(p.resume().outcome == EntryOutcome::kEntered);
  p.cpu.exit({.reason = ExitReason::kHlt}, 0);
  REQUIRE(p.cpu.vmclear(kVmcsRegion) == VmxResult::kSucceed);
  CHECK(p.launch().outcome == EntryOutcome::kFailInvalid);  // VMCLEAR took the current VMCS away
  REQUIRE(p.cpu.vmptrld(kVmcsRegion) == VmxResult::kSucceed);
  CHECK(p.resume().outcome == EntryOutcome::kFailValid);
  CHECK(p.launch().outcome == EntryOutcome::kEntered);  // the fields outlived VMCLEAR
}

TEST_CASE("without a current VMCS nothing can be read, written or entered", "[vtx][instructions]") {
  TestProcessor p;
  REQUIRE(p.cpu.vmclear(kVmcsRegion) == VmxResult::kSucceed);
  CHECK_FALSE(p.cpu.vmread(static_cast<std::uint32_t>(Vmcs16::kVpid)));
  CHECK(p.write(Vmcs16::kVpid, 1) == VmxResult::kFailInvalid);
  CHECK(p.cpu.vmclear(Spa(1)) == VmxResult::kFailInvalid);
  CHECK(p.launch().outcome == EntryOutcome::kFailInvalid);
}

TEST_CASE("a field keeps its width's worth of what was written, apart from all others",
          "[vtx][instructions]") {
  TestProcessor p;
  struct Field {
    std::uint32_t encoding;
    std::uint64_t value;
  };
  std::vector<Field> written;
  std::uint64_t next = 0x0123'4567'89AB'CDEF;
  for (const FieldRange& range : kFieldRanges) {
    for (std::uint32_t encoding = range.first; encoding <= range.last; encoding += 2) {
      if (find_field(encoding).read_only) {
        continue;
      }
      next = next * 6364136223846793005u + 1442695040888963407u;
      REQUIRE(p.cpu.vmwrite(encoding, next) == VmxResult::kSucceed);
      const std::uint32_t width = encoding >> 13;
      const std::uint64_t kept = width == 0   ? next & 0xFFFF
                                 : width == 2 ? next & 0xFFFF'FFFF
                                              : next;
      written.push_back({encoding, kept});
    }
  }
  CHECK(written.size() > 100);
  for (const Field& field : written) {
    INFO(std::hex << field.encoding);
    CHECK(p.cpu.vmread(field.encoding) == field.value);
  }
}

TEST_CASE("the two halves of a 64-bit field are fields", "[vtx][instructions]") {
  TestProcessor p;
  const auto field = static_cast<std::uint32_t>(Vmcs64::kTscOffset);
  p.write(field, 0x1111'2222'3333'4444);
  CHECK(p.cpu.vmread(field + 1) == 0x1111'2222u);
  CHECK(p.write(field + 1, 0x5555'6666) == VmxResult::kSucceed);
  CHECK(p.cpu.vmread(field) == 0x5555'6666'3333'4444u);
  CHECK_FALSE(p.cpu.vmread(static_cast<std::uint32_t>(VmcsNatural::kGuestRip) + 1));
  CHECK(p.instruction_error() == vmx::kErrorUnsupportedField);
}

TEST_CASE("VMCSs keep their fields while another is current", "[vtx][instructions]") {
  TestProcessor p;
  p.write(Vmcs64::kTscOffset, 111);
  REQUIRE(p.cpu.vmclear(kOtherVmcsRegion) == VmxResult::kSucceed);
  REQUIRE(p.cpu.vmptrld(kOtherVmcsRegion) == VmxResult::kSucceed);
  p.write(Vmcs64::kTscOffset, 222);
  REQUIRE(p.cpu.vmptrld(kVmcsRegion) == VmxResult::kSucceed);
  CHECK(p.read(Vmcs64::kTscOffset) == 111);
  CHECK(p.vmcss.size() == 2);
}

TEST_CASE("fields of a VMCS that software has not written hold no friendly zero",
          "[vtx][instructions]") {
  TestProcessor p;
  (void)p.cpu.vmclear(kOtherVmcsRegion);
  (void)p.cpu.vmptrld(kOtherVmcsRegion);
  CHECK(p.read(Vmcs32::kCr3TargetCount) == 0x5A5A'5A5A);
  CHECK(p.read(Vmcs16::kVpid) == 0x5A5A);
  CHECK(p.launch().outcome == EntryOutcome::kFailValid);
}

TEST_CASE("a VMCS that is active elsewhere, or was never cleared, is misuse",
          "[vtx][instructions]") {
  TestProcessor p;
  Processor other(p.platform, p.vmcss, p.capabilities, 1);
  p.platform.store(Spa(0x8000), p.capabilities.revision());
  REQUIRE(other.vmxon(Spa(0x8000)) == VmxResult::kSucceed);

  (void)other.vmptrld(kOtherVmcsRegion);
  REQUIRE(p.platform.misuses.size() == 1);
  CHECK(p.platform.misuses[0].find("never cleared") != std::string::npos);
  (void)other.vmptrld(kVmcsRegion);
  REQUIRE(p.platform.misuses.size() == 2);
  CHECK(p.platform.misuses[1].find("another processor") != std::string::npos);
}

TEST_CASE("a VMCS moves to another processor by way of VMCLEAR", "[vtx][instructions]") {
  TestProcessor p;
  Processor other(p.platform, p.vmcss, p.capabilities, 1);
  p.platform.store(Spa(0x8000), p.capabilities.revision());
  REQUIRE(other.vmxon(Spa(0x8000)) == VmxResult::kSucceed);
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  p.cpu.exit({.reason = ExitReason::kHlt}, 0);

  REQUIRE(p.cpu.vmclear(kVmcsRegion) == VmxResult::kSucceed);
  REQUIRE(other.vmptrld(kVmcsRegion) == VmxResult::kSucceed);
  CHECK(other.enter(EntryKind::kLaunch, 0).outcome == EntryOutcome::kEntered);
  CHECK(p.platform.misuses.empty());
}

TEST_CASE("capability MSRs agree with what the checks allow", "[vtx][capabilities]") {
  TestProcessor p;
  const auto msr = [&](std::uint32_t number) { return p.cpu.read_capability_msr(number).value(); };
  CHECK((msr(x86::kMsrFeatureControl) & 5) == 5);
  CHECK((msr(x86::kMsrVmxBasic) & 0x7FFF'FFFF) == p.capabilities.revision());
  CHECK(((msr(x86::kMsrVmxBasic) >> 55) & 1) == 1);
  // Every bit that a TRUE_ MSR requires, the older one requires too; what is allowed is the same.
  for (std::uint32_t i = 0; i < 4; ++i) {
    const std::uint64_t older = msr(x86::kMsrVmxPinbasedControls + i);
    const std::uint64_t newer = msr(x86::kMsrVmxTruePinbasedControls + i);
    CHECK((older & newer & 0xFFFF'FFFF) == (newer & 0xFFFF'FFFF));
    CHECK(older >> 32 == newer >> 32);
    CHECK(((newer & 0xFFFF'FFFF) & ~(newer >> 32)) == 0);
  }
  for (const std::uint32_t unmodelled : {vmx::kUseTprShadow, 1u << 27}) {
    CHECK((msr(x86::kMsrVmxTrueProcbasedControls) >> 32 & unmodelled) == 0);
  }
  CHECK_FALSE(p.cpu.read_capability_msr(0x491));
  CHECK_FALSE(p.cpu.read_capability_msr(x86::kMsrEfer));
}
