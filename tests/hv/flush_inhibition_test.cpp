// A parent that holds a translation of a virtual processor's keeps others from flushing its TLB
// (TLFS HvCallTranslateVirtualAddress): they wait in their call until it lets the translation go.
#include <catch2/catch.hpp>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::RegisterName;
using hv::Status;
using machine::Gpa;
namespace x86 = machine::x86;

constexpr std::uint64_t kAll = hv::FlushFlags::kAllAddressSpaces;
/// The child's words.
constexpr Gpa kFlushed{0x40'5000};
constexpr Gpa kGo{0x40'5008};
constexpr Gpa kBoth{0x40'5010};
/// Page tables in the child, and the page whose entry changes.
constexpr std::uint64_t kTables = 0x70'0000;
constexpr std::uint64_t kPage = 5;
constexpr Gpa kEntry{kTables + 3 * machine::kPageSize + kPage * 8};
constexpr std::uint64_t kPresent = 7;
constexpr std::uint32_t kSecond = 1;
constexpr std::uint64_t kMaskOfSecond = 1u << kSecond;

Status flush(std::uint64_t mask, std::uint64_t flags = kAll) {
  return call_fast(HypercallControl(CallCode::kFlushVirtualAddressSpace),
                   hv::FlushVirtualAddressSpaceInput{0, flags, mask})
      .status();
}

/// Changes the translation of a page again and again, and says after each flush which one is gone.
void child_that_changes() {
  begin();
  for (std::uint32_t version = 1; machine::load_u32(kGo) == 0; ++version) {
    machine::store_u64(kEntry, (std::uint64_t{version} << machine::kPageShift) | kPresent);
    GUEST_CHECK(flush(kMaskOfSecond) == Status::kSuccess);
    machine::store_u32(kFlushed, version);
  }
  machine::store_u32(kBoth, 1);
  for (;;) {
    machine::sti_hlt();
  }
}

void make_tables(const Child& child) {
  for (std::uint64_t level = 0; level < 3; ++level) {
    const std::uint64_t table = kTables + level * machine::kPageSize;
    machine::store_u64(child.memory + table, (table + machine::kPageSize) | kPresent);
  }
  child_maker::set_register(child, kSecond, RegisterName::kCr3, kTables);
  child_maker::set_register(child, kSecond, RegisterName::kCr4, x86::kCr4Pae);
  child_maker::set_register(child, kSecond, RegisterName::kEfer, x86::kEferLme | x86::kEferNxe);
  child_maker::set_register(child, kSecond, RegisterName::kCr0,
                            x86::kCr0Pe | x86::kCr0Ne | x86::kCr0Wp | x86::kCr0Pg);
}

/// The page's number, held until let_go().
std::uint64_t hold(const Child& child) {
  const hv::TranslateVirtualAddressInput input{
      child.id, hv::VpIndex{kSecond}, 0, hv::kTranslateValidateRead | hv::kTranslateTlbFlushInhibit,
      kPage};
  GUEST_CHECK(call(HypercallControl(CallCode::kTranslateVirtualAddress), input).status() ==
              Status::kSuccess);
  return static_cast<std::uint64_t>(output<hv::TranslateVirtualAddressOutput>().gpn.value());
}
void let_go(const Child& child) {
  child_maker::set_register(child, kSecond, RegisterName::kInterceptSuspend, 0);
}

std::uint32_t word(const Child& child, Gpa at) {
  return machine::load_u32(child.memory + at.value());
}

/// What the root translates is never gone while it holds it.
void root_that_holds() {
  begin();
  const Child child = child_maker::make("child", 2);
  make_tables(child);
  child_maker::start(child, 0);
  while (word(child, kFlushed) == 0) {
    machine::pause();
  }
  constexpr int kRounds = 40;
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t held = hold(child);
    for (int look = 0; look < 5; ++look) {
      GUEST_CHECK(word(child, kFlushed) <= held);
      machine::spend(1'000);
    }
    GUEST_CHECK(word(child, kFlushed) + 1 >= held);
    let_go(child);
    const std::uint32_t before = word(child, kFlushed);
    while (word(child, kFlushed) == before) {
      machine::pause();
    }
  }
  machine::store_u32(child.memory + kGo.value(), 1);
  while (word(child, kBoth) == 0) {
    machine::pause();
  }
  child_maker::destroy(child);
  end(0);
}

/// Flushes others, then the one that is held.
void child_that_flushes_others() {
  begin();
  GUEST_CHECK(flush(1) == Status::kSuccess);
  GUEST_CHECK(flush(4) == Status::kSuccess);  // not there
  machine::store_u32(kFlushed, 1);
  GUEST_CHECK(flush(0, kAll | hv::FlushFlags::kAllProcessors) == Status::kSuccess);
  machine::store_u32(kFlushed, 2);
  for (;;) {
    machine::sti_hlt();
  }
}

template <bool kDeletes>
void root_of_others() {
  begin();
  const Child child = child_maker::make("child", 2);
  make_tables(child);
  static_cast<void>(hold(child));
  child_maker::start(child, 0);
  while (word(child, kFlushed) == 0) {
    machine::pause();
  }
  machine::spend(200'000);
  GUEST_CHECK(word(child, kFlushed) == 1);
  // To be suspended and let run does not end the wait.
  child_maker::set_register(child, 0, RegisterName::kExplicitSuspend, 1);
  child_maker::set_register(child, 0, RegisterName::kExplicitSuspend, 0);
  machine::spend(200'000);
  GUEST_CHECK(word(child, kFlushed) == 1);
  if (kDeletes) {
    GUEST_CHECK(call(HypercallControl(CallCode::kDeleteVp),
                     hv::DeleteVpInput{child.id, hv::VpIndex{kSecond}, 0})
                    .status() == Status::kSuccess);
  } else {
    let_go(child);
  }
  while (word(child, kFlushed) == 1) {
    machine::pause();
  }
  child_maker::destroy(child);
  end(0);
}

void require_pass(void (*root)(), void (*child)(), std::uint64_t seeds) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    sim::WorldConfiguration configuration = world_with_child(root, child, child, 3);
    const sim::RunResult result = run(configuration, seed);
    INFO("seed " << seed << " " << describe(result));
    REQUIRE(result.passed());
  }
}

}  // namespace

TEST_CASE("a translation that a parent holds is not flushed until the parent lets it go",
          "[hv][flush]") {
  require_pass(root_that_holds, child_that_changes, 20);
}

TEST_CASE("who flushes one that is held waits, and nobody else does", "[hv][flush]") {
  require_pass(root_of_others<false>, child_that_flushes_others, 5);
}

TEST_CASE("who waits to flush one that is deleted waits no longer", "[hv][flush]") {
  require_pass(root_of_others<true>, child_that_flushes_others, 5);
}
