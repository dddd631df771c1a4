// AssertVirtualInterrupt, ClearVirtualInterrupt and GetVpIndexFromApicId (TLFS "Virtual Interrupt
// Control").
#include <array>

#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/test_kernel.h"
#include "tests/interface/case_tables.h"
#include "tests/interface/msr_steps.h"
#include "tests/interface/partition_steps.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::PartitionId;
using hv::RegisterName;
using hv::Status;
using hv::VirtualInterruptType;
using Input = hv::AssertVirtualInterruptInput;

constexpr std::uint8_t kVector = 0x77;

Status assert_it(const Input& input) {
  return call(HypercallControl(CallCode::kAssertVirtualInterrupt), input).status();
}

Input interrupt(PartitionId partition, VirtualInterruptType type, std::uint32_t vector,
                std::uint64_t destination = 0, std::uint64_t flags = 0) {
  Input input;
  input.partition = partition;
  input.control = static_cast<std::uint64_t>(type) | flags;
  input.destination = destination;
  input.vector = vector;
  return input;
}

RegisterName apic_register(std::uint32_t msr) {
  return static_cast<RegisterName>(static_cast<std::uint32_t>(RegisterName::kApicFirst) + msr -
                                   machine::x86::kX2ApicFirst);
}

std::uint64_t register_of(const Child& child, RegisterName name) {
  const hv::VpRegistersInput header{child.id, hv::VpIndex{0}, 0, {}};
  const std::array<RegisterName, 1> names{name};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const RegisterName>(names))
                  .status() == Status::kSuccess);
  return output<hv::RegisterValue>().low;
}
bool is_requested(const Child& child, std::uint8_t vector) {
  const std::uint64_t word =
      register_of(child, apic_register(machine::x86::kX2ApicIrr0 + vector / 32));
  return ((word >> (vector % 32)) & 1) != 0;
}

/// A child that has not been started, with its local APIC enabled.
Child enabled_child() {
  const Child child = make_child();
  child_maker::set_register(child, 0, apic_register(machine::x86::kX2ApicSvr), 0x1FF);
  return child;
}

/// The status of an interrupt for an enabled child.
Status assert_in_child(VirtualInterruptType type, std::uint32_t vector,
                       std::uint64_t destination = 0, std::uint64_t flags = 0) {
  const Child child = enabled_child();
  return assert_it(interrupt(child.id, type, vector, destination, flags));
}

Status assert_at_pin(std::uint32_t lvt_msr, std::uint64_t lvt, VirtualInterruptType type,
                     bool requested) {
  const Child child = enabled_child();
  child_maker::set_register(child, 0, apic_register(lvt_msr), lvt);
  const Status status = assert_it(interrupt(child.id, type, 0));
  GUEST_CHECK(is_requested(child, kVector) == requested);
  return status;
}

