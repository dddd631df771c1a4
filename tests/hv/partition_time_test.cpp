// A partition's reference time and its run, as its parent holds and lets go of them, on the whole
// hypervisor in the simulator.
#include <array>
#include <catch2/catch.hpp>
#include <span>

#include "hv/timer/reference_time.h"
#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using child_maker::Child;
using child_maker::kSharedWord;
using hv::CallCode;
using hv::HypercallControl;
using hv::PartitionProperty;
using hv::RegisterName;
using hv::Status;
using machine::Gpa;

constexpr Gpa kTscPage{0x40'6000};
constexpr Gpa kTurns = kSharedWord + 8;
constexpr Gpa kPageWasValid = kSharedWord + 16;
constexpr std::uint16_t kPmPort = 0x608;
constexpr std::uint64_t kMillisecondNs = 1'000'000;

/// The time as an enlightened guest reads it.
std::uint64_t read_time(bool& from_page) {
  for (;;) {
    const std::uint32_t sequence = machine::load_u32(kTscPage);
    from_page = sequence != hv::kReferenceTscSequenceInvalid;
    if (!from_page) {
      return machine::read_msr(hv::kMsrTimeRefCount);
    }
    const std::uint64_t scale = machine::load_u64(kTscPage + 8);
    const std::uint64_t offset = machine::load_u64(kTscPage + 16);
    const std::uint64_t tsc = machine::read_tsc();
    if (machine::load_u32(kTscPage) == sequence) {
      return hv::reference_time(tsc, scale, offset);
    }
  }
}

/// Tells the time for ever. Page and MSR never go back behind each other.
void child_that_tells_time() {
  machine::write_msr(hv::kMsrReferenceTsc, hv::OverlayPageRegister(kTscPage.page(), true).value());
  std::uint64_t last = 0;
  for (std::uint64_t turn = 1;; ++turn) {
    bool from_page = false;
    const std::uint64_t time = read_time(from_page);
    const std::uint64_t counter = machine::read_msr(hv::kMsrTimeRefCount);
    GUEST_CHECK(time >= last && counter >= time);
    last = counter;
    machine::store_u64(kSharedWord, counter);
    machine::store_u64(kPageWasValid, from_page ? 1 : 0);
    machine::store_u64(kTurns, turn);
    machine::spend(2'000);
  }
}

std::uint64_t word_of(const Child& child, Gpa where) {
  return machine::load_u64(child.memory + where.value());
}

void set_property(const Child& child, PartitionProperty property, std::uint64_t value) {
  const hv::SetPartitionPropertyInput input{child.id, property, 0, value};
  GUEST_CHECK(call(HypercallControl(CallCode::kSetPartitionProperty), input).status() ==
              Status::kSuccess);
}

std::uint64_t time_of(const Child& child) {
  const hv::GetPartitionPropertyInput input{child.id, PartitionProperty::kReferenceTime, 0};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetPartitionProperty), input).status() ==
              Status::kSuccess);
  return output<hv::GetPartitionPropertyOutput>().value;
}

