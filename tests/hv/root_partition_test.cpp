// The root partition on the whole hypervisor, in the simulator: the test is the guest.
#include <catch2/catch.hpp>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::Status;

void count_interrupt(const machine::InterruptFrame&) {
  auto* count = reinterpret_cast<machine::Shared<std::uint32_t>*>(machine::arena().data());
  count->fetch_add(1);
  machine::write_msr(machine::x86::kX2ApicEoi, 0);
}

machine::Shared<std::uint32_t>& new_counter() {
  return *new (machine::arena().data()) machine::Shared<std::uint32_t>(0);
}

void discover() {
  begin();
  const machine::CpuidResult vendor = machine::cpuid(hv::kCpuidVendor, 0);
  GUEST_CHECK(vendor.ebx == hv::kVendorEbx && vendor.ecx == hv::kVendorEcx);
  const machine::CpuidResult features = machine::cpuid(hv::kCpuidFeatures, 0);
  GUEST_CHECK((features.ebx & (1u << 12)) != 0);  // CpuManagement: the root
  GUEST_CHECK((machine::cpuid(1, 0).ecx & hv::kCpuidHypervisorPresent) != 0);
  GUEST_CHECK(call(HypercallControl(CallCode::kGetPartitionId)).status() == Status::kSuccess);
  GUEST_CHECK(output<hv::PartitionIdOutput>().partition == hv::kPartitionIdRoot);
  GUEST_CHECK(call(HypercallControl(0x7777)).status() == Status::kInvalidHypercallCode);
  end(0);
}

void use_timer() {
  begin();
  machine::Shared<std::uint32_t>& count = new_counter();
  machine::set_interrupt_handler(0x50, count_interrupt);
  machine::write_msr(hv::kMsrStimer0Config,
                     hv::TimerConfig::direct(0x50, hv::TimerConfig::kAutoEnable).value);
  const std::uint64_t now = machine::read_msr(hv::kMsrTimeRefCount);
  machine::write_msr(hv::kMsrStimer0Count, now + 10'000);
  while (count.load() == 0) {
    machine::sti_hlt();
  }
  GUEST_CHECK(machine::read_msr(hv::kMsrTimeRefCount) >= now + 10'000);
  // A busy guest with interrupts enabled is interrupted, too.
  machine::enable_interrupts();
  machine::write_msr(hv::kMsrStimer0Count, now + 30'000);
  while (count.load() == 1) {
    machine::spend(1000);
    machine::pause();
  }
  GUEST_CHECK(machine::read_msr(hv::kMsrTimeRefCount) >= now + 30'000);
  end(0);
}

void interrupt_itself() {
  begin();
  machine::Shared<std::uint32_t>& count = new_counter();
  machine::set_interrupt_handler(0x51, count_interrupt);
  machine::write_msr(machine::x86::kX2ApicSelfIpi, 0x51);
  GUEST_CHECK(count.load() == 0);
  machine::enable_interrupts();
  GUEST_CHECK(count.load() == 1);
  GUEST_CHECK(
      machine::hypercall(kHypercallPage,
                         HypercallControl(CallCode::kSendSyntheticClusterIpi).fast().value(), 0x51,
                         1) == 0);
  GUEST_CHECK(count.load() == 2);
  end(0);
}

void interrupt_what_is_disabled() {
  begin();
  machine::Shared<std::uint32_t>& count = new_counter();
  machine::set_interrupt_handler(machine::x86::kVectorNmi, [](const machine::InterruptFrame&) {
    auto* counter = reinterpret_cast<machine::Shared<std::uint32_t>*>(machine::arena().data());
    counter->fetch_add(1);
  });
  constexpr std::uint64_t kNmiToSelf = 4u << 8;  // by its id: a shorthand would be invalid
  machine::write_msr(machine::x86::kX2ApicIcr, kNmiToSelf);
  while (count.load() == 0) {
    machine::pause();
  }
  // Interrupts stay disabled; one of low priority waits for the task priority to fall, too.
  machine::set_interrupt_handler(0x51, count_interrupt);
  machine::write_msr(machine::x86::kX2ApicTpr, 0x60);
  machine::write_msr(machine::x86::kX2ApicSelfIpi, 0x51);
  machine::enable_interrupts();
  GUEST_CHECK(count.load() == 1);
  machine::write_msr(machine::x86::kX2ApicTpr, 0);
  GUEST_CHECK(count.load() == 2);
  end(0);
}

}  // namespace

TEST_CASE("an NMI does not ask whether interrupts are enabled, a task priority does hold",
          "[hv][apic]") {
  const sim::RunResult result = run(world(interrupt_what_is_disabled));
  INFO(result.error << (result.violations.empty() ? "" : result.violations[0].message));
  CHECK(result.passed());
}

TEST_CASE("the root finds the interface and makes hypercalls", "[hv][root]") {
  for (const std::uint32_t processors : {1u, 2u}) {
    const sim::RunResult result = run(world(discover, processors));
    INFO(result.error << (result.violations.empty() ? "" : result.violations[0].message));
    CHECK(result.passed());
  }
}

TEST_CASE("a synthetic timer interrupts a sleeping and a busy guest in time", "[hv][timer]") {
  for (const std::uint32_t processors : {1u, 2u}) {
    const sim::RunResult result = run(world(use_timer, processors));
    INFO(result.error << (result.violations.empty() ? "" : result.violations[0].message));
    CHECK(result.passed());
  }
}

TEST_CASE("an interrupt to oneself waits until interrupts are enabled", "[hv][apic]") {
  const sim::RunResult result = run(world(interrupt_itself));
  INFO(result.error << (result.violations.empty() ? "" : result.violations[0].message));
  CHECK(result.passed());
}

TEST_CASE("a computer with more processors than the hypervisor's tables hold is refused at boot",
          "[hv][root]") {
  CHECK(run(world(discover, 64)).passed());
  const sim::RunResult refused = run(world(discover, 65));
  REQUIRE(refused.violations.size() == 1);
  CHECK(refused.violations[0].property == "invariant");
  CHECK_THAT(refused.violations[0].message, Catch::Contains("kMaxLogicalProcessors"));
}
