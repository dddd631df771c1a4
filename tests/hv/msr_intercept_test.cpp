// An MSR whose privilege a child lacks is its parent's, if the parent asks for it.
#include <array>
#include <catch2/catch.hpp>
#include <span>

#include "hv/hypervisor_limits.h"
#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/intercept_slot.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using child_maker::Child;
using child_maker::kSharedWord;
using hv::CallCode;
using hv::HypercallControl;
using hv::Status;

constexpr std::uint8_t kVector = 0x33;
constexpr std::uint64_t kMadeUp = 0x1234'5678'9ABC'DEF0;
constexpr std::uint64_t kInstructionBytes = 2;

void acknowledge(const machine::InterruptFrame&) {
  machine::write_msr(machine::x86::kX2ApicEoi, 0);
}

void child_without_vp_index() {
  machine::store_u64(kSharedWord, machine::read_msr(hv::kMsrVpIndex));
  GUEST_CHECK(!machine::try_read_msr(hv::kMsrVpRuntime));  // nobody's
  machine::store_u64(kSharedWord + 8, 1);
  for (;;) {
    machine::sti_hlt();
  }
}

void take_two_privileges(hv::PartitionId id) {
  const std::uint64_t bits = hv::kGuestPrivilegeBits &
                             ~static_cast<std::uint64_t>(hv::Privilege::kAccessVpIndex) &
                             ~static_cast<std::uint64_t>(hv::Privilege::kAccessVpRunTimeReg);
  const hv::SetPartitionPropertyInput input{id, hv::PartitionProperty::kPrivilegeFlags, 0, bits};
  GUEST_CHECK(call(HypercallControl(CallCode::kSetPartitionProperty), input).status() ==
              Status::kSuccess);
}

/// What the child's instructions may not is no matter to its parent.
std::uint64_t vp_index_register(const Child& child) {
  hv::VpRegistersInput header;
  header.partition = child.id;
  const std::array<hv::RegisterName, 1> names{hv::RegisterName::kVpIndex};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const hv::RegisterName>(names))
                  .status() == Status::kSuccess);
  return output<hv::RegisterValue>().low;
}

void root_that_emulates_it() {
  begin();
  machine::set_interrupt_handler(kVector, acknowledge);
  machine::write_msr(hv::kMsrSint0, kVector);
  const Child child = child_maker::make("child", 1, take_two_privileges);
  hv::InstallInterceptInput install;
  install.partition = child.id;
  install.access_mask = hv::kInterceptAccessRead | hv::kInterceptAccessWrite;
  install.type = hv::InterceptType::kX64MsrIndex;
  install.parameter = hv::kMsrVpIndex;
  GUEST_CHECK(call(HypercallControl(CallCode::kInstallIntercept), install).status() ==
              Status::kSuccess);
  child_maker::start(child, 0);
  const hv::MsrIntercept intercept =
      take_payload<hv::MsrIntercept>(hv::MessageType::kX64MsrIntercept);
  GUEST_CHECK(intercept.msr == hv::kMsrVpIndex);
  GUEST_CHECK(intercept.header.access == hv::InterceptAccess::kRead);
  child_maker::set_register(child, 0, hv::RegisterName::kRax, kMadeUp & 0xFFFF'FFFF);
  child_maker::set_register(child, 0, hv::RegisterName::kRdx, kMadeUp >> 32);
  child_maker::set_register(child, 0, hv::RegisterName::kRip,
                            intercept.header.rip + kInstructionBytes);
  child_maker::set_register(child, 0, hv::RegisterName::kInterceptSuspend, 0);
  const machine::Gpa word = child.memory + kSharedWord.value();
  while (machine::load_u64(word + 8) == 0) {
    machine::spend(1'000);
    machine::pause();
  }
  GUEST_CHECK(machine::load_u64(word) == kMadeUp);
  GUEST_CHECK(vp_index_register(child) == 0);
  child_maker::destroy(child);
  end(0);
}

}  // namespace

TEST_CASE("an MSR that a child may not access is its parent's, or nobody's", "[hv][msr]") {
  const sim::RunResult result =
      run(world_with_child(root_that_emulates_it, child_without_vp_index));
  INFO(describe(result));
  REQUIRE(result.passed());
}