/// A running child that takes an external interrupt as soon as it can.
Child with_external_taken() {
  const Child child = make_child();
  child_maker::start(child, 0);
  GUEST_CHECK(assert_it(interrupt(child.id, VirtualInterruptType::kExtInt, kVector)) ==
              Status::kSuccess);
  for (int wait = 0; wait < 100; ++wait) {
    machine::spend(10'000);
    machine::pause();
  }
  return child;
}

Status clear(PartitionId partition) {
  return call(HypercallControl(CallCode::kClearVirtualInterrupt), hv::PartitionInput{partition})
      .status();
}

Status find_vp(PartitionId partition, std::uint32_t apic_id, std::uint8_t vtl = 0) {
  const hv::GetVpIndexFromApicIdInput input{partition, vtl, {}};
  const std::array<std::uint32_t, 1> ids{apic_id};
  return call(HypercallControl(CallCode::kGetVpIndexFromApicId), input,
              std::span<const std::uint32_t>(ids))
      .status();
}

constexpr CallCase kCases[] = {
    {CallCode::kAssertVirtualInterrupt, "fixed, edge triggered", Status::kSuccess,
     [] {
       const Child child = enabled_child();
       const Status status = assert_it(interrupt(child.id, VirtualInterruptType::kFixed, kVector));
       GUEST_CHECK(is_requested(child, kVector));
       return status;
     }},
    {CallCode::kAssertVirtualInterrupt, "fixed, level triggered, and taken back", Status::kSuccess,
     [] {
       const Child child = enabled_child();
       GUEST_CHECK(assert_it(interrupt(child.id, VirtualInterruptType::kFixed, kVector, 0,
                                       Input::kLevel)) == Status::kSuccess);
       const Status status = assert_it(
           interrupt(child.id, VirtualInterruptType::kFixed, Input::kDeassert, 0, Input::kLevel));
       GUEST_CHECK(!is_requested(child, kVector));
       return status;
     }},
    {CallCode::kAssertVirtualInterrupt, "lowest priority, to everybody", Status::kSuccess,
     [] { return assert_in_child(VirtualInterruptType::kLowestPriority, kVector, 0xFFFF'FFFF); }},
    {CallCode::kAssertVirtualInterrupt, "to one whose index comes after one that nobody has",
     Status::kSuccess,
     [] {
       const Child child = enabled_child();
       create_vp(child.id, 2);
       GUEST_CHECK(assert_it(interrupt(child.id, VirtualInterruptType::kLowestPriority, kVector,
                                       2)) == Status::kSuccess);
       return assert_it(interrupt(child.id, VirtualInterruptType::kFixed, kVector, 2));
     }},
    {CallCode::kAssertVirtualInterrupt, "to an index that nobody has, before one that somebody has",
     Status::kInvalidVpIndex,
     [] {
       const Child child = enabled_child();
       create_vp(child.id, 2);
       return assert_it(interrupt(child.id, VirtualInterruptType::kFixed, kVector, 1));
     }},
    {CallCode::kAssertVirtualInterrupt, "fixed, to a logical destination", Status::kSuccess,
     [] {
       const Child child = enabled_child();
       child_maker::set_register(child, 0, RegisterName::kApicBase, 0xFEE0'0D00);
       return assert_it(interrupt(child.id, VirtualInterruptType::kFixed, kVector, 1,
                                  Input::kLogicalDestination));
     }},
    {CallCode::kAssertVirtualInterrupt, "fixed, to an APIC that software has disabled",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       const Status status = assert_it(interrupt(child.id, VirtualInterruptType::kFixed, kVector));
       GUEST_CHECK(!is_requested(child, kVector));
       return status;
     }},
    {CallCode::kAssertVirtualInterrupt, "NMI", Status::kSuccess,
     [] { return assert_in_child(VirtualInterruptType::kNmi, 0); }},
    {CallCode::kAssertVirtualInterrupt, "LINT0, which has a vector", Status::kSuccess,
     [] {
       return assert_at_pin(machine::x86::kX2ApicLvtLint0, kVector,
                            VirtualInterruptType::kLocalInt0, true);
     }},
    {CallCode::kAssertVirtualInterrupt, "LINT1, which is masked", Status::kSuccess,
     [] {
       return assert_at_pin(machine::x86::kX2ApicLvtLint1, 0x10000 | kVector,
                            VirtualInterruptType::kLocalInt1, false);
     }},
    {CallCode::kAssertVirtualInterrupt, "LINT0, which has a level, taken back beside another level",
     Status::kSuccess,
     [] {
       constexpr std::uint32_t kLevelTriggered = 1u << 15;
       const Child child = enabled_child();
       child_maker::set_register(child, 0, apic_register(machine::x86::kX2ApicLvtLint0),
                                 kLevelTriggered | kVector);
       const auto change = [&](VirtualInterruptType type, std::uint32_t vector) {
         return assert_it(interrupt(child.id, type, vector, 0, Input::kLevel));
       };
       GUEST_CHECK(change(VirtualInterruptType::kFixed, kVector + 1) == Status::kSuccess);
       GUEST_CHECK(change(VirtualInterruptType::kLocalInt0, 0) == Status::kSuccess);
       GUEST_CHECK(is_requested(child, kVector));
       const Status status = change(VirtualInterruptType::kLocalInt0, Input::kDeassert);
       GUEST_CHECK(!is_requested(child, kVector));
       GUEST_CHECK(is_requested(child, kVector + 1));
       return status;
     }},
    {CallCode::kAssertVirtualInterrupt, "a vector below 16", Status::kInvalidParameter,
     [] { return assert_in_child(VirtualInterruptType::kFixed, 15); }},
    {CallCode::kAssertVirtualInterrupt, "SMI", Status::kInvalidParameter,
     [] { return assert_in_child(VirtualInterruptType::kSmi, 0); }},
    {CallCode::kAssertVirtualInterrupt, "a type that does not exist", Status::kInvalidParameter,
     [] { return assert_in_child(VirtualInterruptType{10}, kVector); }},
    {CallCode::kAssertVirtualInterrupt, "a control bit that does not exist",
     Status::kInvalidParameter,
     [] { return assert_in_child(VirtualInterruptType::kFixed, kVector, 0, 1ull << 34); }},
    {CallCode::kAssertVirtualInterrupt, "a destination that is nobody's", Status::kInvalidVpIndex,
     [] { return assert_in_child(VirtualInterruptType::kFixed, kVector, 5); }},
    {CallCode::kAssertVirtualInterrupt, "LINT0 of nobody", Status::kInvalidVpIndex,
     [] { return assert_in_child(VirtualInterruptType::kLocalInt0, 0, 5); }},
    {CallCode::kAssertVirtualInterrupt, "external, to another than the first",
     Status::kInvalidVpIndex,
     [] { return assert_in_child(VirtualInterruptType::kExtInt, kVector, 1); }},
    {CallCode::kAssertVirtualInterrupt, "external, while the last one is not cleared",
     Status::kAcknowledged,
     [] {
       const Child child = with_external_taken();
       return assert_it(interrupt(child.id, VirtualInterruptType::kExtInt, kVector));
     }},
    {CallCode::kAssertVirtualInterrupt, "no partition's id", Status::kInvalidPartitionId,
     [] { return assert_it(interrupt(kNobody, VirtualInterruptType::kFixed, kVector)); }},
    {CallCode::kAssertVirtualInterrupt, "a finalized partition", Status::kInvalidPartitionState,
     [] {
       return assert_it(interrupt(finalized_partition(), VirtualInterruptType::kFixed, kVector));
     }},
    {CallCode::kAssertVirtualInterrupt, "a child without the privilege", Status::kAccessDenied,
     [] {
       return assert_it(interrupt(hv::kPartitionIdSelf, VirtualInterruptType::kFixed, kVector));
     },
     Caller::kChild},

    {CallCode::kClearVirtualInterrupt, "an external interrupt that was taken", Status::kSuccess,
     [] {
       const Child child = with_external_taken();
       const Status status = clear(child.id);
       GUEST_CHECK(assert_it(interrupt(child.id, VirtualInterruptType::kExtInt, kVector)) ==
                   Status::kSuccess);
       return status;
     }},
    {CallCode::kClearVirtualInterrupt, "nothing was taken", Status::kNotAcknowledged,
     [] { return clear(make_child().id); }},
    {CallCode::kClearVirtualInterrupt, "no partition's id", Status::kInvalidPartitionId,
     [] { return clear(kNobody); }},
    {CallCode::kClearVirtualInterrupt, "a finalized partition", Status::kInvalidPartitionState,
     [] { return clear(finalized_partition()); }},
    {CallCode::kClearVirtualInterrupt, "a child without the privilege", Status::kAccessDenied,
     [] { return clear(hv::kPartitionIdSelf); }, Caller::kChild},

    {CallCode::kGetVpIndexFromApicId, "the caller's own", Status::kSuccess,
     [] {
       machine::store_u32(kOutputPage, 99);
       const Status status = find_vp(hv::kPartitionIdSelf, 0);
       GUEST_CHECK(machine::load_u32(kOutputPage) == 0);
       return status;
     }},
    {CallCode::kGetVpIndexFromApicId, "the second of a child", Status::kSuccess,
     [] {
       const Child child = make_child(2);
       const Status status = find_vp(child.id, 1);
       GUEST_CHECK(machine::load_u32(kOutputPage) == 1);
       return status;
     }},
    {CallCode::kGetVpIndexFromApicId, "a child's own, without a privilege", Status::kSuccess,
     [] {
       begin();
       return find_vp(hv::kPartitionIdSelf, 0);
     },
     Caller::kChild, nullptr, nullptr, without<hv::Privilege::kStartVirtualProcessor>},
    {CallCode::kGetVpIndexFromApicId, "a child asks about its parent", Status::kAccessDenied,
     [] { return find_vp(hv::kPartitionIdRoot, 0); }, Caller::kChild},
    {CallCode::kGetVpIndexFromApicId, "an id that is nobody's", Status::kInvalidParameter,
     [] { return find_vp(hv::kPartitionIdSelf, 77); }},
    {CallCode::kGetVpIndexFromApicId, "another trust level", Status::kInvalidParameter,
     [] { return find_vp(hv::kPartitionIdSelf, 0, 1); }},
    {CallCode::kGetVpIndexFromApicId, "no partition's id", Status::kInvalidPartitionId,
     [] { return find_vp(kNobody, 0); }},
};

}  // namespace

std::span<const CallCase> interrupt_call_cases() { return kCases; }

}  // namespace interface_test
