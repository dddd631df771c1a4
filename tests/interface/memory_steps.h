// Steps that the rows about memory have in common, for the root of a row.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "machine/guest.h"
#include "tests/hv/test_kernel.h"
#include "tests/interface/call_case.h"

namespace interface_test::memory {

using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::HypercallResult;
using hv::PartitionId;
using hv::Status;
using machine::Gpn;
using test_kernel::call;
using test_kernel::output;

inline constexpr PartitionId kSelf = hv::kPartitionIdSelf;
/// Pages of the root's that nobody else has: the first is 512-aligned, with 512 behind it.
inline constexpr Gpn kFree{0x9200};
inline constexpr Gpn kSpare{0x9800};
/// In a child: nothing is mapped from here on; 512-aligned.
inline constexpr Gpn kPlace{0x4000};
inline constexpr std::uint32_t kReadWrite = hv::kMapRead | hv::kMapWrite;
inline constexpr Gpn kBeyond{1ull << 40};

inline HypercallResult map(PartitionId id, Gpn target, std::uint32_t flags,
                           const std::vector<Gpn>& sources) {
  return call(HypercallControl(CallCode::kMapGpaPages), hv::MapGpaPagesInput{id, target, flags, 0},
              std::span<const Gpn>(sources));
}
inline Status map_one(PartitionId id, std::uint32_t flags, Gpn target = kPlace,
                      Gpn source = kFree) {
  return map(id, target, flags, {source}).status();
}
inline HypercallResult map_sparse(PartitionId id, std::uint32_t flags,
                                  const std::vector<hv::SparseMapping>& pairs) {
  return call(HypercallControl(CallCode::kMapSparseGpaPages), hv::SparseGpaPagesInput{id, flags, 0},
              std::span<const hv::SparseMapping>(pairs));
}
inline HypercallResult modify(PartitionId id, std::uint32_t flags, const std::vector<Gpn>& pages) {
  return call(HypercallControl(CallCode::kModifySparseGpaPages),
              hv::SparseGpaPagesInput{id, flags, 0}, std::span<const Gpn>(pages));
}
inline HypercallResult unmap(PartitionId id, Gpn target, std::uint32_t flags = 0,
                             std::uint32_t count = 1) {
  return call(HypercallControl(CallCode::kUnmapGpaPages).with_reps(count),
              hv::UnmapGpaPagesInput{id, target, flags, 0});
}

inline hv::ReadGpaOutput read_gpa(const Child& child, machine::Gpa gpa, std::uint32_t size = 8) {
  const hv::AccessGpaInput input{child.id, hv::VpIndex{0}, size, gpa, 6};
  GUEST_CHECK(call(HypercallControl(CallCode::kReadGpa), input).status() == Status::kSuccess);
  return output<hv::ReadGpaOutput>();
}
inline hv::AccessGpaResult write_gpa(const Child& child, machine::Gpa gpa) {
  hv::WriteGpaInput input{{child.id, hv::VpIndex{0}, 1, gpa, 6}, {}};
  GUEST_CHECK(call(HypercallControl(CallCode::kWriteGpa), input).status() == Status::kSuccess);
  return output<hv::WriteGpaOutput>().result;
}

/// Whether the child may read the page, and write to it; the rights of a mapping.
inline bool has_rights(const Child& child, Gpn page, bool reads, bool writes) {
  using hv::AccessGpaResult;
  return (read_gpa(child, machine::Gpa(page)).result == AccessGpaResult::kSuccess) == reads &&
         (write_gpa(child, machine::Gpa(page)) == AccessGpaResult::kSuccess) == writes;
}
inline bool is_mapped(const Child& child, Gpn page) {
  return read_gpa(child, machine::Gpa(page)).result != hv::AccessGpaResult::kUnmapped;
}

inline HypercallResult deposit(PartitionId id, const std::vector<Gpn>& pages) {
  return call(HypercallControl(CallCode::kDepositMemory), hv::DepositMemoryInput{id},
              std::span<const Gpn>(pages));
}
inline hv::GetMemoryBalanceOutput balance(PartitionId id) {
  GUEST_CHECK(
      call(HypercallControl(CallCode::kGetMemoryBalance), hv::MemoryPoolInput{id, {}}).status() ==
      Status::kSuccess);
  return output<hv::GetMemoryBalanceOutput>();
}
inline HypercallResult withdraw(PartitionId id, std::uint32_t count,
                                hv::ProximityDomainInfo proximity = {}) {
  return call(HypercallControl(CallCode::kWithdrawMemory).with_reps(count),
              hv::MemoryPoolInput{id, proximity});
}
inline void drain(PartitionId id) {
  while (withdraw(id, 200).status() == Status::kSuccess) {
  }
}

inline PartitionId create() {
  GUEST_CHECK(
      call(HypercallControl(CallCode::kCreatePartition), hv::CreatePartitionInput{}).status() ==
      Status::kSuccess);
  return output<hv::PartitionIdOutput>().partition;
}
inline PartitionId finalized() {
  const Child child = make_child();
  GUEST_CHECK(
      call(HypercallControl(CallCode::kFinalizePartition), hv::PartitionInput{child.id}).status() ==
      Status::kSuccess);
  return child.id;
}
/// A page of the child's GPA space is hidden by an overlay.
inline void show_overlay(const Child& child, Gpn page) {
  child_maker::set_register(child, 0, hv::RegisterName::kReferenceTsc,
                            hv::OverlayPageRegister(page, true).value());
}
inline Status track(PartitionId id, std::uint64_t value = 1) {
  hv::SetPartitionPropertyInput input;
  input.partition = id;
  input.property = hv::PartitionProperty::kGpaPageAccessTracking;
  input.value = value;
  return call(HypercallControl(CallCode::kSetPartitionProperty), input).status();
}
inline HypercallResult access_states(PartitionId id, Gpn page, std::uint64_t flags = 0,
                                     std::uint32_t count = 1) {
  return call(HypercallControl(CallCode::kGetGpaPagesAccessStates).with_reps(count),
              hv::GetGpaPagesAccessStatesInput{id, flags, page});
}
/// What is noted of a page of a tracked child.
inline std::uint8_t noted(const Child& child, Gpn page) {
  GUEST_CHECK(access_states(child.id, page).status() == Status::kSuccess);
  return output<std::uint8_t>();
}
inline constexpr std::uint8_t kAccessed = hv::GetGpaPagesAccessStatesInput::kAccessed;
inline constexpr std::uint8_t kDirty = hv::GetGpaPagesAccessStatesInput::kDirty;

}  // namespace interface_test::memory
