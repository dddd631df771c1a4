// An access that crosses from one page to another of a different kind, on the whole hypervisor in
// the simulator.
#include <array>
#include <catch2/catch.hpp>
#include <span>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/intercept_slot.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::Status;
using machine::Gpa;
using machine::Gpn;

/// In the child: a page of RAM, then one of a device where nothing answers, which is uncached.
constexpr Gpn kRam{0x1000};
constexpr Gpn kDevice{0x1001};
/// Where the root has them.
constexpr Gpn kRamKept{0x9200};
constexpr Gpn kDeviceKept{0xFED0'0000 >> 12};
constexpr std::size_t kBytes = 16;
using Bytes = std::array<std::byte, kBytes>;

Bytes filled(std::byte value) {
  Bytes bytes;
  bytes.fill(value);
  return bytes;
}

void crossing_child() {
  begin();
  // Half of it is RAM's, half of it nobody's.
  const Gpa across = Gpa(kDevice) + (~std::uint64_t{kBytes / 2} + 1);
  machine::write_memory(across, filled(std::byte{0x5A}));
  Bytes seen{};
  machine::read_memory(across, seen);
  GUEST_CHECK(seen[0] == std::byte{0x5A} && seen[7] == std::byte{0x5A});
  GUEST_CHECK(seen[8] == std::byte{0xFF} && seen[15] == std::byte{0xFF});
  machine::store_u32(child_maker::kSharedWord, 1);
  // Half of it is RAM's, half of it is not mapped.
  const Gpa into_hole = child_maker::kHole + (~std::uint64_t{kBytes / 2} + 1);
  machine::write_memory(into_hole, filled(std::byte{0x77}));
  machine::store_u32(child_maker::kSharedWord, 2);
  for (;;) {
    machine::sti_hlt();
  }
}

Status map(const child_maker::Child& child, Gpn target, Gpn source, std::uint32_t flags) {
  const std::array<Gpn, 1> pages{source};
  return call(HypercallControl(CallCode::kMapGpaPages),
              hv::MapGpaPagesInput{child.id, target, flags, 0}, std::span<const Gpn>(pages))
      .status();
}

void root_of_the_crossing() {
  begin();
  machine::set_interrupt_handler(0x30, [](const machine::InterruptFrame&) {
    machine::write_msr(machine::x86::kX2ApicEoi, 0);
  });
  machine::write_msr(hv::kMsrSint0, 0x30);
  const child_maker::Child child = child_maker::make("child");
  constexpr std::uint32_t kReadWrite = hv::kMapRead | hv::kMapWrite;
  GUEST_CHECK(map(child, kRam, kRamKept, kReadWrite) == Status::kSuccess);
  GUEST_CHECK(map(child, kDevice, kDeviceKept, kReadWrite | hv::kMapUncached) == Status::kSuccess);
  child_maker::start(child, 0);
  const Gpa word = child.memory + child_maker::kSharedWord.value();
  while (machine::load_u32(word) != 1) {
    machine::pause();
  }
  GUEST_CHECK(machine::load_u64(Gpa(kRamKept) + 4088) == 0x5A5A'5A5A'5A5A'5A5A);
  // The intercept is about the page that is missing, not about the one that the access began in.
  const hv::MemoryIntercept intercept =
      take_payload<hv::MemoryIntercept>(hv::MessageType::kUnmappedGpa);
  GUEST_CHECK(Gpa(intercept.gpa).page() == child_maker::kHole.page());
  GUEST_CHECK(intercept.header.access == hv::InterceptAccess::kWrite);
  child_maker::map_hole(child);
  child_maker::set_register(child, 0, hv::RegisterName::kInterceptSuspend, 0);
  while (machine::load_u32(word) != 2) {
    machine::pause();
  }
  const Gpa hole_kept = child.memory + child.memory_pages * machine::kPageSize;
  GUEST_CHECK(machine::load_u64(hole_kept) == 0x7777'7777'7777'7777);
  GUEST_CHECK(machine::load_u64(child.memory + (child_maker::kHole.value() - 8)) ==
              0x7777'7777'7777'7777);
  child_maker::destroy(child);
  end(0);
}

}  // namespace

TEST_CASE("an access may begin in RAM and end in a device's page, or in one that is missing",
          "[hv][memory]") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const sim::RunResult result = run(world_with_child(root_of_the_crossing, crossing_child), seed);
    INFO("seed " << seed << " " << describe(result));
    REQUIRE(result.passed());
  }
}
