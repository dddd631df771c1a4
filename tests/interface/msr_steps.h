// Steps that rows about MSRs share: privileges given and taken, and what the root reads after.
#pragma once

#include <cstdint>

#include "hv/hypervisor_limits.h"
#include "tests/interface/partition_steps.h"

namespace interface_test {

void give_privileges(hv::PartitionId id, std::uint64_t bits);
/// Before a child is initialized: what children have, and one privilege more or less.
template <hv::Privilege Which>
void with(hv::PartitionId id) {
  give_privileges(id, hv::kGuestPrivilegeBits | static_cast<std::uint64_t>(Which));
}
template <hv::Privilege Which>
void without(hv::PartitionId id) {
  give_privileges(id, hv::kGuestPrivilegeBits & ~static_cast<std::uint64_t>(Which));
}

/// The row of a child that reads or writes an MSR whose privilege it lacks.
template <std::uint32_t Msr, hv::Privilege Which>
constexpr MsrCase unreadable() {
  return {Msr,
          "read without the privilege",
          MsrOutcome::kFaults,
          [] { return read(Msr); },
          Caller::kChild,
          nullptr,
          nullptr,
          without<Which>};
}
template <std::uint32_t Msr, hv::Privilege Which>
constexpr MsrCase unwritable() {
  return {Msr,
          "written without the privilege",
          MsrOutcome::kFaults,
          [] { return write(Msr, 0); },
          Caller::kChild,
          nullptr,
          nullptr,
          without<Which>};
}

/// A write that is no part of what the row tries.
void write_msr_now(std::uint32_t msr, std::uint64_t value);
/// Writes, and reads 0 back.
[[nodiscard]] MsrOutcome write_and_zero(std::uint32_t msr, std::uint64_t value);
void ignore_unknown_msrs(const child_maker::Child& child);
/// A register of the child's first VP.
[[nodiscard]] std::uint64_t register_of(const child_maker::Child& child, hv::RegisterName name);

}  // namespace interface_test
