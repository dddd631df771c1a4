// A guest resets its partition through the MSR, on the whole hypervisor in the simulator.
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <span>

#include "hv/hypervisor_limits.h"
#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using child_maker::Child;
using child_maker::kSharedWord;
using hv::CallCode;
using hv::HypercallControl;
using hv::RegisterName;
using hv::Status;
using machine::Gpa;

constexpr std::uint8_t kVector = 0x33;
/// Enabled, at an address of its own.
constexpr std::uint64_t kAssistPage = 0x40'9000 | 1;
constexpr std::uint64_t kResetVector = 0xFFFF'FFF0;

void acknowledge(const machine::InterruptFrame&) {
  machine::write_msr(machine::x86::kX2ApicEoi, 0);
}

std::uint64_t register_of(const Child& child, std::uint32_t vp, RegisterName name) {
  hv::VpRegistersInput header;
  header.partition = child.id;
  header.vp = hv::VpIndex{vp};
  const std::array<RegisterName, 1> names{name};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const RegisterName>(names))
                  .status() == Status::kSuccess);
  return output<hv::RegisterValue>().low;
}

/// The memory intercept of VP 0 at its reset vector, where the child has nothing.
void take_fetch_at_reset_vector() {
  const Gpa slot = kMessagePage;
  while (machine::load_u32(slot) == 0) {
    machine::sti_hlt();
  }
  hv::Message message;
  machine::read_memory(slot, std::as_writable_bytes(std::span(&message, 1)));
  GUEST_CHECK(message.header.type == hv::MessageType::kUnmappedGpa);
  hv::MemoryIntercept intercept;
  std::memcpy(&intercept, message.payload.data(), sizeof(intercept));
  GUEST_CHECK(intercept.header.vp == hv::VpIndex{0});
  GUEST_CHECK(intercept.gpa == kResetVector);
  machine::store_u32(slot, 0);
  machine::fence();
  machine::write_msr(hv::kMsrEom, 0);
}

std::uint64_t word_of(const Child& child) {
  return machine::load_u64(child.memory + kSharedWord.value());
}

void check_registers(const Child& child, std::uint32_t vps) {
  GUEST_CHECK(register_of(child, 0, RegisterName::kGuestOsId) == 0);
  GUEST_CHECK(register_of(child, 0, RegisterName::kHypercall) == 0);
  GUEST_CHECK(register_of(child, 0, RegisterName::kReferenceTsc) == 0);
  GUEST_CHECK(register_of(child, 0, RegisterName::kCrashP0) == 0);
  GUEST_CHECK(register_of(child, 0, RegisterName::kCrashCtl) == 0);
  GUEST_CHECK(register_of(child, 0, RegisterName::kRip) == 0xFFF0);
  for (std::uint32_t vp = 0; vp < vps; ++vp) {
    GUEST_CHECK(register_of(child, vp, RegisterName::kVpAssistPage) == 0);
    GUEST_CHECK(register_of(child, vp, RegisterName::kMtrrPhysBase0) == 0);
    GUEST_CHECK(register_of(child, vp, RegisterName::kSimp) == 0);
    GUEST_CHECK(register_of(child, vp, RegisterName::kScontrol) == 0);
    GUEST_CHECK(register_of(child, vp, RegisterName::kStimer0Config) == 0);
    GUEST_CHECK(register_of(child, vp, RegisterName::kRax) == 0);
    const bool waits = (register_of(child, vp, RegisterName::kInternalActivityState) &
                        hv::kActivityStartupSuspend) != 0;
    GUEST_CHECK(waits == (vp != 0));
  }
}

void run_again(const Child& child) {
  child_maker::set_register(child, 0, RegisterName::kExplicitSuspend, 1);
  child_maker::set_register(child, 0, RegisterName::kInterceptSuspend, 0);
  child_maker::start(child, 0);
}

