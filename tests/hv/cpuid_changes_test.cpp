// A CPUID leaf that is asked for again, after something has changed that its answer shows, on the
// whole hypervisor in the simulator.
#include <bit>
#include <catch2/catch.hpp>

#include "machine/guest.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/intercept_slot.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::InterceptType;
using hv::Status;
using machine::CpuidResult;
namespace x86 = machine::x86;

constexpr std::uint32_t kOne = 1;
constexpr std::uint32_t kHyperThreading = 1u << 28;  // leaf 1 EDX
constexpr std::uint32_t kApic = 1u << 9;             // leaf 1 EDX

// The root asks in these words, and the child answers there.
constexpr machine::Gpa kAsked = child_maker::kSharedWord;
constexpr machine::Gpa kLeaf{child_maker::kSharedWord.value() + 8};
constexpr machine::Gpa kAnswered{child_maker::kSharedWord.value() + 16};
constexpr machine::Gpa kEcx{child_maker::kSharedWord.value() + 24};
constexpr machine::Gpa kEdx{child_maker::kSharedWord.value() + 32};

void child_that_asks() {
  begin();
  for (std::uint32_t round = 1;; ++round) {
    while (machine::load_u32(kAsked) < round) {
      machine::pause();
    }
    const CpuidResult result = machine::cpuid(machine::load_u32(kLeaf), 0);
    machine::store_u32(kEcx, result.ecx);
    machine::store_u32(kEdx, result.edx);
    machine::store_u32(kAnswered, round);
  }
}

void ask(const Child& child, std::uint32_t leaf, std::uint32_t round) {
  machine::store_u32(child.memory + kLeaf.value(), leaf);
  machine::store_u32(child.memory + kAsked.value(), round);
}
void wait_for_answer(const Child& child, std::uint32_t round) {
  while (machine::load_u32(child.memory + kAnswered.value()) < round) {
    machine::pause();
  }
}
std::uint32_t ecx_of(const Child& child) { return machine::load_u32(child.memory + kEcx.value()); }
std::uint32_t edx_of(const Child& child) { return machine::load_u32(child.memory + kEdx.value()); }

hv::InterceptResultInput no_hypervisor(const Child& child) {
  hv::CpuidResultParameters answer;
  answer.leaf = kOne;
  answer.always_override = 1;
  answer.ecx_mask = hv::kCpuidHypervisorPresent;
  hv::InterceptResultInput input;
  input.partition = child.id;
  input.type = InterceptType::kX64Cpuid;
  input.parameters = std::bit_cast<decltype(input.parameters)>(answer);
  return input;
}

void root_that_changes_answers() {
  begin();
  const Child child = child_maker::make("child");
  child_maker::start(child, 0);
  std::uint32_t round = 0;
  const auto shows_hypervisor = [&] {
    ask(child, kOne, ++round);
    wait_for_answer(child, round);
    return (ecx_of(child) & hv::kCpuidHypervisorPresent) != 0;
  };
  GUEST_CHECK(shows_hypervisor() && shows_hypervisor());
  GUEST_CHECK(
      call(HypercallControl(CallCode::kRegisterInterceptResult), no_hypervisor(child)).status() ==
      Status::kSuccess);
  GUEST_CHECK(!shows_hypervisor() && !shows_hypervisor());
  GUEST_CHECK(
      call(HypercallControl(CallCode::kUnregisterInterceptResult), no_hypervisor(child)).status() ==
      Status::kSuccess);
  GUEST_CHECK(shows_hypervisor());
  child_maker::destroy(child);
  end(0);
}

void root_that_asks_late() {
  begin();
  machine::set_interrupt_handler(
      0x30, [](const machine::InterruptFrame&) { machine::write_msr(x86::kX2ApicEoi, 0); });
  machine::write_msr(hv::kMsrSint0, 0x30);
  const Child child = child_maker::make("child");
  child_maker::start(child, 0);
  ask(child, hv::kCpuidFeatures, 1);
  wait_for_answer(child, 1);
  const hv::InstallInterceptInput input{child.id, hv::kInterceptAccessExecute,
                                        InterceptType::kX64Cpuid, hv::kCpuidFeatures};
  GUEST_CHECK(call(HypercallControl(CallCode::kInstallIntercept), input).status() ==
              Status::kSuccess);
  ask(child, hv::kCpuidFeatures, 2);
  GUEST_CHECK(take_message().header.type == hv::MessageType::kX64CpuidIntercept);
  GUEST_CHECK(machine::load_u32(child.memory + kAnswered.value()) == 1);
  child_maker::destroy(child);
  end(0);
}

void root_that_deletes_a_processor() {
  begin();
  const Child child = child_maker::make("child", 2);
  child_maker::start(child, 0);
  ask(child, kOne, 1);
  wait_for_answer(child, 1);
  GUEST_CHECK((edx_of(child) & kHyperThreading) != 0);
  const hv::DeleteVpInput input{child.id, hv::VpIndex{1}, 0};
  GUEST_CHECK(call(HypercallControl(CallCode::kDeleteVp), input).status() == Status::kSuccess);
  ask(child, kOne, 2);
  wait_for_answer(child, 2);
  GUEST_CHECK((edx_of(child) & kHyperThreading) == 0);
  child_maker::destroy(child);
  end(0);
}

void child_that_changes_itself() {
  begin();
  const std::uint64_t base = machine::read_msr(x86::kMsrApicBase);
  GUEST_CHECK((machine::cpuid(kOne, 0).edx & kApic) != 0);
  machine::write_msr(x86::kMsrApicBase,
                     base & ~(x86::kApicBaseEnable | x86::kApicBaseX2ApicEnable));
  GUEST_CHECK((machine::cpuid(kOne, 0).edx & kApic) == 0);
  machine::write_msr(x86::kMsrApicBase,
                     (base & ~x86::kApicBaseX2ApicEnable) | x86::kApicBaseEnable);
  GUEST_CHECK((machine::cpuid(kOne, 0).edx & kApic) != 0);
  machine::store_u32(kAnswered, 1);
  for (;;) {
    machine::pause();
  }
}

void root_that_watches() {
  begin();
  const Child child = child_maker::make("child");
  child_maker::start(child, 0);
  wait_for_answer(child, 1);
  child_maker::destroy(child);
  end(0);
}

void require_pass(void (*root)(), void (*child)()) {
  const sim::RunResult result = run(world_with_child(root, child));
  INFO(describe(result));
  CHECK(result.passed());
}

}  // namespace

TEST_CASE("a leaf that is asked for again shows what the parent changed since", "[hv][cpuid]") {
  require_pass(root_that_changes_answers, child_that_asks);
}

TEST_CASE("a leaf that was answered once stops at a parent that asks for it since", "[hv][cpuid]") {
  require_pass(root_that_asks_late, child_that_asks);
}

TEST_CASE("a leaf that is asked for again counts the processors that are left", "[hv][cpuid]") {
  require_pass(root_that_deletes_a_processor, child_that_asks);
}

TEST_CASE("a leaf that is asked for again shows what the guest changed since", "[hv][cpuid]") {
  require_pass(root_that_watches, child_that_changes_itself);
}
