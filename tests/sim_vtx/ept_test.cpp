// The EPT walk: rights, violations, misconfigurations, accessed and dirty flags (SDM vol. 3 28.2).
#include <catch2/catch.hpp>

#include "tests/sim_vtx/ept_builder.h"

using namespace sim_vtx_test;

namespace {

constexpr std::uint64_t kGpa = 0x1234'5000;
constexpr std::uint64_t kSpa = 0x0008'0000;
constexpr std::uint64_t kPage = machine::kPageSize;
constexpr std::uint64_t kLarge = machine::kLargePageSize;
constexpr std::uint64_t kHuge = 512 * kLarge;

struct Guest {
  TestProcessor p;
  EptBuilder ept{p.platform};

  explicit Guest(bool accessed_dirty = false) {
    if (accessed_dirty) {
      p.set_bits(Vmcs64::kEptPointer, vmx::kEptpEnableAccessedDirty);
    }
    REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  }
  std::expected<Spa, Exit> read(std::uint64_t gpa) {
    return p.cpu.translate(Gpa(gpa), Access::kRead);
  }
  std::expected<Spa, Exit> write(std::uint64_t gpa) {
    return p.cpu.translate(Gpa(gpa), Access::kWrite);
  }
};

constexpr std::array<Access, 4> kAccesses = {Access::kRead, Access::kWrite, Access::kReadWrite,
                                             Access::kFetch};

}  // namespace

TEST_CASE("every combination of rights allows exactly its accesses, at every level", "[vtx][ept]") {
  for (std::uint8_t level = 0; level < 4; ++level) {
    for (const std::uint64_t rights : {0u, 1u, 3u, 4u, 5u, 7u}) {
      for (const Access access : kAccesses) {
        INFO("level " << int{level} << " rights " << rights << " access "
                      << static_cast<int>(access));
        Guest guest;
        guest.ept.map(kGpa, kSpa);
        const std::uint64_t whole = guest.ept.load(kGpa, level);
        guest.ept.store(kGpa, level, (whole & ~std::uint64_t{7}) | rights);
        const auto wanted = static_cast<std::uint64_t>(access);
        const auto result = guest.p.cpu.translate(Gpa(kGpa + 0x123), access);
        if ((rights & wanted) == wanted) {
          REQUIRE(result.has_value());
          CHECK(*result == Spa(kSpa + 0x123));
        } else {
          REQUIRE_FALSE(result.has_value());
          CHECK(result.error() == Exit{.reason = ExitReason::kEptViolation,
                                       .qualification = wanted | (rights << 3) | 0x180,
                                       .guest_linear_address = kGpa + 0x123,
                                       .guest_physical_address = Gpa(kGpa + 0x123)});
        }
      }
    }
  }
}

TEST_CASE("the rights of a path are the AND of its entries", "[vtx][ept]") {
  Guest guest;
  guest.ept.map(kGpa, kSpa, kRightRead | kRightExecute);
  guest.ept.store(kGpa, 2, (guest.ept.load(kGpa, 2) & ~std::uint64_t{7}) | 3);
  CHECK(guest.read(kGpa).has_value());
  const auto fetch = guest.p.cpu.translate(Gpa(kGpa), Access::kFetch);
  REQUIRE_FALSE(fetch.has_value());
  CHECK(fetch.error().qualification ==
        (vmx::kEptViolationFetch | vmx::kEptViolationReadable | 0x180));
}

TEST_CASE("an access without a linear address says so", "[vtx][ept]") {
  Guest guest;
  const auto result = guest.p.cpu.translate(Gpa(kGpa), Access::kRead, Through::kNoLinearAddress);
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error() == Exit{.reason = ExitReason::kEptViolation,
                               .qualification = vmx::kEptViolationRead,
                               .guest_physical_address = Gpa(kGpa)});
}

