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
/// (major << 8) | minor of the interface that a parent was written for; it may leave it 0.
inline constexpr std::uint32_t kCompatibilityVersionOldest = 0x0600;
inline constexpr std::uint32_t kCompatibilityVersion21H2 = 0x0609;

enum class PartitionProperty : std::uint32_t {
  kPrivilegeFlags = 0x00010000,
  kSyntheticProcessorFeatures = 0x00010001,
  kSuspend = 0x00020000,
  kCpuReserve = 0x00020001,
  kCpuCap = 0x00020002,
  kCpuWeight = 0x00020003,
  kCpuGroupId = 0x00020004,
  kIntegratedSchedulerEnabled = 0x00020005,
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
  kIsolationState = 0x0005000C,
  kIsolationControl = 0x0005000D,
  kImplementedPhysicalAddressBits = 0x00050010,
  kHypercallDoorbellPage = 0x00050012,
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
  /// HvCallGetPartitionPropertyEx only.
  kVmmCapabilities = 0x00090007,
  /// Of a virtual processor; the extended calls only.
  kVpSchedulingAffinity = 0x10001000,
};

inline constexpr std::uint64_t kCpuReserveMax = 0x10000;
inline constexpr std::uint64_t kCpuCapMax = 0x10000;
inline constexpr std::uint64_t kCpuWeightMin = 1;
inline constexpr std::uint64_t kCpuWeightMax = 10000;
inline constexpr std::uint64_t kCpuWeightDefault = 100;
/// There is one group, of all logical processors.
inline constexpr std::uint64_t kCpuGroupOfAll = 0;
/// A virtual TLB is for computers without second-level translation: its size is kept, no more.
inline constexpr std::uint64_t kVirtualTlbPagesMin = 64;
inline constexpr std::uint64_t kVirtualTlbPagesMax = 4096;
inline constexpr std::uint64_t kPhysicalAddressBitsMin = 32;
inline constexpr std::uint64_t kUnimplementedMsrFault = 0;
inline constexpr std::uint64_t kUnimplementedMsrIgnore = 1;
inline constexpr std::uint64_t kProcessorVendorIntel = 1;

/// The value of PmTimerAssist: reads of a port that the hypervisor answers with the counter of an
/// ACPI power management timer.
class PmTimerAssist {
 public:
  static constexpr std::uint64_t kWidth24 = 1u << 16;
  static constexpr std::uint64_t kEnabled = 1u << 17;
  static constexpr std::uint64_t kBits = 0xFFFF | kWidth24 | kEnabled;

  constexpr explicit PmTimerAssist(std::uint64_t value) : value_(value) {}
  [[nodiscard]] constexpr bool is_legal() const { return (value_ & ~kBits) == 0; }
  [[nodiscard]] constexpr bool answers(std::uint16_t port) const {
    return (value_ & kEnabled) != 0 && (value_ & 0xFFFF) == port;
  }
  /// Reference time times 0.3579545, which is 3.579545 MHz, modulo the width.
  [[nodiscard]] constexpr std::uint32_t counter_at(std::uint64_t time_100ns) const {
    // In two parts, so that no product exceeds a word.
    constexpr std::uint64_t kNumerator = 3'579'545;
    constexpr std::uint64_t kDenominator = 10'000'000;
    const std::uint64_t whole = time_100ns / kDenominator * kNumerator;
    const std::uint64_t rest = time_100ns % kDenominator * kNumerator / kDenominator;
    const auto counter = static_cast<std::uint32_t>(whole + rest);
    return (value_ & kWidth24) != 0 ? (counter & 0xFF'FFFF) : counter;
  }

 private:
  std::uint64_t value_;
};

}  // namespace hv
