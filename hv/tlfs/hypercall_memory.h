// Parameters of the memory calls (TLFS "Physical Hardware Management", "Guest Physical Address
// Spaces").
#pragma once

#include <array>
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
/// What lies behind the page: one of these, or with none of them the source page.
inline constexpr std::uint32_t kMapSpecialMask = 0x30000;
inline constexpr std::uint32_t kMapNoAccess = 0x10000;
inline constexpr std::uint32_t kMapZeroPage = 0x20000;
inline constexpr std::uint32_t kMapOnesPage = 0x30000;
inline constexpr std::uint32_t kMapNoOverlay = 0x100000;
inline constexpr std::uint32_t kMapUncached = 0x200000;
inline constexpr std::uint32_t kMapClearAccessed = 0x1000000;
inline constexpr std::uint32_t kMapSetAccessed = 0x2000000;
inline constexpr std::uint32_t kMapClearDirty = 0x4000000;
inline constexpr std::uint32_t kMapSetDirty = 0x8000000;
inline constexpr std::uint32_t kMapNotesMask = 0xF000000;
inline constexpr std::uint32_t kMapLeaveRangeUnaccessed = 0x10000000;
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

/// Answers a byte for each page.
struct GetGpaPagesAccessStatesInput {
  static constexpr std::uint64_t kClearAccessed = 1u << 0;
  static constexpr std::uint64_t kSetAccessed = 1u << 1;
  static constexpr std::uint64_t kClearDirty = 1u << 2;
  static constexpr std::uint64_t kSetDirty = 1u << 3;
  static constexpr std::uint8_t kAccessed = 1u << 0;
  static constexpr std::uint8_t kDirty = 1u << 1;
  PartitionId target{};
  std::uint64_t flags = 0;
  machine::Gpn gpn;
};
static_assert(sizeof(GetGpaPagesAccessStatesInput) == 24);

/// How an access to a GPA ended (HV_ACCESS_GPA_RESULT_CODE); the call itself succeeded.
enum class AccessGpaResult : std::uint32_t {
  kSuccess = 0,
  kUnmapped = 1,
  kReadIntercept = 2,
  kWriteIntercept = 3,
  kIllegalOverlayAccess = 4,
};

/// ReadGpa, and the head of WriteGpa: at most 16 bytes, all in one page.
struct AccessGpaInput {
  static constexpr std::uint32_t kMaxBytes = 16;
  PartitionId partition{};
  VpIndex vp{};
  std::uint32_t byte_count = 0;
  machine::Gpa gpa;
  /// Bits 7:0 HV_CACHE_TYPE.
  std::uint64_t control = 0;
};
static_assert(sizeof(AccessGpaInput) == 32);
static_assert(offsetof(AccessGpaInput, byte_count) == 12);
static_assert(offsetof(AccessGpaInput, gpa) == 16);

struct WriteGpaInput {
  AccessGpaInput access;
  std::array<std::byte, AccessGpaInput::kMaxBytes> data{};
};
static_assert(sizeof(WriteGpaInput) == 48);

struct WriteGpaOutput {
  AccessGpaResult result{};
  std::uint32_t reserved = 0;
};
static_assert(sizeof(WriteGpaOutput) == 8);

struct ReadGpaOutput {
  AccessGpaResult result{};
  std::uint32_t reserved = 0;
  std::array<std::byte, AccessGpaInput::kMaxBytes> data{};
};
static_assert(sizeof(ReadGpaOutput) == 24);

/// The header of AcquireSparseSpaPageHostAccess and ReleaseSparseSpaPageHostAccess; elements are
/// page numbers of system memory (u64).
struct SpaPageHostAccessInput {
  static constexpr std::uint32_t kHostRead = 1u << 0;
  static constexpr std::uint32_t kHostWrite = 1u << 1;
  static constexpr std::uint32_t kMakeExclusive = 1u << 0;
  static constexpr std::uint32_t kMakeShared = 1u << 1;
  static constexpr std::uint32_t kLargePage = 1u << 2;
  static constexpr std::uint32_t kHugePage = 1u << 3;
  std::uint32_t host_access = 0;
  std::uint32_t flags = 0;
  /// Whose alone the pages become with kMakeExclusive; else 0.
  PartitionId partition{};
};
static_assert(sizeof(SpaPageHostAccessInput) == 16);
static_assert(offsetof(SpaPageHostAccessInput, partition) == 8);

}  // namespace hv
