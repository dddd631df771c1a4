// Parameters of the memory calls (TLFS "Physical Hardware Management", "Guest Physical Address
// Spaces").
#pragma once

#include <cstddef>
#include <cstdint>

#include "hv/tlfs/hypercall_partition.h"
#include "hv/tlfs/partition.h"
#include "machine/address.h"

namespace hv {

// Map flags.
inline constexpr std::uint32_t kMapRead = 1u << 0;
inline constexpr std::uint32_t kMapWrite = 1u << 1;
inline constexpr std::uint32_t kMapKernelExecute = 1u << 2;
inline constexpr std::uint32_t kMapUserExecute = 1u << 3;
inline constexpr std::uint32_t kMapExecute = kMapKernelExecute | kMapUserExecute;
inline constexpr std::uint32_t kMapRightsMask = 0xF;
inline constexpr std::uint32_t kMapAdjustable = 0x8000;
inline constexpr std::uint32_t kMapNoAccess = 0x10000;
inline constexpr std::uint32_t kMapNoOverlay = 0x100000;
inline constexpr std::uint32_t kMapUncached = 0x200000;
inline constexpr std::uint32_t kMapLargePage = 0x80000000;

// Unmap flags.
inline constexpr std::uint32_t kUnmapKeepPrecommitted = 1u << 0;
inline constexpr std::uint32_t kUnmapLargePage = 1u << 1;

/// The header of DepositMemory; elements are GPNs of the caller (u64).
struct DepositMemoryInput {
  PartitionId partition{};
};
static_assert(sizeof(DepositMemoryInput) == 8);

/// WithdrawMemory (answers with GPNs of the caller) and GetMemoryBalance.
struct MemoryPoolInput {
  PartitionId partition{};
  ProximityDomainInfo proximity;
};
static_assert(sizeof(MemoryPoolInput) == 16);

struct GetMemoryBalanceOutput {
  std::uint64_t pages_available = 0;
  std::uint64_t pages_in_use = 0;
};
static_assert(sizeof(GetMemoryBalanceOutput) == 16);

/// The header of MapGpaPages; elements are source GPNs of the caller (u64).
struct MapGpaPagesInput {
  PartitionId target{};
  machine::Gpn target_gpn;
  std::uint32_t flags = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(MapGpaPagesInput) == 24);
static_assert(offsetof(MapGpaPagesInput, target_gpn) == 8);
static_assert(offsetof(MapGpaPagesInput, flags) == 16);

/// UnmapGpaPages: the rep count says how many pages; there is no list.
struct UnmapGpaPagesInput {
  PartitionId target{};
  machine::Gpn target_gpn;
  std::uint32_t flags = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(UnmapGpaPagesInput) == 24);
static_assert(offsetof(UnmapGpaPagesInput, flags) == 16);

/// The header of MapSparseGpaPages (elements SparseMapping) and ModifySparseGpaPages (elements
/// u64).
struct SparseGpaPagesInput {
  PartitionId target{};
  std::uint32_t flags = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(SparseGpaPagesInput) == 16);

struct SparseMapping {
  machine::Gpn target_gpn;
  machine::Gpn source_gpn;
};
static_assert(sizeof(SparseMapping) == 16);

struct GetGpaPagesAccessStatesInput {
  static constexpr std::uint64_t kClearAccessed = 1u << 0;
  static constexpr std::uint64_t kSetAccessed = 1u << 1;
  static constexpr std::uint64_t kClearDirty = 1u << 2;
  static constexpr std::uint64_t kSetDirty = 1u << 3;
  PartitionId target{};
  std::uint64_t flags = 0;
  machine::Gpn gpn;
};
static_assert(sizeof(GetGpaPagesAccessStatesInput) == 24);

}  // namespace hv