TEST_CASE("large pages map all their bytes", "[vtx][ept]") {
  struct Row {
    std::uint8_t level;
    std::uint64_t size;
    std::uint64_t spa;
  };
  static constexpr auto kRows =
      std::to_array<Row>({{0, kPage, 0x7000}, {1, kLarge, 3 * kLarge}, {2, kHuge, 2 * kHuge}});
  for (const Row& row : kRows) {
    INFO(int{row.level});
    Guest guest;
    const std::uint64_t gpa =
        5 * kHuge + 7 * kLarge * (row.level < 2) + 9 * kPage * (row.level < 1);
    guest.ept.map(gpa, row.spa, kRightsAll, row.level);
    CHECK(guest.read(gpa) == Spa(row.spa));
    CHECK(guest.read(gpa + row.size - 1) == Spa(row.spa + row.size - 1));
    CHECK(guest.write(gpa + row.size / 2) == Spa(row.spa + row.size / 2));
    CHECK_FALSE(guest.read(gpa + row.size).has_value());
    CHECK_FALSE(guest.read(gpa - 1).has_value());
  }
}

TEST_CASE("an address beyond the physical width or beyond the tables is a violation",
          "[vtx][ept]") {
  Guest guest;
  guest.ept.map(0, kSpa);
  for (const std::uint64_t gpa : {1ull << 46, 1ull << 48, 1ull << 63}) {
    const auto result = guest.read(gpa);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().qualification == 0x181);
  }
}

TEST_CASE("entries that the processor refuses are misconfigurations, whatever the access",
          "[vtx][ept][misconfiguration]") {
  struct Row {
    const char* name;
    std::uint8_t level;
    std::uint64_t entry;  // without address
  };
  constexpr std::uint64_t kTable = 0x9'0000;
  constexpr std::uint64_t kLeaf = kWriteBack | kRightsAll;
  constexpr std::uint64_t kLargeLeaf = kLeaf | vmx::kEptLargePage;
  static constexpr auto kRows = std::to_array<Row>({
      {"writable but not readable", 0, kTable | kWriteBack | kRightWrite},
      {"writable and executable but not readable", 0, kTable | kWriteBack | 6},
      {"a PDE writable but not readable", 1, kTable | kRightWrite},
      {"a PDPTE writable but not readable", 2, kTable | kRightWrite},
      {"a PML4 entry writable but not readable", 3, kTable | kRightWrite},
      {"memory type 2", 0, kTable | kRightsAll | (2u << 3)},
      {"memory type 3", 0, kTable | kRightsAll | (3u << 3)},
      {"memory type 7", 0, kTable | kRightsAll | (7u << 3)},
      {"memory type 2 of a large page", 1, kLarge | kRightsAll | (2u << 3) | vmx::kEptLargePage},
      {"an address beyond the physical width", 0, (1ull << 46) | kLeaf},
      {"a table beyond the physical width", 1, (1ull << 50) | kRightsAll},
      {"reserved bits of a PDE", 1, kTable | kRightsAll | (1u << 3)},
      {"reserved bits of a PDPTE", 2, kTable | kRightsAll | (1u << 6)},
      {"reserved bits of a PML4 entry", 3, kTable | kRightsAll | (1u << 4)},
      {"a large page in the PML4", 3, kTable | kRightsAll | vmx::kEptLargePage},
      {"a 2 MiB page that is not aligned", 1, kPage | kLargeLeaf},
      {"a 1 GiB page that is not aligned", 2, kLarge | kLargeLeaf},
  });
  for (const Row& row : kRows) {
    for (const Access access : kAccesses) {
      INFO(row.name << ", access " << static_cast<int>(access));
      Guest guest;
      guest.ept.store(kGpa, row.level, row.entry);
      const auto result = guest.p.cpu.translate(Gpa(kGpa), access);
      REQUIRE_FALSE(result.has_value());
      CHECK(result.error() ==
            Exit{.reason = ExitReason::kEptMisconfiguration, .guest_physical_address = Gpa(kGpa)});
    }
  }
}

TEST_CASE("bits that software owns are no misconfiguration", "[vtx][ept][misconfiguration]") {
  Guest guest;
  constexpr std::uint64_t kIgnored = (0xFFFull << 52) | (7ull << 9);
  guest.ept.map(kGpa, kSpa);
  guest.ept.store(kGpa, 0, guest.ept.load(kGpa, 0) | kIgnored | vmx::kEptIgnorePat | (1u << 7));
  guest.ept.store(kGpa, 1, guest.ept.load(kGpa, 1) | kIgnored);
  guest.ept.store(kGpa, 3, guest.ept.load(kGpa, 3) | kIgnored);
  CHECK(guest.read(kGpa) == Spa(kSpa));
  // Of an entry that is not present all other bits are ignored.
  guest.ept.store(kGpa + kPage, 0, ~std::uint64_t{7});
  CHECK(guest.read(kGpa + kPage).error().reason == ExitReason::kEptViolation);
}

