// HYPERCALL, GUEST_OS_ID and REFERENCE_TSC belong to the partition: two of its virtual processors
// write them at the same time, on the whole hypervisor in the simulator.
#include <array>
#include <catch2/catch.hpp>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::OverlayPageRegister;
using machine::Gpa;

constexpr std::uint32_t kRounds = 40;
constexpr std::uint32_t kMemory = 0x1234'5678;
/// Where each of the two puts the page, and what stands there if there is none.
constexpr std::array<Gpa, 2> kPlaces{Gpa{0x40'6000}, Gpa{0x40'7000}};
/// How far each of the two has come; and that it is over.
constexpr std::array<Gpa, 2> kProgress{Gpa{0x40'5000}, Gpa{0x40'5008}};
constexpr Gpa kDone{0x40'5010};

void meet(std::uint32_t self, std::uint32_t& met) {
  machine::store_u32(kProgress[self], ++met);
  while (machine::load_u32(kProgress[1 - self]) < met) {
    machine::pause();
  }
}

std::uint64_t at(Gpa place, std::uint64_t flags = OverlayPageRegister::kEnable) {
  return OverlayPageRegister(place.page(), false).value() | flags;
}

/// The register says where there is a page that is not memory, and there is no other.
void check_place(std::uint32_t msr) {
  const OverlayPageRegister said(machine::read_msr(msr));
  for (const Gpa place : kPlaces) {
    const bool shown = machine::load_u32(place) != kMemory;
    GUEST_CHECK(shown == (said.enabled() && said.page() == place.page()));
  }
}

void hide(std::uint32_t msr) {
  machine::write_msr(msr, 0);
  for (const Gpa place : kPlaces) {
    GUEST_CHECK(machine::load_u32(place) == kMemory);
  }
}

/// Each round both write a register, then the first looks and prepares the next.
void write_both(std::uint32_t self, std::uint32_t& met, std::uint32_t msr) {
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    meet(self, met);
    machine::write_msr(msr, at(kPlaces[self]));
    meet(self, met);
    if (self == 0) {
      check_place(msr);
      hide(msr);
    }
  }
}

/// One gives the guest's identity up while the other turns the page on.
void withdraw_identity(std::uint32_t self, std::uint32_t& met) {
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    meet(self, met);
    if (self == 0) {
      machine::write_msr(hv::kMsrGuestOsId, 0);
    } else {
      machine::write_msr(hv::kMsrHypercall, at(kPlaces[1]));
    }
    meet(self, met);
    if (self == 0) {
      GUEST_CHECK(!OverlayPageRegister(machine::read_msr(hv::kMsrHypercall)).enabled());
      check_place(hv::kMsrHypercall);
      machine::write_msr(hv::kMsrGuestOsId, 1);
    }
  }
}

/// Both lock the page where they want it: the first to do so has it, for ever.
void lock_both(std::uint32_t self, std::uint32_t& met) {
  constexpr std::uint64_t kLocked = OverlayPageRegister::kEnable | OverlayPageRegister::kLocked;
  meet(self, met);
  const bool done =
      machine::try_write_msr(hv::kMsrHypercall, at(kPlaces[self], kLocked)).has_value();
  const std::uint64_t seen = machine::read_msr(hv::kMsrHypercall);
  GUEST_CHECK(seen == at(kPlaces[done ? self : 1 - self], kLocked));
  meet(self, met);
  GUEST_CHECK(machine::read_msr(hv::kMsrHypercall) == seen);
  check_place(hv::kMsrHypercall);
}

void write_all(std::uint32_t self) {
  std::uint32_t met = 0;
  write_both(self, met, hv::kMsrHypercall);
  write_both(self, met, hv::kMsrReferenceTsc);
  withdraw_identity(self, met);
  lock_both(self, met);
}

void first() {
  machine::write_msr(hv::kMsrGuestOsId, 1);
  for (const Gpa place : kPlaces) {
    machine::store_u32(place, kMemory);
  }
  write_all(0);
  machine::store_u32(kDone, 1);
  for (;;) {
    machine::pause();
  }
}
void second() {
  write_all(1);
  for (;;) {
    machine::pause();
  }
}

void root() {
  begin();
  const child_maker::Child child = child_maker::make("child", 2);
  child_maker::start(child, 0);
  // A kernel's first processor starts before its others.
  while (machine::load_u32(child.memory + kProgress[0].value()) == 0) {
    machine::pause();
  }
  child_maker::start(child, 1);
  while (machine::load_u32(child.memory + kDone.value()) == 0) {
    machine::pause();
  }
  child_maker::destroy(child);
  end(0);
}

}  // namespace

TEST_CASE("a partition's overlay registers say where the pages are, whoever writes them at once",
          "[hv][msr]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const sim::RunResult result = run(world_with_child(root, first, second, 3), seed);
    INFO("seed " << seed << ": " << describe(result));
    REQUIRE(result.passed());
  }
}