void wait_for_turns(const Child& child, std::uint64_t count) {
  const std::uint64_t before = word_of(child, kTurns);
  while (word_of(child, kTurns) < before + count) {
    machine::spend(1'000);
    machine::pause();
  }
}

Child running_child() {
  begin();
  const Child child = child_maker::make("child");
  GUEST_CHECK(time_of(child) == 0);
  machine::spend(kMillisecondNs);
  GUEST_CHECK(time_of(child) == 0);  // no VP of it may run
  child_maker::start(child, 0);
  wait_for_turns(child, 5);
  GUEST_CHECK(time_of(child) > 0);
  return child;
}

void freeze_and_set() {
  const Child child = running_child();
  set_property(child, PartitionProperty::kTimeFreeze, 1);
  const std::uint64_t frozen = time_of(child);
  wait_for_turns(child, 5);
  GUEST_CHECK(word_of(child, kSharedWord) == frozen);
  GUEST_CHECK(word_of(child, kPageWasValid) == 0);
  GUEST_CHECK(time_of(child) == frozen);
  constexpr std::uint64_t kHour = 36'000'000'000;
  set_property(child, PartitionProperty::kReferenceTime, frozen + kHour);
  wait_for_turns(child, 5);
  GUEST_CHECK(word_of(child, kSharedWord) == frozen + kHour);
  set_property(child, PartitionProperty::kTimeFreeze, 0);
  wait_for_turns(child, 5);
  GUEST_CHECK(word_of(child, kPageWasValid) == 1);
  const std::uint64_t later = word_of(child, kSharedWord);
  GUEST_CHECK(later > frozen + kHour && later < frozen + kHour + 10'000'000);
  child_maker::destroy(child);
  end(0);
}

void suspend_and_let_go() {
  const Child child = running_child();
  set_property(child, PartitionProperty::kSuspend, 1);
  const std::uint64_t stands = time_of(child);
  const std::uint64_t turns = word_of(child, kTurns);
  machine::spend(kMillisecondNs);
  GUEST_CHECK(word_of(child, kTurns) == turns);
  GUEST_CHECK(time_of(child) == stands);
  set_property(child, PartitionProperty::kSuspend, 0);
  wait_for_turns(child, 5);
  GUEST_CHECK(time_of(child) > stands);
  child_maker::destroy(child);
  end(0);
}

void suspend_every_vp() {
  const Child child = running_child();
  child_maker::set_register(child, 0, RegisterName::kExplicitSuspend, 1);
  const std::uint64_t stands = time_of(child);
  machine::spend(kMillisecondNs);
  GUEST_CHECK(time_of(child) == stands);
  child_maker::set_register(child, 0, RegisterName::kExplicitSuspend, 0);
  wait_for_turns(child, 5);
  GUEST_CHECK(time_of(child) > stands && time_of(child) < stands + 20'000);
  child_maker::destroy(child);
  end(0);
}

// --- The power management timer --------------------------------------------

void child_that_reads_the_timer() {
  const hv::PmTimerAssist assist(kPmPort | hv::PmTimerAssist::kEnabled);
  const std::uint32_t before = assist.counter_at(machine::read_msr(hv::kMsrTimeRefCount));
  const std::uint32_t counter = machine::in_u32(kPmPort);
  const std::uint32_t after = assist.counter_at(machine::read_msr(hv::kMsrTimeRefCount));
  GUEST_CHECK(before <= counter && counter <= after);
  GUEST_CHECK(machine::in_u32(kPmPort + 4) == ~0u);  // nobody's
  machine::store_u64(kTurns, 1);
  for (;;) {
    machine::sti_hlt();
  }
}

void root_with_timer() {
  begin();
  const Child child = child_maker::make("child");
  set_property(child, PartitionProperty::kPmTimerAssist, kPmPort | hv::PmTimerAssist::kEnabled);
  child_maker::start(child, 0);
  while (word_of(child, kTurns) == 0) {
    machine::spend(1'000);
    machine::pause();
  }
  child_maker::destroy(child);
  end(0);
}

void require_pass(void (*root)(), void (*child)()) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const sim::RunResult result = run(world_with_child(root, child), seed);
    INFO(describe(result));
    REQUIRE(result.passed());
  }
}

}  // namespace

TEST_CASE("time that the parent freezes stands, is set, and runs on without going back",
          "[hv][time]") {
  require_pass(freeze_and_set, child_that_tells_time);
}
TEST_CASE("a suspended partition does not run, and its time stands", "[hv][time]") {
  require_pass(suspend_and_let_go, child_that_tells_time);
}
TEST_CASE("time runs only while a virtual processor is not explicitly suspended", "[hv][time]") {
  require_pass(suspend_every_vp, child_that_tells_time);
}
TEST_CASE("the hypervisor answers reads of the power management timer", "[hv][time]") {
  require_pass(root_with_timer, child_that_reads_the_timer);
}
TEST_CASE("the power management timer's counter has the width that it was given", "[hv][time]") {
  constexpr std::uint64_t kSecond = 10'000'000;
  const hv::PmTimerAssist wide(hv::PmTimerAssist::kEnabled | kPmPort);
  const hv::PmTimerAssist narrow(hv::PmTimerAssist::kEnabled | hv::PmTimerAssist::kWidth24 |
                                 kPmPort);
  CHECK(wide.counter_at(kSecond) == 3'579'545);
  CHECK(wide.counter_at(10 * kSecond) == 35'795'450);
  CHECK(narrow.counter_at(10 * kSecond) == (35'795'450 & 0xFF'FFFF));
  CHECK(wide.counter_at(2'000 * kSecond) == static_cast<std::uint32_t>(7'159'090'000));
  CHECK(narrow.answers(kPmPort));
  CHECK_FALSE(narrow.answers(kPmPort + 1));
  CHECK_FALSE(hv::PmTimerAssist(kPmPort).answers(kPmPort));
}