TEST_CASE("execute-only pages and 1 GiB pages are what the capabilities say they are",
          "[vtx][ept][misconfiguration]") {
  Capabilities old = haswell();
  old.ept_vpid &= ~std::uint64_t{(1u << 0) | (1u << 17)};
  TestProcessor p(old);
  EptBuilder ept(p.platform);
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  ept.map(kGpa, kSpa, kRightExecute);
  ept.map(kHuge, kHuge, kRightsAll, 2);
  CHECK(p.cpu.translate(Gpa(kGpa), Access::kFetch).error().reason ==
        ExitReason::kEptMisconfiguration);
  CHECK(p.cpu.translate(Gpa(kHuge), Access::kRead).error().reason ==
        ExitReason::kEptMisconfiguration);
}

TEST_CASE("accessed and dirty flags are set by use, on every level and for large pages",
          "[vtx][ept][dirty]") {
  for (std::uint8_t level = 0; level < 3; ++level) {
    INFO(int{level});
    Guest guest(true);
    const std::uint64_t gpa = kHuge;
    guest.ept.map(gpa, 0, kRightsAll, level);
    const auto flags = [&](std::uint8_t at) {
      return guest.ept.load(gpa, at) & (vmx::kEptAccessed | vmx::kEptDirty);
    };
    REQUIRE(guest.read(gpa).has_value());
    for (std::uint8_t at = level; at < 4; ++at) {
      CHECK(flags(at) == vmx::kEptAccessed);
    }
    REQUIRE(guest.write(gpa).has_value());
    CHECK(flags(level) == (vmx::kEptAccessed | vmx::kEptDirty));
    CHECK(flags(3) == vmx::kEptAccessed);
  }
}

TEST_CASE("a page is marked dirty again only once the TLB has forgotten that it was",
          "[vtx][ept][dirty][tlb]") {
  Guest guest(true);
  guest.ept.map(kGpa, kSpa);
  REQUIRE(guest.write(kGpa).has_value());
  guest.ept.store(kGpa, 0, guest.ept.load(kGpa, 0) & ~vmx::kEptDirty);
  REQUIRE(guest.write(kGpa).has_value());
  CHECK((guest.ept.load(kGpa, 0) & vmx::kEptDirty) == 0);  // the bug that a missing INVEPT makes
  REQUIRE(guest.p.cpu.invept(1, kEptp) == VmxResult::kSucceed);
  REQUIRE(guest.write(kGpa).has_value());
  CHECK((guest.ept.load(kGpa, 0) & vmx::kEptDirty) != 0);
}

TEST_CASE("no flag is set for a refused access, nor while the EPT pointer does not ask",
          "[vtx][ept][dirty]") {
  for (const bool asked : {false, true}) {
    Guest guest(asked);
    guest.ept.map(kGpa, kSpa, kRightRead);
    const std::uint64_t before = guest.ept.load(kGpa, 0);
    CHECK_FALSE(guest.write(kGpa).has_value());
    CHECK(guest.ept.load(kGpa, 0) == before);
    CHECK(guest.read(kGpa).has_value());
    CHECK(guest.ept.load(kGpa, 0) == (asked ? before | vmx::kEptAccessed : before));
  }
}

TEST_CASE("without EPT guest-physical addresses are physical", "[vtx][ept]") {
  TestProcessor p;
  p.clear_bits(Vmcs32::kSecondaryProcessorBasedControls, vmx::kEnableEpt);
  REQUIRE(p.launch().outcome == EntryOutcome::kEntered);
  for (const Access access : kAccesses) {
    CHECK(p.cpu.translate(Gpa(kGpa + 5), access) == Spa(kGpa + 5));
  }
  CHECK_FALSE(p.cpu.translate(Gpa(1ull << 46), Access::kRead).has_value());
}
