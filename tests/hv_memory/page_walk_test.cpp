// Guest page tables of every format, made by hand: what they say, what they refuse, and that no
// table can lead a walk astray.
#include "hv/memory/page_walk.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <functional>
#include <map>

namespace {

using hv::PageWalk;
using hv::PageWalker;
using hv::PagingState;
using hv::TranslateCode;
using hv::WalkAccess;
using machine::Gpa;
namespace x86 = machine::x86;

constexpr std::uint64_t kP = 1, kW = 2, kU = 4, kPwt = 8, kPcd = 16, kA = 32, kD = 64, kPs = 128;
constexpr std::uint64_t kNx = 1ull << 63;
constexpr std::uint64_t kAll = kP | kW | kU;
constexpr std::uint64_t kSmep = 1u << 20, kSmap = 1u << 21, kPse = 1u << 4, kLa57 = 1u << 12;

/// Tables in a map; what is not in it reads as zero, and from `end` on nothing is.
struct Tables {
  std::map<std::uint64_t, std::uint64_t> words;
  std::uint64_t end = 1ull << 40;
  std::uint64_t unreadable = ~0ull;
  std::uint64_t unwritable = ~0ull;
  unsigned loads = 0;
  std::function<void()> before_exchange;

  std::expected<std::uint64_t, TranslateCode> load(Gpa entry, std::uint32_t size) {
    ++loads;
    REQUIRE(entry.value() % size == 0);
    if (entry.value() >= end) {
      return std::unexpected(TranslateCode::kGpaUnmapped);
    }
    if (entry.value() == unreadable) {
      return std::unexpected(TranslateCode::kGpaNoReadAccess);
    }
    const auto found = words.find(entry.value());
    return found == words.end() ? 0 : found->second;
  }
  std::expected<bool, TranslateCode> exchange(Gpa entry, std::uint32_t, std::uint64_t expected,
                                              std::uint64_t desired) {
    if (before_exchange) {
      before_exchange();
    }
    if (entry.value() == unwritable) {
      return std::unexpected(TranslateCode::kGpaNoWriteAccess);
    }
    if (words[entry.value()] != expected) {
      return false;
    }
    words[entry.value()] = desired;
    return true;
  }
  [[nodiscard]] std::uint64_t at(std::uint64_t address) const { return words.at(address); }
};

constexpr std::uint64_t kLongPaging = x86::kCr0Pe | x86::kCr0Pg | x86::kCr0Wp;

PagingState long_mode() {
  return {.cr0 = kLongPaging,
          .cr3 = 0x1000,
          .cr4 = x86::kCr4Pae,
          .efer = x86::kEferLma | x86::kEferLme | x86::kEferNxe,
          .physical_address_bits = 40};
}

/// 0x0000'7FC0'8060'5xxx: entries 255, 258 (of 512: 2), 3, 5 in four tables from 0x1000 on.
constexpr std::uint64_t kGva = (255ull << 39) | (2ull << 30) | (3ull << 21) | (5ull << 12) | 0x123;
constexpr std::uint64_t kTop = 0x1000 + 255 * 8;
constexpr std::uint64_t kDirectoryPointer = 0x2000 + 2 * 8;
constexpr std::uint64_t kDirectory = 0x3000 + 3 * 8;
constexpr std::uint64_t kLeaf = 0x4000 + 5 * 8;

Tables four_levels(std::uint64_t leaf = 0x12'3456'7000 | kAll) {
  Tables tables;
  tables.words = {{kTop, 0x2000 | kAll},
                  {kDirectoryPointer, 0x3000 | kAll},
                  {kDirectory, 0x4000 | kAll},
                  {kLeaf, leaf}};
  return tables;
}

PageWalk walk(Tables& tables, const PagingState& state, std::uint64_t gva,
              const WalkAccess& access = {.read = true}) {
  return PageWalker<Tables>(tables, state).walk(gva, access);
}

TranslateCode code_of(Tables tables, const PagingState& state, const WalkAccess& access) {
  return walk(tables, state, kGva, access).code;
}

}  // namespace

