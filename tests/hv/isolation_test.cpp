// What one partition must not reach, on the whole hypervisor in the simulator.
#include <array>
#include <catch2/catch.hpp>
#include <span>

#include "hv/intercept.h"
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

constexpr std::uint64_t kMega = 1ull << 20;
constexpr std::uint64_t kMemoryBytes = 256 * kMega;

void counting_child() {
  begin();
  for (std::uint32_t count = 1;; ++count) {
    machine::store_u32(child_maker::kHole, count);
  }
}

void wait_a_millisecond() {
  const std::uint64_t until = machine::read_msr(hv::kMsrTimeRefCount) + 10'000;
  while (machine::read_msr(hv::kMsrTimeRefCount) < until) {
    machine::pause();
  }
}

void root_that_takes_a_page_away() {
  begin();
  machine::set_interrupt_handler(0x30, [](const machine::InterruptFrame&) {
    machine::write_msr(machine::x86::kX2ApicEoi, 0);
  });
  machine::write_msr(hv::kMsrSint0, 0x30);
  child_maker::Child child = child_maker::make("child");
  child_maker::map_hole(child);
  const machine::Gpa page = child.memory + child.memory_pages * machine::kPageSize;
  machine::store_u32(page, 0);
  child_maker::start(child, 0);
  while (machine::load_u32(page) < 100) {
    machine::pause();
  }
  const hv::UnmapGpaPagesInput input{child.id, child_maker::kHole.page(), 0, 0};
  GUEST_CHECK(call(HypercallControl(CallCode::kUnmapGpaPages).with_reps(1), input).status() ==
              Status::kSuccess);
  const std::uint32_t before = machine::load_u32(page);
  wait_a_millisecond();
  GUEST_CHECK(machine::load_u32(page) == before);
  GUEST_CHECK(take_message().header.type == hv::MessageType::kUnmappedGpa);
  child_maker::destroy(child);
  end(0);
}

/// Takes the right to write away and gives it back, again and again.
void root_that_takes_a_right_away() {
  begin();
  machine::set_interrupt_handler(0x30, [](const machine::InterruptFrame&) {
    machine::write_msr(machine::x86::kX2ApicEoi, 0);
  });
  machine::write_msr(hv::kMsrSint0, 0x30);
  const child_maker::Child child = child_maker::make("child");
  child_maker::map_hole(child);
  const machine::Gpa page = child.memory + child.memory_pages * machine::kPageSize;
  machine::store_u32(page, 0);
  child_maker::start(child, 0);
  const auto modify = [&](std::uint32_t flags) {
    const std::array<machine::Gpn, 1> pages{child_maker::kHole.page()};
    return call(HypercallControl(CallCode::kModifySparseGpaPages),
                hv::SparseGpaPagesInput{child.id, flags, 0}, std::span<const machine::Gpn>(pages))
        .status();
  };
  for (std::uint32_t round = 0; round < 5; ++round) {
    const std::uint32_t begun = machine::load_u32(page);
    while (machine::load_u32(page) < begun + 20) {
      machine::pause();
    }
    GUEST_CHECK(modify(hv::kMapRead) == Status::kSuccess);
    const std::uint32_t before = machine::load_u32(page);
    wait_a_millisecond();
    GUEST_CHECK(machine::load_u32(page) == before);
    GUEST_CHECK(take_message().header.type == hv::MessageType::kGpaIntercept);
    GUEST_CHECK(modify(hv::kMapRead | hv::kMapWrite) == Status::kSuccess);
    child_maker::set_register(child, 0, hv::RegisterName::kInterceptSuspend, 0);
  }
  child_maker::destroy(child);
  end(0);
}

void root_that_reads_the_hypervisor() {
  begin();
  static_cast<void>(machine::load_u32(machine::Gpa(kMemoryBytes - kMega)));
  end(0);
}

void root_that_reads_what_it_deposited() {
  begin();
  const child_maker::Child child = child_maker::make("child");
  static_cast<void>(machine::load_u32(machine::Gpa(0x600'0000)));
  static_cast<void>(child);
  end(0);
}

/// Everything that a child may not do, tried by a child.
void presumptuous_child() {
  begin();
  const auto denied = [](CallCode code) {
    return call(HypercallControl(code), hv::PartitionInput{hv::kPartitionIdSelf}).status() ==
           Status::kAccessDenied;
  };
  GUEST_CHECK(denied(CallCode::kFinalizePartition));
  GUEST_CHECK(denied(CallCode::kInitializePartition));
  GUEST_CHECK(
      call(HypercallControl(CallCode::kCreatePartition), hv::CreatePartitionInput{}).status() ==
      Status::kAccessDenied);
  const std::uint64_t sleep = HypercallControl(CallCode::kEnterSleepState).fast().value();
  GUEST_CHECK(machine::hypercall(kHypercallPage, sleep, 5, 0) ==
              static_cast<std::uint64_t>(Status::kAccessDenied));
  GUEST_CHECK(!machine::try_read_msr(0x1234).has_value());
  GUEST_CHECK(!machine::try_write_msr(hv::kMsrTimeRefCount, 1).has_value());
  GUEST_CHECK(machine::in_u32(0xCF8) == 0xFFFF'FFFF);
  machine::store_u32(child_maker::kSharedWord, 1);
  machine::sti_hlt();
}

void root_of_the_presumptuous() {
  begin();
  child_maker::Child child = child_maker::make("child");
  child_maker::start(child, 0);
  const machine::Gpa word = child.memory + child_maker::kSharedWord.value();
  while (machine::load_u32(word) == 0) {
    machine::pause();
  }
  child_maker::destroy(child);
  end(0);
}

sim::RunResult run_pair(void (*root)(), void (*child)(), std::uint64_t seed = 1) {
  sim::WorldConfiguration configuration = world_with_child(root, child);
  configuration.memory_bytes = kMemoryBytes;
  return run(configuration, seed);
}

}  // namespace

TEST_CASE("no access outlives the return of UnmapGpaPages", "[hv][isolation]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const sim::RunResult result = run_pair(root_that_takes_a_page_away, counting_child, seed);
    INFO("seed " << seed << ": " << describe(result));
    REQUIRE(result.passed());
  }
}

TEST_CASE("no write outlives the return of ModifySparseGpaPages", "[hv][isolation]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const sim::RunResult result = run_pair(root_that_takes_a_right_away, counting_child, seed);
    INFO("seed " << seed << ": " << describe(result));
    REQUIRE(result.passed());
  }
}

TEST_CASE("the root reaches neither the hypervisor's pages nor what it deposited",
          "[hv][isolation]") {
  for (void (*root)() : {root_that_reads_the_hypervisor, root_that_reads_what_it_deposited}) {
    const sim::RunResult result = run_pair(root, counting_child);
    INFO(describe(result));
    CHECK(result.outcome == sim::Outcome::kStopped);
    CHECK(result.stop_code == hv::kStopRootCrashed);
  }
}

TEST_CASE("a child is refused what only its parent may do", "[hv][isolation]") {
  const sim::RunResult result = run_pair(root_of_the_presumptuous, presumptuous_child);
  INFO(describe(result));
  CHECK(result.passed());
}
