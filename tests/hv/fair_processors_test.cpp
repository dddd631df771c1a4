// Sixteen busy virtual processors on four logical ones, in the simulator: what each gets in a tenth
// of a second, by its partition's properties.
#include <catch2/catch.hpp>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::PartitionProperty;
using hv::Status;
using machine::Gpa;
namespace x86 = machine::x86;

constexpr std::uint32_t kVps = 16;
constexpr std::uint32_t kLps = 4;
constexpr std::uint64_t kTicksOf100Ms = 250'000'000;  // at 2.5 GHz, as worlds have it
constexpr std::uint8_t kTimerVector = 0x40;

/// A word for each virtual processor of the child: 10 us of work each.
constexpr Gpa kWork{0x40'6000};

[[noreturn]] void work(std::uint64_t vp) {
  for (std::uint32_t done = 1;; ++done) {
    machine::spend(10'000);
    machine::store_u32(kWork + vp * 8, done);
  }
}

void first_processor() {
  begin();
  work(0);
}

void other_processor() {
  enable_local_apic();
  work(machine::read_msr(x86::kX2ApicId));
}

void set_property(const child_maker::Child& child, PartitionProperty property,
                  std::uint64_t value) {
  hv::SetPartitionPropertyInput input;
  input.partition = child.id;
  input.property = property;
  input.value = value;
  GUEST_CHECK(call(HypercallControl(CallCode::kSetPartitionProperty), input).status() ==
              Status::kSuccess);
}

/// Sleeps until the local APIC's timer wakes it.
void sleep_until(std::uint64_t tsc) {
  machine::set_interrupt_handler(
      kTimerVector, [](const machine::InterruptFrame&) { machine::write_msr(x86::kX2ApicEoi, 0); });
  machine::write_msr(x86::kX2ApicLvtTimer, x86::kLvtTimerTscDeadline | kTimerVector);
  machine::write_msr(x86::kMsrTscDeadline, tsc);
  while (machine::read_tsc() < tsc) {
    machine::sti_hlt();
  }
}

child_maker::Child start_child() {
  begin();
  const child_maker::Child child = child_maker::make("child", kVps);
  for (std::uint32_t vp = 0; vp < kVps; ++vp) {
    child_maker::start(child, vp);
  }
  // All of them are under way.
  sleep_until(machine::read_tsc() + kTicksOf100Ms / 4);
  return child;
}

std::uint32_t work_of(const child_maker::Child& child, std::uint32_t vp) {
  return machine::load_u32(child.memory + kWork.value() + std::uint64_t{vp} * 8);
}

/// What each VP does in a tenth of a second is between a least and a most, in percent of a logical
/// processor.
void require_work(const child_maker::Child& child, std::uint32_t least_percent,
                  std::uint32_t most_percent) {
  constexpr std::uint32_t kWorkOf100Ms = 10'000;
  std::uint32_t before[kVps] = {};
  const std::uint64_t begun = machine::read_tsc();
  for (std::uint32_t vp = 0; vp < kVps; ++vp) {
    before[vp] = work_of(child, vp);
  }
  sleep_until(begun + kTicksOf100Ms);
  for (std::uint32_t vp = 0; vp < kVps; ++vp) {
    const std::uint32_t done = work_of(child, vp) - before[vp];
    GUEST_CHECK(done * 100 >= kWorkOf100Ms * least_percent);
    GUEST_CHECK(done * 100 <= kWorkOf100Ms * most_percent);
  }
}

/// A quarter of a processor each, within 5 % of it.
void root_of_equals() {
  const child_maker::Child child = start_child();
  constexpr std::uint32_t kWorkOf100Ms = 10'000;
  std::uint32_t before[kVps] = {};
  for (std::uint32_t vp = 0; vp < kVps; ++vp) {
    before[vp] = work_of(child, vp);
  }
  sleep_until(machine::read_tsc() + kTicksOf100Ms);
  for (std::uint32_t vp = 0; vp < kVps; ++vp) {
    const std::uint32_t done = work_of(child, vp) - before[vp];
    GUEST_CHECK(done >= kWorkOf100Ms / 4 * 95 / 100);
    GUEST_CHECK(done <= kWorkOf100Ms / 4 * 105 / 100);
  }
  child_maker::destroy(child);
  end(0);
}

void root_of_capped() {
  const child_maker::Child child = start_child();
  set_property(child, PartitionProperty::kCpuCap, 0x10000 / 10);
  require_work(child, 9, 11);
  set_property(child, PartitionProperty::kCpuCap, 0x10000);
  require_work(child, 23, 27);
  child_maker::destroy(child);
  end(0);
}

void bind(const child_maker::Child& child, std::uint32_t vp, std::uint64_t processors) {
  const hv::SetPartitionPropertyExInput input{child.id, PartitionProperty::kVpSchedulingAffinity, 0,
                                              vp, 0};
  const hv::ProcessorSetValue value{hv::ProcessorSetValue::kSparse, 1, processors};
  machine::write_memory(kInputPage + sizeof(input), std::as_bytes(std::span(&value, 1)));
  GUEST_CHECK(
      call(HypercallControl(CallCode::kSetPartitionPropertyEx).with_variable_header(3), input)
          .status() == Status::kSuccess);
}

/// The first two have a processor each, four share one, and ten the last: each its part of that.
void root_of_bound() {
  const child_maker::Child child = start_child();
  const auto processor_of = [](std::uint32_t vp) { return vp < 2 ? vp : (vp < 6 ? 2u : 3u); };
  for (std::uint32_t vp = 0; vp < kVps; ++vp) {
    bind(child, vp, 1ull << processor_of(vp));
  }
  sleep_until(machine::read_tsc() + kTicksOf100Ms / 4);
  std::uint32_t before[kVps] = {};
  for (std::uint32_t vp = 0; vp < kVps; ++vp) {
    before[vp] = work_of(child, vp);
  }
  sleep_until(machine::read_tsc() + kTicksOf100Ms);
  constexpr std::uint32_t kWorkOf100Ms = 10'000;
  constexpr std::uint32_t kSharing[kLps] = {1, 1, 4, 10};
  for (std::uint32_t vp = 0; vp < kVps; ++vp) {
    const std::uint32_t done = work_of(child, vp) - before[vp];
    const std::uint32_t part = kWorkOf100Ms / kSharing[processor_of(vp)];
    GUEST_CHECK(done * 100 >= part * 90);
    GUEST_CHECK(done * 100 <= part * 110);
  }
  child_maker::destroy(child);
  end(0);
}

sim::WorldConfiguration world_of_sixteen(void (*root)()) {
  sim::WorldConfiguration configuration =
      world_with_child(root, first_processor, other_processor, kLps);
  configuration.guests.back().max_processors = kVps;
  // What a processor loses for itself counts as its virtual processor's.
  configuration.stall_interval_ns = 0;
  return configuration;
}

void require_pass(void (*root)()) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const sim::RunResult result = run(world_of_sixteen(root), seed);
    INFO("seed " << seed << " " << describe(result));
    REQUIRE(result.passed());
  }
}

}  // namespace

TEST_CASE("sixteen busy virtual processors on four logical ones get the same within 5 %",
          "[hv][scheduler]") {
  require_pass(root_of_equals);
}

TEST_CASE("virtual processors get no more than their partition's cap, and all when it is lifted",
          "[hv][scheduler]") {
  require_pass(root_of_capped);
}

TEST_CASE("virtual processors that are bound share the logical processors that they are bound to",
          "[hv][scheduler]") {
  require_pass(root_of_bound);
}