TEST_CASE("without paging an address is its own translation", "[hv][page_walk]") {
  Tables tables;
  const PageWalk found = walk(tables, {.cr0 = x86::kCr0Pe}, 0x1'2345'6789);
  CHECK(found.code == TranslateCode::kSuccess);
  CHECK(found.gpa.value() == 0x2345'6789);
  CHECK(tables.loads == 0);
}

TEST_CASE("four levels lead to a small page", "[hv][page_walk]") {
  Tables tables = four_levels(0x12'3456'7000 | kAll | kPcd | kPs);
  const PageWalk found = walk(tables, long_mode(), kGva);
  CHECK(found.code == TranslateCode::kSuccess);
  CHECK(found.gpa.value() == 0x12'3456'7123);
  CHECK(found.page_shift == 12);
  CHECK(found.pat_index == 6);  // PAT and PCD
  CHECK(tables.loads == 4);
}

TEST_CASE("five levels are walked when the guest asks for them", "[hv][page_walk]") {
  Tables tables = four_levels();
  PagingState state = long_mode();
  state.cr4 |= kLa57;
  state.cr3 = 0x5000;
  tables.words[0x5000 + 7 * 8] = 0x1000 | kAll;
  CHECK(walk(tables, state, (7ull << 48) | kGva).gpa.value() == 0x12'3456'7123);
  CHECK(walk(tables, long_mode(), (7ull << 48) | kGva).code == TranslateCode::kPageNotPresent);
}

TEST_CASE("pages of 2 MiB and 1 GiB end a walk early", "[hv][page_walk]") {
  Tables tables = four_levels();
  tables.words[kDirectory] = 0x12'3460'0000 | kAll | kPs | (1u << 12) | kPwt;
  PageWalk found = walk(tables, long_mode(), kGva);
  CHECK(found.gpa.value() == 0x12'3460'5123);
  CHECK(found.page_shift == 21);
  CHECK(found.pat_index == 5);
  tables.words[kDirectoryPointer] = 0x12'4000'0000 | kAll | kPs;
  found = walk(tables, long_mode(), kGva);
  CHECK(found.gpa.value() == 0x12'4060'5123);
  CHECK(found.page_shift == 30);
}

TEST_CASE("three levels of PAE lead to a page, without rights at the top", "[hv][page_walk]") {
  PagingState state = long_mode();
  state.efer = 0;
  state.cr3 = 0x1020;
  Tables tables;
  const std::uint64_t gva = (2ull << 30) | (3ull << 21) | (5ull << 12) | 0x123;
  tables.words = {{0x1020 + 2 * 8, 0x3000 | kP},
                  {0x3000 + 3 * 8, 0x4000 | kAll},
                  {0x4000 + 5 * 8, 0x12'3456'7000 | kAll}};
  CHECK(walk(tables, state, gva, {.write = true, .user = true}).gpa.value() == 0x12'3456'7123);
  SECTION("whose top entry has no rights to give") {
    tables.words[0x1020 + 2 * 8] = 0x3000 | kAll;
    CHECK(walk(tables, state, gva).code == TranslateCode::kInvalidPageTableFlags);
  }
  SECTION("and to a page of 2 MiB") {
    tables.words[0x3000 + 3 * 8] = 0x12'3460'0000 | kAll | kPs;
    CHECK(walk(tables, state, gva).gpa.value() == 0x12'3460'5123);
  }
  SECTION("and to nothing above 4 GiB") {
    CHECK(walk(tables, state, gva | (1ull << 32)).code == TranslateCode::kPageNotPresent);
  }
}

TEST_CASE("two levels of 32 bits lead to a page", "[hv][page_walk]") {
  PagingState state{.cr0 = kLongPaging, .cr3 = 0x1018, .physical_address_bits = 40};
  Tables tables;
  const std::uint64_t gva = (9u << 22) | (5u << 12) | 0x123;
  tables.words = {{0x1000 + 9 * 4, 0x4000 | kAll | kPs}, {0x4000 + 5 * 4, 0x3456'7000 | kAll}};
  CHECK(walk(tables, state, gva).gpa.value() == 0x3456'7123);
  state.cr4 = kPse;
  tables.words[0x1000 + 9 * 4] = 0x3440'0000 | (0x12u << 13) | kAll | kPs;
  const PageWalk found = walk(tables, state, gva);
  CHECK(found.gpa.value() == 0x12'3440'5123);
  CHECK(found.page_shift == 22);
  tables.words[0x1000 + 9 * 4] |= 1u << 21;
  CHECK(walk(tables, state, gva).code == TranslateCode::kInvalidPageTableFlags);
}

TEST_CASE("a missing entry at any level is a page that is not present", "[hv][page_walk]") {
  for (const std::uint64_t entry : {kTop, kDirectoryPointer, kDirectory, kLeaf}) {
    Tables tables = four_levels();
    tables.words[entry] &= ~kP;
    CHECK(walk(tables, long_mode(), kGva).code == TranslateCode::kPageNotPresent);
  }
}

TEST_CASE("reserved bits of an entry are told from its absence", "[hv][page_walk]") {
  const auto with = [](std::uint64_t entry, std::uint64_t bits) {
    Tables tables = four_levels();
    tables.words[entry] |= bits;
    return walk(tables, long_mode(), kGva).code;
  };
  CHECK(with(kTop, kPs) == TranslateCode::kInvalidPageTableFlags);
  CHECK(with(kDirectory, 1ull << 40) == TranslateCode::kInvalidPageTableFlags);
  CHECK(with(kLeaf, 1ull << 51) == TranslateCode::kInvalidPageTableFlags);
  CHECK(with(kLeaf, 1ull << 52) == TranslateCode::kSuccess);  // the guest's own
  Tables tables = four_levels();
  tables.words[kDirectory] = 0x2000 | kAll | kPs;
  CHECK(walk(tables, long_mode(), kGva).code == TranslateCode::kInvalidPageTableFlags);
  PagingState no_nx = long_mode();
  no_nx.efer &= ~x86::kEferNxe;
  tables = four_levels(0x5000 | kAll | kNx);
  CHECK(walk(tables, no_nx, kGva).code == TranslateCode::kInvalidPageTableFlags);
}

TEST_CASE("an access needs the right at every level", "[hv][page_walk]") {
  const PagingState state = long_mode();
  for (const std::uint64_t entry : {kTop, kDirectoryPointer, kDirectory, kLeaf}) {
    Tables tables = four_levels();
    tables.words[entry] &= ~kW;
    CHECK(code_of(tables, state, {.read = true, .user = true}) == TranslateCode::kSuccess);
    CHECK(code_of(tables, state, {.write = true, .user = true}) ==
          TranslateCode::kPrivilegeViolation);
    CHECK(code_of(tables, state, {.write = true}) == TranslateCode::kPrivilegeViolation);
    PagingState unprotected = state;
    unprotected.cr0 &= ~x86::kCr0Wp;
    CHECK(code_of(tables, unprotected, {.write = true}) == TranslateCode::kSuccess);
    CHECK(code_of(tables, unprotected, {.write = true, .user = true}) ==
          TranslateCode::kPrivilegeViolation);
    tables = four_levels();
    tables.words[entry] &= ~kU;
    CHECK(code_of(tables, state, {.read = true}) == TranslateCode::kSuccess);
    CHECK(code_of(tables, state, {.read = true, .user = true}) ==
          TranslateCode::kPrivilegeViolation);
    CHECK(code_of(tables, state, {.user = true}) == TranslateCode::kSuccess);
    CHECK(code_of(tables, state, {.read = true, .user = true, .privilege_exempt = true}) ==
          TranslateCode::kSuccess);
    tables = four_levels();
    tables.words[entry] |= kNx;
    CHECK(code_of(tables, state, {.execute = true}) == TranslateCode::kPrivilegeViolation);
    CHECK(code_of(tables, state, {.read = true}) == TranslateCode::kSuccess);
  }
}

TEST_CASE("SMEP and SMAP keep a supervisor from user pages", "[hv][page_walk]") {
  PagingState state = long_mode();
  state.cr4 |= kSmep;
  CHECK(code_of(four_levels(), state, {.execute = true}) == TranslateCode::kPrivilegeViolation);
  CHECK(code_of(four_levels(), state, {.execute = true, .user = true}) == TranslateCode::kSuccess);
  CHECK(code_of(four_levels(), state, {.read = true}) == TranslateCode::kSuccess);
  state.cr4 = x86::kCr4Pae | kSmap;
  CHECK(code_of(four_levels(), state, {.read = true}) == TranslateCode::kPrivilegeViolation);
  CHECK(code_of(four_levels(), state, {.write = true}) == TranslateCode::kPrivilegeViolation);
  CHECK(code_of(four_levels(), state, {.execute = true}) == TranslateCode::kSuccess);
  CHECK(code_of(four_levels(), state, {.read = true, .override_smap = true}) ==
        TranslateCode::kSuccess);
  state.alignment_check = true;
  CHECK(code_of(four_levels(), state, {.read = true}) == TranslateCode::kSuccess);
  CHECK(code_of(four_levels(), state, {.read = true, .enforce_smap = true}) ==
        TranslateCode::kPrivilegeViolation);
}

TEST_CASE("accessed and dirty bits are set as the access needs them", "[hv][page_walk]") {
  Tables tables = four_levels();
  CHECK(walk(tables, long_mode(), kGva).code == TranslateCode::kSuccess);
  CHECK((tables.at(kLeaf) & (kA | kD)) == 0);
  CHECK(walk(tables, long_mode(), kGva, {.read = true, .set_page_table_bits = true}).code ==
        TranslateCode::kSuccess);
  for (const std::uint64_t entry : {kTop, kDirectoryPointer, kDirectory, kLeaf}) {
    CHECK((tables.at(entry) & (kA | kD)) == kA);
  }
  CHECK(walk(tables, long_mode(), kGva, {.write = true, .set_page_table_bits = true}).code ==
        TranslateCode::kSuccess);
  CHECK((tables.at(kLeaf) & (kA | kD)) == (kA | kD));
  CHECK((tables.at(kDirectory) & (kA | kD)) == kA);
}

TEST_CASE("a walk that is refused sets no bit", "[hv][page_walk]") {
  Tables tables = four_levels(0x5000 | kP);
  CHECK(walk(tables, long_mode(), kGva, {.write = true, .set_page_table_bits = true}).code ==
        TranslateCode::kPrivilegeViolation);
  CHECK((tables.at(kTop) & kA) == 0);
}

TEST_CASE("an entry that changes under the walk is not overwritten", "[hv][page_walk]") {
  Tables tables = four_levels();
  tables.before_exchange = [&] { tables.words[kTop] = 0; };
  const PageWalk found =
      walk(tables, long_mode(), kGva, {.read = true, .set_page_table_bits = true});
  CHECK(found.changed);
  CHECK(tables.at(kTop) == 0);
}

TEST_CASE("tables out of reach are reported with the entry's place", "[hv][page_walk]") {
  Tables tables = four_levels();
  tables.words[kDirectoryPointer] = 0xFF'0000'0000 | kAll;
  tables.end = 0xFF'0000'0000;
  PageWalk found = walk(tables, long_mode(), kGva);
  CHECK(found.code == TranslateCode::kGpaUnmapped);
  CHECK(found.gpa.value() == 0xFF'0000'0000 + 3 * 8);
  tables = four_levels();
  tables.unreadable = kLeaf;
  CHECK(walk(tables, long_mode(), kGva).code == TranslateCode::kGpaNoReadAccess);
  tables = four_levels();
  tables.unwritable = kTop;
  found = walk(tables, long_mode(), kGva, {.read = true, .set_page_table_bits = true});
  CHECK(found.code == TranslateCode::kGpaNoWriteAccess);
  CHECK(found.gpa.value() == kTop);
}

TEST_CASE("an address that is not canonical has no page", "[hv][page_walk]") {
  Tables tables = four_levels();
  tables.words[0x1000 + 511 * 8] = tables.at(kTop);
  CHECK(walk(tables, long_mode(), 1ull << 47).code == TranslateCode::kPageNotPresent);
  const std::uint64_t high = (0x1FFull << 39) | (kGva & 0x7F'FFFF'FFFF) | 0xFFFF'0000'0000'0000;
  CHECK(walk(tables, long_mode(), high).gpa.value() == 0x12'3456'7123);
  CHECK(walk(tables, long_mode(), high & ~(1ull << 60)).code == TranslateCode::kPageNotPresent);
}

TEST_CASE("tables in a loop end a walk after as many entries as there are levels",
          "[hv][page_walk]") {
  Tables tables;
  for (std::uint64_t entry = 0x1000; entry < 0x2000; entry += 8) {
    tables.words[entry] = 0x1000 | kAll;
  }
  const PageWalk found = walk(tables, long_mode(), kGva);
  CHECK(found.code == TranslateCode::kSuccess);
  CHECK(tables.loads == 4);
  CHECK(found.gpa.value() == 0x1123);
}

TEST_CASE("random tables never lead a walk out of bounds", "[hv][page_walk][properties]") {
  const bool held = rc::check("walks of garbage", [] {
    Tables tables;
    tables.end = 0x8000;
    for (std::uint64_t entry = 0; entry < tables.end; entry += 8) {
      if (*rc::gen::inRange(0, 8) == 0) {
        // Mostly entries that lead on.
        const std::uint64_t next = *rc::gen::inRange<std::uint64_t>(0, 10) << 12;
        tables.words[entry] = next | kAll | (*rc::gen::inRange(0, 6) == 0 ? kPs : 0);
      }
    }
    PagingState state = long_mode();
    state.cr3 = *rc::gen::arbitrary<std::uint64_t>();
    state.cr3 = *rc::gen::inRange(0, 2) == 0 ? state.cr3 : state.cr3 & 0x7FFF;
    state.cr4 = *rc::gen::arbitrary<std::uint64_t>();
    state.efer = *rc::gen::inRange(0, 2) == 0 ? 0 : state.efer;
    const std::uint64_t gva = *rc::gen::arbitrary<std::uint64_t>() >> *rc::gen::inRange(0, 52);
    const PageWalk found = walk(tables, state, gva, {.write = true, .set_page_table_bits = true});
    RC_ASSERT(tables.loads <= 5);
    RC_ASSERT((found.gpa.value() >> 52) == 0);
  });
  REQUIRE(held);
}
