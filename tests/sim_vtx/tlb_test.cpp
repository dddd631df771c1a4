// What the TLB keeps and what drops it (SDM vol. 3 28.4).
#include <catch2/catch.hpp>

#include "tests/sim_vtx/ept_builder.h"

using namespace sim_vtx_test;

namespace {

constexpr std::uint64_t kGpa = 0x40'0000;
constexpr std::uint64_t kOld = 0x10'0000;
constexpr std::uint64_t kNew = 0x11'0000;
constexpr std::uint64_t kPage = machine::kPageSize;
constexpr std::uint64_t kOtherRoot = 0x20'0000;
constexpr std::uint64_t kOtherEptp = kOtherRoot | vmx::kEptpWalkLength4 | vmx::kMemoryTypeWriteBack;

/// A guest whose page at kGpa was used while it was at kOld, and is now mapped to kNew.
struct Remapped {
  TestProcessor p;
  EptBuilder ept{p.platform};
  EptBuilder other_ept{p.platform, kOtherRoot};

  explicit Remapped(bool vpid = true) {
    if (!vpid) {
      p.clear_bits(Vmcs32::kSecondaryProcessorBasedControls, vmx::kEnableVpid);
    }
    REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
    ept.map(kGpa, kOld);
    REQUIRE(read() == kOld);
    ept.map(kGpa, kNew);
  }
  std::uint64_t read(std::uint64_t gpa = kGpa) {
    const auto result = p.cpu.translate(Gpa(gpa), Access::kRead);
    return result ? result->value() : ~std::uint64_t{0};
  }
  void exit() { p.cpu.exit({.reason = ExitReason::kHlt}, 0); }
  void reenter() { REQUIRE(p.resume().outcome == EntryOutcome::kEntered); }
  void run_as(std::uint16_t vpid, std::uint64_t eptp) {
    exit();
    p.write(Vmcs16::kVpid, vpid);
    p.write(Vmcs64::kEptPointer, eptp);
    reenter();
  }
};

constexpr std::uint64_t kNothing = ~std::uint64_t{0};

}  // namespace

TEST_CASE("a translation stays until something drops it", "[vtx][tlb]") {
  struct Row {
    const char* name;
    void (*act)(Remapped&);
    std::uint64_t seen;
  };
  static constexpr auto kRows = std::to_array<Row>({
      {"nothing", [](Remapped&) {}, kOld},
      {"an exit and entry",
       [](Remapped& g) {
         g.exit();
         g.reenter();
       },
       kOld},
      {"INVEPT of the context", [](Remapped& g) { (void)g.p.cpu.invept(1, kEptp); }, kNew},
      {"INVEPT of the context, other EPTP bits",
       [](Remapped& g) { (void)g.p.cpu.invept(1, kEptp | vmx::kEptpEnableAccessedDirty); }, kNew},
      {"INVEPT of another context", [](Remapped& g) { (void)g.p.cpu.invept(1, kOtherEptp); }, kOld},
      {"INVEPT of all contexts", [](Remapped& g) { (void)g.p.cpu.invept(2, 0); }, kNew},
      {"a refused INVEPT", [](Remapped& g) { (void)g.p.cpu.invept(3, kEptp); }, kOld},
      // INVVPID drops combined mappings; the guest-physical mapping behind them stays.
      {"INVVPID of the address", [](Remapped& g) { (void)g.p.cpu.invvpid(0, 1, kGpa); }, kOld},
      {"INVVPID of the VPID", [](Remapped& g) { (void)g.p.cpu.invvpid(1, 1, 0); }, kOld},
      {"INVVPID of all", [](Remapped& g) { (void)g.p.cpu.invvpid(2, 0, 0); }, kOld},
      {"INVLPG of the guest", [](Remapped& g) { g.p.cpu.drop_linear(kGpa); }, kOld},
      {"MOV to CR3 of the guest", [](Remapped& g) { (void)g.p.cpu.write_cr(3, 0x31000); }, kOld},
      {"another VPID on the same EPT", [](Remapped& g) { g.run_as(2, kEptp); }, kOld},
      {"another EPT", [](Remapped& g) { g.run_as(1, kOtherEptp); }, kNothing},
      {"another EPT and back",
       [](Remapped& g) {
         g.run_as(1, kOtherEptp);
         g.run_as(1, kEptp);
       },
       kOld},
      {"VMCLEAR and VMLAUNCH",
       [](Remapped& g) {
         g.exit();
         (void)g.p.cpu.vmclear(kVmcsRegion);
         (void)g.p.cpu.vmptrld(kVmcsRegion);
         REQUIRE(g.p.launch().outcome == EntryOutcome::kEntered);
       },
       kOld},
  });
  for (const bool vpid : {true, false}) {
    for (const Row& row : kRows) {
      INFO(row.name << (vpid ? " with VPID" : " without VPID"));
      Remapped guest(vpid);
      row.act(guest);
      CHECK(guest.read() == row.seen);
    }
  }
}

