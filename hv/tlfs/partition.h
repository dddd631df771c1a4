// Partitions and virtual processors: identities, life cycle, properties (TLFS "Partitions").
#pragma once

#include <cstdint>

namespace hv {

enum class PartitionId : std::uint64_t {};
inline constexpr PartitionId kPartitionIdInvalid{0};
inline constexpr PartitionId kPartitionIdSelf{0xFFFF'FFFF'FFFF'FFFF};
/// The first partition that exists; this hypervisor counts on from here and reuses no id.
inline constexpr PartitionId kPartitionIdRoot{1};

enum class VpIndex : std::uint32_t {};
/// In a port: whichever virtual processor the hypervisor picks.
inline constexpr VpIndex kVpIndexAny{0xFFFF'FFFF};
inline constexpr VpIndex kVpIndexSelf{0xFFFF'FFFE};

enum class PartitionState : std::uint8_t { kUninitialized, kActive, kFinalizing, kFinalized };

// Creation flags (TLFS HvCallCreatePartition).
inline constexpr std::uint64_t kCreateSmtGuest = 1u << 0;
inline constexpr std::uint64_t kCreateNestedCapable = 1u << 1;
inline constexpr std::uint64_t kCreateGpaSuperPages = 1u << 4;
inline constexpr std::uint64_t kCreateExoPartition = 1u << 8;
inline constexpr std::uint64_t kCreateLocalApicEmulation = 1u << 13;
inline constexpr std::uint64_t kCreateInterceptMessagePage = 1u << 19;
inline constexpr std::uint64_t kCreateHypercallDoorbellPage = 1u << 20;
inline constexpr std::uint64_t kCreateX2ApicCapable = 1u << 22;
inline constexpr std::uint32_t kCompatibilityVersion21H2 = 0x0609;

enum class PartitionProperty : std::uint32_t {
  kPrivilegeFlags = 0x00010000,
  kSyntheticProcessorFeatures = 0x00010001,
  kSuspend = 0x00020000,
  kCpuReserve = 0x00020001,
  kCpuCap = 0x00020002,
  kCpuWeight = 0x00020003,
  kCpuGroupId = 0x00020004,
  kEmulatedTimerPeriod = 0x00030000,
  kEmulatedTimerControl = 0x00030001,
  kPmTimerAssist = 0x00030002,
  kTimeFreeze = 0x00030003,
  kApicFrequency = 0x00030004,
  kReferenceTime = 0x00030005,
  kDebugChannelId = 0x00040000,
  kVirtualTlbPageCount = 0x00050000,
  kVsmConfig = 0x00050001,
  kZeroMemoryOnReset = 0x00050002,
  kProcessorsPerSocket = 0x00050003,
  kNestedTlbSize = 0x00050004,
  kGpaPageAccessTracking = 0x00050005,
  kImplementedPhysicalAddressBits = 0x00050010,
  kUnimplementedMsrAction = 0x00050017,
  kProcessorVendor = 0x00060000,
  kProcessorXsaveFeatures = 0x00060002,
  kProcessorClFlushSize = 0x00060003,
  kCompatibilityVersion = 0x00060005,
  kPhysicalAddressWidth = 0x00060006,
  kXsaveStates = 0x00060007,
  kMaxXsaveDataSize = 0x00060008,
  kProcessorClockFrequency = 0x00060009,
  kProcessorFeatures0 = 0x0006000A,
  kProcessorFeatures1 = 0x0006000B,
  kGuestOsId = 0x00070000,
  kProcessorVirtualizationFeatures = 0x00080000,
};

inline constexpr std::uint64_t kCpuReserveMax = 0x10000;
inline constexpr std::uint64_t kCpuCapMax = 0x10000;
inline constexpr std::uint64_t kCpuWeightMin = 1;
inline constexpr std::uint64_t kCpuWeightMax = 10000;
inline constexpr std::uint64_t kCpuWeightDefault = 100;
inline constexpr std::uint64_t kUnimplementedMsrFault = 0;
inline constexpr std::uint64_t kUnimplementedMsrIgnore = 1;
inline constexpr std::uint64_t kProcessorVendorIntel = 1;

}  // namespace hv
