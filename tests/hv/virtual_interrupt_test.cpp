// Interrupts that a parent asserts, as an emulated IOAPIC and PIC in the root do (TLFS "Virtual
// Interrupt Control"), on the whole hypervisor in the simulator.
#include <catch2/catch.hpp>

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
using hv::VirtualInterruptType;
using machine::Gpa;
using Input = hv::AssertVirtualInterruptInput;

constexpr std::uint8_t kLine = 0x41;
constexpr std::uint8_t kOtherLine = 0x91;
constexpr std::uint8_t kExternal = 0x35;
/// The child's words: how often each came, and where it is.
constexpr Gpa kLineCount{0x40'5008};
constexpr Gpa kOtherCount{0x40'5010};
constexpr Gpa kExternalCount{0x40'5018};
constexpr Gpa kStep = child_maker::kSharedWord;

void count_in(Gpa word) { machine::store_u32(word, machine::load_u32(word) + 1); }

void on_line(const machine::InterruptFrame&) {
  count_in(kLineCount);
  machine::write_msr(machine::x86::kX2ApicEoi, 0);
}
void on_other(const machine::InterruptFrame&) {
  count_in(kOtherCount);
  machine::write_msr(machine::x86::kX2ApicEoi, 0);
}
void on_external(const machine::InterruptFrame&) { count_in(kExternalCount); }

/// Waits with interrupts enabled until the root goes on.
void enabled_until(std::uint32_t step) {
  machine::enable_interrupts();
  while (machine::load_u32(kStep) != step) {
    machine::pause();
  }
  static_cast<void>(machine::disable_interrupts());
}

void disabled_until(std::uint32_t step) {
  while (machine::load_u32(kStep) != step) {
    machine::pause();
  }
}

void child() {
  begin();
  static_cast<void>(machine::disable_interrupts());
  machine::set_interrupt_handler(kLine, on_line);
  machine::set_interrupt_handler(kOtherLine, on_other);
  machine::set_interrupt_handler(kExternal, on_external);
  machine::store_u32(kStep, 1);
  enabled_until(2);
  machine::store_u32(kStep, 3);
  disabled_until(4);
  enabled_until(5);
  machine::write_msr(machine::x86::kX2ApicSvr, 0xFF);  // disabled, which an ExtINT does not mind
  machine::store_u32(kStep, 6);
  enabled_until(7);
  machine::sti_hlt();
  end(99);
}

class Asserter {
 public:
  explicit Asserter(hv::PartitionId child) { input_.partition = child; }
  [[nodiscard]] Status level(VirtualInterruptType type, std::uint32_t vector) {
    return send(type, vector, Input::kLevel);
  }
  [[nodiscard]] Status edge(VirtualInterruptType type, std::uint32_t vector) {
    return send(type, vector, 0);
  }
  [[nodiscard]] Status to(std::uint64_t destination, VirtualInterruptType type) {
    Input input = input_;
    input.control = static_cast<std::uint64_t>(type);
    input.destination = destination;
    input.vector = kLine;
    return call(HypercallControl(CallCode::kAssertVirtualInterrupt), input).status();
  }
  [[nodiscard]] Status clear() {
    return call(HypercallControl(CallCode::kClearVirtualInterrupt),
                hv::PartitionInput{input_.partition})
        .status();
  }

 private:
  Status send(VirtualInterruptType type, std::uint32_t vector, std::uint64_t flags) {
    Input input = input_;
    input.control = static_cast<std::uint64_t>(type) | flags;
    input.vector = vector;
    return call(HypercallControl(CallCode::kAssertVirtualInterrupt), input).status();
  }
  Input input_;
};

std::uint32_t take_end_of_interrupt() {
  const auto ended = take_payload<hv::ApicEoiMessage>(hv::MessageType::kX64ApicEoi);
  GUEST_CHECK(ended.vp == hv::VpIndex{0});
  return ended.vector;
}

void root() {
  begin();
  machine::set_interrupt_handler(0x30, [](const machine::InterruptFrame&) {
    machine::write_msr(machine::x86::kX2ApicEoi, 0);
  });
  machine::write_msr(hv::kMsrSint0, 0x30);
  const child_maker::Child made = child_maker::make("child");
  child_maker::start(made, 0);
  const auto word = [&](Gpa at) { return machine::load_u32(made.memory + at.value()); };
  const auto await = [&](Gpa at, std::uint32_t value) {
    while (word(at) != value) {
      machine::pause();
    }
  };
  const auto go_on = [&](std::uint32_t step) {
    machine::store_u32(made.memory + kStep.value(), step);
  };
  Asserter line(made.id);
  await(kStep, 1);
  // Level: each end comes back, the child runs on, and the line may be raised again.
  for (std::uint32_t times = 1; times <= 3; ++times) {
    GUEST_CHECK(line.level(VirtualInterruptType::kFixed, kLine) == Status::kSuccess);
    GUEST_CHECK(take_end_of_interrupt() == kLine);
    GUEST_CHECK(word(kLineCount) == times);
  }
  // Edge: nothing comes back.
  GUEST_CHECK(line.edge(VirtualInterruptType::kFixed, kOtherLine) == Status::kSuccess);
  await(kOtherCount, 1);
  GUEST_CHECK(machine::load_u32(kMessagePage) == 0);
  go_on(2);
  // What was not acknowledged is taken back; an edge stays.
  await(kStep, 3);
  GUEST_CHECK(line.level(VirtualInterruptType::kFixed, kLine) == Status::kSuccess);
  GUEST_CHECK(line.edge(VirtualInterruptType::kLowestPriority, kOtherLine) == Status::kSuccess);
  GUEST_CHECK(line.level(VirtualInterruptType::kExtInt, kExternal) == Status::kSuccess);
  GUEST_CHECK(line.level(VirtualInterruptType::kFixed, Input::kDeassert) == Status::kSuccess);
  GUEST_CHECK(line.level(VirtualInterruptType::kExtInt, Input::kDeassert) == Status::kSuccess);
  go_on(4);
  await(kOtherCount, 2);
  GUEST_CHECK(word(kLineCount) == 3);
  GUEST_CHECK(word(kExternalCount) == 0);
  GUEST_CHECK(line.clear() == Status::kNotAcknowledged);
  go_on(5);
  await(kStep, 6);
  // An external interrupt comes without the APIC, once until it is cleared.
  GUEST_CHECK(line.edge(VirtualInterruptType::kExtInt, kExternal) == Status::kSuccess);
  await(kExternalCount, 1);
  GUEST_CHECK(line.edge(VirtualInterruptType::kExtInt, kExternal) == Status::kAcknowledged);
  GUEST_CHECK(line.clear() == Status::kSuccess);
  GUEST_CHECK(line.clear() == Status::kNotAcknowledged);
  GUEST_CHECK(line.edge(VirtualInterruptType::kExtInt, kExternal) == Status::kSuccess);
  await(kExternalCount, 2);
  go_on(7);
  child_maker::destroy(made);
  GUEST_CHECK(machine::load_u32(kMessagePage) == 0);
  end(0);
}

void root_with_bad_requests() {
  begin();
  const child_maker::Child made = child_maker::make("child");
  Asserter line(made.id);
  constexpr Status kBad = Status::kInvalidParameter;
  GUEST_CHECK(line.level(VirtualInterruptType::kNmi, 0) == kBad);
  GUEST_CHECK(line.level(VirtualInterruptType::kInit, 0) == kBad);
  GUEST_CHECK(line.level(VirtualInterruptType::kSipi, 8) == kBad);
  GUEST_CHECK(line.edge(VirtualInterruptType::kNmi, 2) == kBad);
  GUEST_CHECK(line.edge(VirtualInterruptType::kFixed, 15) == kBad);
  GUEST_CHECK(line.edge(VirtualInterruptType::kFixed, Input::kDeassert) == kBad);
  GUEST_CHECK(line.edge(VirtualInterruptType::kExtInt, 0x100) == kBad);
  for (const auto type :
       {VirtualInterruptType::kSmi, VirtualInterruptType::kRemoteRead, VirtualInterruptType{10}}) {
    GUEST_CHECK(line.edge(type, 0) == kBad);
  }
  GUEST_CHECK(line.to(1, VirtualInterruptType::kFixed) == Status::kInvalidVpIndex);
  GUEST_CHECK(line.to(1, VirtualInterruptType::kExtInt) == Status::kInvalidVpIndex);
  GUEST_CHECK(line.to(1ull << 32, VirtualInterruptType::kFixed) == Status::kInvalidVpIndex);
  GUEST_CHECK(Asserter(hv::PartitionId{77}).clear() == Status::kInvalidPartitionId);
  GUEST_CHECK(Asserter(hv::kPartitionIdSelf).clear() == Status::kAccessDenied);
  child_maker::destroy(made);
  end(0);
}

/// The interrupt controller of this child is wired to its second processor.
void child_of_two() {
  begin();
  machine::store_u32(kStep, 1);
  for (;;) {
    machine::pause();
  }
}
void second_with_controller() {
  constexpr std::uint64_t kExtIntDelivery = 7u << 8;
  enable_local_apic();
  machine::set_interrupt_handler(kExternal, on_external);
  machine::write_msr(machine::x86::kX2ApicLvtLint0, kExtIntDelivery);
  machine::store_u32(kStep, 2);
  enabled_until(3);
  for (;;) {
    machine::pause();
  }
}

void root_that_signals_the_second() {
  begin();
  const child_maker::Child made = child_maker::make("child", 2);
  const auto await = [&](Gpa at, std::uint32_t value) {
    while (machine::load_u32(made.memory + at.value()) != value) {
      machine::pause();
    }
  };
  child_maker::start(made, 0);
  await(kStep, 1);
  child_maker::start(made, 1);
  await(kStep, 2);
  Input input;
  input.partition = made.id;
  input.control = static_cast<std::uint64_t>(VirtualInterruptType::kLocalInt0);
  input.destination = 1;
  input.vector = kExternal;
  const auto signal = [&] {
    return call(HypercallControl(CallCode::kAssertVirtualInterrupt), input).status();
  };
  Asserter line(made.id);
  for (std::uint32_t times = 1; times <= 2; ++times) {
    GUEST_CHECK(line.clear() == Status::kNotAcknowledged);
    GUEST_CHECK(signal() == Status::kSuccess);
    await(kExternalCount, times);
    GUEST_CHECK(signal() == Status::kAcknowledged);
    GUEST_CHECK(line.edge(VirtualInterruptType::kExtInt, kExternal) == Status::kAcknowledged);
    GUEST_CHECK(line.clear() == Status::kSuccess);
  }
  child_maker::destroy(made);
  end(0);
}

void require_pass(void (*boot)(), std::uint64_t seed) {
  const sim::RunResult result = run(world_with_child(boot, child), seed);
  INFO("seed " << seed << " " << describe(result));
  REQUIRE(result.passed());
}

}  // namespace

TEST_CASE("level and external interrupts go and come back as their lines do", "[hv][interrupt]") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    require_pass(root, seed);
  }
}

TEST_CASE("an external interrupt that another than the first processor took is cleared",
          "[hv][interrupt]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const sim::RunResult result = run(
        world_with_child(root_that_signals_the_second, child_of_two, second_with_controller), seed);
    INFO("seed " << seed << " " << describe(result));
    REQUIRE(result.passed());
  }
}

TEST_CASE("an interrupt that no processor has is refused", "[hv][interrupt]") {
  require_pass(root_with_bad_requests, 1);
}