void turn_everything_on() {
  begin();
  machine::write_msr(hv::kMsrReferenceTsc,
                     hv::OverlayPageRegister(machine::Gpn(0x406), true).value());
  machine::write_msr(hv::kMsrCrashP0, 5);
  machine::write_msr(hv::kMsrCrashCtl, hv::kCrashNotify);
  machine::write_msr(hv::kMsrVpAssistPage, kAssistPage);
  machine::write_msr(hv::kMsrStimer0Config, hv::TimerConfig::kEnable | hv::TimerConfig::kDirect |
                                                hv::TimerConfig::kPeriodic | (0x50u << 4));
  machine::write_msr(hv::kMsrStimer0Count, 10'000);
}

/// Registers that the parent does not see.
constexpr std::uint32_t kGuestsOwn[] = {hv::kMsrReenlightenmentControl, hv::kMsrTscEmulationControl,
                                        hv::kMsrTscInvariantControl, hv::kMsrUnhaltedTimerConfig,
                                        hv::kMsrUnhaltedTimerCount};

void set_guests_own() {
  machine::store_u64(machine::Gpa(kAssistPage & ~1ull) + 8, ~0ull);
  for (const std::uint32_t msr : kGuestsOwn) {
    machine::write_msr(msr, 1);
    GUEST_CHECK(machine::read_msr(msr) == 1);
  }
}
void check_guests_own() {
  machine::write_msr(hv::kMsrVpAssistPage, kAssistPage);
  GUEST_CHECK(machine::load_u64(machine::Gpa(kAssistPage & ~1ull) + 8) == 0);
  machine::write_msr(hv::kMsrVpAssistPage, 0);
  for (const std::uint32_t msr : kGuestsOwn) {
    GUEST_CHECK(machine::read_msr(msr) == 0);
  }
}

/// For all of these registers.
void give_privileges(hv::PartitionId id) {
  constexpr std::uint64_t kReenlightenmentAndInvariantTsc = 1u << 13 | 1u << 15;
  const hv::SetPartitionPropertyInput input{
      id, hv::PartitionProperty::kPrivilegeFlags, 0,
      hv::kGuestPrivilegeBits | kReenlightenmentAndInvariantTsc};
  GUEST_CHECK(call(HypercallControl(CallCode::kSetPartitionProperty), input).status() ==
              Status::kSuccess);
}

/// Comes here twice; its memory stays.
void child_that_resets() {
  const std::uint64_t rounds = machine::load_u64(kSharedWord);
  if (rounds == 0) {
    machine::store_u64(kMessagePage, 0x1234);  // beneath the overlay
    turn_everything_on();
    set_guests_own();
    GUEST_CHECK(machine::load_u64(kMessagePage) == 0);
  } else {
    GUEST_CHECK(machine::read_msr(hv::kMsrGuestOsId) == 0);
    GUEST_CHECK(machine::load_u64(kMessagePage) == 0x1234);
    check_guests_own();
    GUEST_CHECK(machine::read_msr(hv::kMsrSint0 + 2) == hv::SintRegister::kReset);
    GUEST_CHECK(machine::read_msr(hv::kMsrTimeRefCount) > 0);
  }
  machine::store_u64(kSharedWord, rounds + 1);
  machine::write_msr(hv::kMsrReset, hv::kResetPartition);
  end(98);  // nobody comes back from there
}

void root_of_one() {
  begin();
  machine::set_interrupt_handler(kVector, acknowledge);
  machine::write_msr(hv::kMsrSint0, kVector);
  const Child child = child_maker::make("child", 1, give_privileges);
  child_maker::set_register(child, 0, RegisterName::kMtrrPhysBase0, 0x1000);
  child_maker::start(child, 0);
  take_fetch_at_reset_vector();
  GUEST_CHECK(word_of(child) == 1);
  check_registers(child, 1);
  run_again(child);
  take_fetch_at_reset_vector();
  GUEST_CHECK(word_of(child) == 2);
  child_maker::destroy(child);
  end(0);
}

/// The second processor resets the partition while the first runs.
void first_of_two() {
  turn_everything_on();
  machine::store_u64(kSharedWord, 1);
  for (;;) {
    machine::spend(1'000);
    machine::pause();
  }
}
void second_of_two() {
  machine::write_msr(hv::kMsrSimp, hv::OverlayPageRegister(machine::Gpn(0x407), true).value());
  while (machine::load_u64(kSharedWord) == 0) {
    machine::pause();
  }
  machine::write_msr(hv::kMsrReset, hv::kResetPartition);
  end(98);
}

void root_of_two() {
  begin();
  machine::set_interrupt_handler(kVector, acknowledge);
  machine::write_msr(hv::kMsrSint0, kVector);
  const Child child = child_maker::make("child", 2);
  child_maker::start(child, 0);
  child_maker::start(child, 1);
  take_fetch_at_reset_vector();
  check_registers(child, 2);
  child_maker::destroy(child);
  end(0);
}

void root_that_resets() {
  begin();
  machine::write_msr(hv::kMsrReset, hv::kResetPartition);
  end(97);
}

}  // namespace

TEST_CASE("a reset gives a partition back its state after power-up, and its memory stays",
          "[hv][reset]") {
  const sim::RunResult result = run(world_with_child(root_of_one, child_that_resets));
  INFO(describe(result));
  REQUIRE(result.passed());
}

TEST_CASE("a reset by any processor resets all of the partition", "[hv][reset]") {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    const sim::RunResult result =
        run(world_with_child(root_of_two, first_of_two, second_of_two, 3), seed);
    INFO(describe(result));
    REQUIRE(result.passed());
  }
}

TEST_CASE("the root's reset ends the run in order", "[hv][reset]") {
  const sim::RunResult result = run(world(root_that_resets));
  INFO(describe(result));
  REQUIRE(result.passed());
}