TEST_CASE("an unmapped page is still reached without INVEPT", "[vtx][tlb]") {
  Remapped guest;
  guest.ept.unmap(kGpa);
  CHECK(guest.read() == kOld);
  CHECK(guest.p.cpu.translate(Gpa(kGpa), Access::kWrite) == Spa(kOld));
  CHECK(guest.p.cpu.invept(1, kEptp) == VmxResult::kSucceed);
  CHECK(guest.read() == kNothing);
}

TEST_CASE("what is not present is not cached: mapping needs no INVEPT", "[vtx][tlb]") {
  Remapped guest;
  CHECK(guest.read(kGpa + kPage) == kNothing);
  guest.ept.map(kGpa + kPage, kNew);
  CHECK(guest.read(kGpa + kPage) == kNew);
}

TEST_CASE("an EPT violation drops what is cached of its address and no other", "[vtx][tlb]") {
  TestProcessor p;
  EptBuilder ept(p.platform);
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  ept.map(kGpa, kOld, kRightRead);
  ept.map(kGpa + kPage, kOld + kPage, kRightRead);
  REQUIRE(p.cpu.translate(Gpa(kGpa), Access::kRead) == Spa(kOld));
  REQUIRE(p.cpu.translate(Gpa(kGpa + kPage), Access::kRead) == Spa(kOld + kPage));
  ept.map(kGpa, kNew);
  ept.map(kGpa + kPage, kNew + kPage);
  const auto stale = p.cpu.translate(Gpa(kGpa), Access::kWrite);
  REQUIRE_FALSE(stale.has_value());
  CHECK(stale.error().qualification ==
        (vmx::kEptViolationWrite | vmx::kEptViolationReadable | 0x180));
  CHECK(p.cpu.translate(Gpa(kGpa), Access::kWrite) == Spa(kNew));
  CHECK(p.cpu.translate(Gpa(kGpa + kPage), Access::kRead) == Spa(kOld + kPage));
}

TEST_CASE("a violation under one VPID leaves another VPID's combined mapping stale",
          "[vtx][tlb][vpid]") {
  Remapped guest;
  guest.ept.map(kGpa, kOld, kRightRead);
  REQUIRE(guest.p.cpu.invept(1, kEptp) == VmxResult::kSucceed);
  REQUIRE(guest.read() == kOld);
  guest.run_as(2, kEptp);
  REQUIRE(guest.read() == kOld);
  guest.ept.map(kGpa, kNew);
  REQUIRE_FALSE(guest.p.cpu.translate(Gpa(kGpa), Access::kWrite).has_value());
  CHECK(guest.read() == kNew);
  SECTION("stale") {
    guest.run_as(1, kEptp);
    CHECK(guest.read() == kOld);
  }
  SECTION("until INVVPID of that VPID's address") {
    guest.exit();
    REQUIRE(guest.p.cpu.invvpid(0, 1, kGpa) == VmxResult::kSucceed);
    guest.reenter();
    guest.run_as(1, kEptp);
    CHECK(guest.read() == kNew);
  }
  SECTION("until INVVPID of that VPID") {
    REQUIRE(guest.p.cpu.invvpid(1, 1, 0) == VmxResult::kSucceed);
    guest.run_as(1, kEptp);
    CHECK(guest.read() == kNew);
  }
  SECTION("INVVPID of another VPID does not help") {
    REQUIRE(guest.p.cpu.invvpid(1, 2, 0) == VmxResult::kSucceed);
    guest.run_as(1, kEptp);
    CHECK(guest.read() == kOld);
  }
  SECTION("until INVEPT, which drops every VPID's") {
    REQUIRE(guest.p.cpu.invept(1, kEptp) == VmxResult::kSucceed);
    guest.run_as(1, kEptp);
    CHECK(guest.read() == kNew);
  }
}

TEST_CASE("combined mappings end with the transition without VPID, and outlive it with",
          "[vtx][tlb][vpid]") {
  // A violation without a linear address drops the guest-physical mapping but not the combined one.
  for (const bool vpid : {true, false}) {
    INFO((vpid ? "with VPID" : "without VPID"));
    TestProcessor p;
    if (!vpid) {
      p.clear_bits(Vmcs32::kSecondaryProcessorBasedControls, vmx::kEnableVpid);
    }
    EptBuilder ept(p.platform);
    REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
    ept.map(kGpa, kOld, kRightRead);
    REQUIRE(p.cpu.translate(Gpa(kGpa), Access::kRead) == Spa(kOld));
    ept.map(kGpa, kNew);
    const auto violation = p.cpu.translate(Gpa(kGpa), Access::kWrite, Through::kNoLinearAddress);
    REQUIRE_FALSE(violation.has_value());
    p.cpu.exit(violation.error(), 0);
    REQUIRE(p.resume().outcome == EntryOutcome::kEntered);
    CHECK(p.cpu.translate(Gpa(kGpa), Access::kRead) == Spa(vpid ? kOld : kNew));
  }
}

