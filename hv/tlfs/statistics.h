// Statistics pages: what objects have them, and what stands where in them (TLFS "Statistics",
// HV_STATS_OBJECT_TYPE and the counter lists that hypervisors of this interface publish). A page is
// an array of 64-bit counters, indexed by the counter's id. Times are in 100 ns.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/tlfs/partition.h"
#include "machine/address.h"

namespace hv {

enum class StatisticsObjectType : std::uint32_t {
  kHypervisor = 1,
  kLogicalProcessor = 2,
  kPartition = 0x10001,
  kVp = 0x10002,
};

enum class StatisticsArea : std::uint8_t { kSelf = 0, kParent = 1, kInternal = 2 };

/// HV_STATS_OBJECT_IDENTITY. Bytes 0..7 are a partition, or the index of a logical processor.
struct StatisticsIdentity {
  std::uint64_t partition_or_processor = 0;
  VpIndex vp{};
  std::uint16_t flags = 0;
  std::uint8_t reserved = 0;
  StatisticsArea area{};
};
static_assert(sizeof(StatisticsIdentity) == 16);
static_assert(offsetof(StatisticsIdentity, vp) == 8);
static_assert(offsetof(StatisticsIdentity, area) == 15);

/// UnmapStatsPage, and the head of MapStatsPage.
struct StatisticsPageInput {
  StatisticsObjectType type{};
  std::uint32_t reserved = 0;
  StatisticsIdentity identity;
};
static_assert(sizeof(StatisticsPageInput) == 24);
static_assert(offsetof(StatisticsPageInput, identity) == 8);

/// MapStatsPage2, and MapStatsPage of a caller that is not the root: where the page shall appear.
/// The root leaves that to the hypervisor, which answers with MapStatsPageOutput.
struct MapStatsPageInput {
  StatisticsPageInput page;
  machine::Gpn place;
};
static_assert(sizeof(MapStatsPageInput) == 32);

struct MapStatsPageOutput {
  machine::Gpn place;
};
static_assert(sizeof(MapStatsPageOutput) == 8);

inline constexpr std::size_t kStatisticsCounters = 512;

enum class HypervisorCounter : std::uint16_t {
  kLogicalProcessors = 1,
  kPartitions = 2,
  kTotalPages = 3,
  kVirtualProcessors = 4,
};

enum class LogicalProcessorCounter : std::uint16_t {
  kGlobalTime = 1,
  kTotalRunTime = 2,
  kHardwareInterrupts = 4,
  kContextSwitches = 5,
};

enum class PartitionCounter : std::uint16_t {
  kVirtualProcessors = 1,
  kDepositedPages = 5,
  kGpaPages = 6,
  kGpaSpaceModifications = 7,
  kGpaPages4K = 10,
  kGpaPages2M = 11,
  kPartitionId = 26,
  kPagesShattered = 31,
};

enum class VpCounter : std::uint16_t {
  kTotalRunTime = 1,
  kHypercalls = 7,
  kControlRegisterAccesses = 11,
  kIoInstructions = 13,
  kHltInstructions = 15,
  kCpuidInstructions = 19,
  kMsrAccesses = 21,
  kOtherIntercepts = 23,
  kExternalInterrupts = 25,
  kPendingInterrupts = 27,
  kIoInterceptMessages = 40,
  kMemoryInterceptMessages = 41,
  kOtherMessages = 43,
  kVirtualInterrupts = 59,
  kLogicalProcessorDispatches = 74,
  /// Of the root scheduler, which is the only one to set it.
  kRootDispatchThreadBlocked = 202,
};

}  // namespace hv