TEST_CASE("the cached way to a table outlives the table", "[vtx][tlb]") {
  // Unmapping a whole table and giving its page away without INVEPT: pages of it that were never
  // touched are still reached through whatever its new owner writes.
  Remapped guest;
  const std::uint64_t table =
      guest.p.platform.load<std::uint64_t>(guest.ept.entry(kGpa, 1)) & vmx::kEptAddressMask;
  guest.ept.unmap(kGpa, 1);
  guest.p.platform.store_u64(Spa(table + 8), 0x66'6000 | kRightsAll | kWriteBack);
  CHECK(guest.read(kGpa + kPage) == 0x66'6000);
  CHECK(guest.p.cpu.invept(1, kEptp) == VmxResult::kSucceed);
  CHECK(guest.read(kGpa + kPage) == kNothing);
}

TEST_CASE("a large page split without INVEPT stays large", "[vtx][tlb]") {
  TestProcessor p;
  EptBuilder ept(p.platform);
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  constexpr std::uint64_t kLarge = machine::kLargePageSize;
  ept.map(kGpa, 0, kRightsAll, 1);
  REQUIRE(p.cpu.translate(Gpa(kGpa), Access::kRead) == Spa(0));
  const std::uint64_t table = ept.new_table();
  p.platform.store_u64(Spa(table + 8), kNew | kRightsAll | kWriteBack);
  ept.store(kGpa, 1, table | kRightsAll);
  CHECK(p.cpu.translate(Gpa(kGpa + kPage), Access::kRead) == Spa(kPage));
  CHECK(p.cpu.translate(Gpa(kGpa + kLarge - 1), Access::kWrite) == Spa(kLarge - 1));
  CHECK(p.cpu.invept(1, kEptp) == VmxResult::kSucceed);
  CHECK(p.cpu.translate(Gpa(kGpa + kPage), Access::kRead) == Spa(kNew));
  CHECK_FALSE(p.cpu.translate(Gpa(kGpa), Access::kRead).has_value());
}

TEST_CASE("no number of other translations evicts one by conflict", "[vtx][tlb]") {
  Remapped guest;
  for (std::uint64_t i = 0; i < 4096; ++i) {
    guest.ept.map(0x1000'0000 + i * kPage, i * kPage);
    REQUIRE(guest.read(0x1000'0000 + i * kPage) == i * kPage);
  }
  CHECK(guest.read() == kOld);
}

TEST_CASE("at its bound the TLB forgets the older half and keeps the younger", "[vtx][tlb]") {
  Tlb tlb(1024);
  tlb.use(1, 0x10);
  for (std::uint64_t page = 0; page < 5000; ++page) {
    tlb.add_physical(page, {.frame = page + 1, .rights = kRightsAll, .level = 0});
    // Three quarters of the slots fill up before half of what they hold goes.
    REQUIRE((page < 383 || tlb.find_physical(page - 383)));
  }
  CHECK(tlb.slots() == 1024);
  CHECK_FALSE(tlb.find_physical(0));
  for (std::uint64_t page = 5000 - 256; page < 5000; ++page) {
    REQUIRE(tlb.find_physical(page));
    CHECK(tlb.find_physical(page)->frame == page + 1);
  }
}

TEST_CASE("dropped entries do not fill the TLB", "[vtx][tlb]") {
  Tlb tlb;
  tlb.use(1, 0x10);
  for (int round = 0; round < 1000; ++round) {
    for (std::uint64_t page = 0; page < 50; ++page) {
      tlb.add_physical(page, {.frame = page, .rights = kRightsAll, .level = 0});
      tlb.add_combined(page, {.frame = page, .rights = kRightsAll, .level = 0});
    }
    tlb.drop_ep4ta(0x10);
  }
  CHECK(tlb.slots() == 256);
}

TEST_CASE("the small cache in front gives only current translations with enough rights",
          "[vtx][tlb]") {
  Tlb tlb;
  tlb.use(1, 0x10);
  tlb.remember_fast(5, 7, kRightRead);
  CHECK(tlb.find_fast(Gpa(0x5123), Access::kRead) == Spa(0x7123));
  CHECK_FALSE(tlb.find_fast(Gpa(0x5123), Access::kReadWrite));
  CHECK_FALSE(tlb.find_fast(Gpa(0x5000 + 256 * kPage), Access::kRead));
  struct Row {
    const char* name;
    void (*act)(Tlb&);
  };
  static constexpr auto kRows = std::to_array<Row>({
      {"another VPID", [](Tlb& t) { t.use(2, 0x10); }},
      {"another EP4TA", [](Tlb& t) { t.use(1, 0x11); }},
      {"INVEPT", [](Tlb& t) { t.drop_ep4ta(0x10); }},
      {"INVEPT of all", [](Tlb& t) { t.drop_everything(); }},
      {"INVVPID", [](Tlb& t) { t.drop_vpid(1); }},
      {"INVVPID of all", [](Tlb& t) { t.drop_all_vpids(); }},
      {"INVVPID of an address", [](Tlb& t) { t.drop_linear(1, 5); }},
      {"a violation", [](Tlb& t) { t.drop_after_violation(5, true); }},
  });
  for (const Row& row : kRows) {
    INFO(row.name);
    Tlb fresh;
    fresh.use(1, 0x10);
    fresh.remember_fast(5, 7, kRightRead);
    row.act(fresh);
    CHECK_FALSE(fresh.find_fast(Gpa(0x5000), Access::kRead));
  }
}
