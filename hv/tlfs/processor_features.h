// What a partition's processors may be shown to have: the processor's own features, by which a
// parent hides them (TLFS HV_PARTITION_PROCESSOR_FEATURES and its XSAVE kin), and the hypervisor's
// (HV_PARTITION_SYNTHETIC_PROCESSOR_FEATURES).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hv {

/// Features that have a bit in CPUID, by their place: 64 times the bank and the bit in it. The
/// third bank is that of what needs extended state.
enum class ProcessorFeature : std::uint8_t {
  kSse3 = 0,
  kLahfSahf = 1,
  kSsse3 = 2,
  kSse41 = 3,
  kSse42 = 4,
  kSse4a = 5,
  kXop = 6,
  kPopcnt = 7,
  kCmpxchg16b = 8,
  kAltMovCr8 = 9,
  kLzcnt = 10,
  kMisalignedSse = 11,
  kMmxExtensions = 12,
  k3dNow = 13,
  k3dNowExtended = 14,
  kPage1Gb = 15,
  kAes = 16,
  kPclmulqdq = 17,
  kPcid = 18,
  kFma4 = 19,
  kF16c = 20,
  kRdrand = 21,
  kFsGsBase = 22,
  kSmep = 23,
  kEnhancedFastString = 24,
  kBmi1 = 25,
  kBmi2 = 26,
  kMovbe = 29,
  kRdseed = 32,
  kAdx = 33,
  kPrefetchW = 34,
  kSmap = 35,
  kHle = 36,
  kRtm = 37,
  kRdtscp = 38,
  kClflushopt = 39,
  kClwb = 40,
  kSha = 41,
  kInvpcid = 43,
  kFastShortRepMov = 49,
  kRdpid = 57,
  kUmip = 58,
  // The second bank.
  kTscInvariant = 64 + 1,
  kTscDeadlineTimer = 64 + 17,
  kTscAdjust = 64 + 18,
  // Extended state.
  kXsave = 128 + 0,
  kXsaveopt = 128 + 1,
  kAvx = 128 + 2,
  kAvx2 = 128 + 3,
  kFma = 128 + 4,
  kMpx = 128 + 5,
  kAvx512 = 128 + 6,
  kAvx512Dq = 128 + 7,
  kAvx512Cd = 128 + 8,
  kAvx512Bw = 128 + 9,
  kAvx512Vl = 128 + 10,
  kXsaveCompact = 128 + 11,
  kXsaveSupervisor = 128 + 12,
};

/// A set of features; what it means to be in it is the holder's.
struct ProcessorFeatureBanks {
  static constexpr std::size_t kXsaveBank = 2;
  std::array<std::uint64_t, 3> banks{};

  [[nodiscard]] constexpr bool has(ProcessorFeature feature) const {
    const auto number = static_cast<unsigned>(feature);
    return ((banks[number / 64] >> (number % 64)) & 1) != 0;
  }
  constexpr void add(ProcessorFeature feature) {
    const auto number = static_cast<unsigned>(feature);
    banks[number / 64] |= 1ull << (number % 64);
  }
  [[nodiscard]] constexpr bool empty() const { return (banks[0] | banks[1] | banks[2]) == 0; }
};

/// Bits of the property SyntheticProcFeatures.
struct SyntheticFeatures {
  static constexpr std::uint64_t kHypervisorPresent = 1ull << 0;
  static constexpr std::uint64_t kHv1 = 1ull << 1;
  static constexpr std::uint64_t kVpRunTime = 1ull << 2;
  static constexpr std::uint64_t kReferenceCounter = 1ull << 3;
  static constexpr std::uint64_t kSynic = 1ull << 4;
  static constexpr std::uint64_t kSyntheticTimers = 1ull << 5;
  static constexpr std::uint64_t kApicMsrs = 1ull << 6;
  static constexpr std::uint64_t kHypercallMsrs = 1ull << 7;
  static constexpr std::uint64_t kVpIndex = 1ull << 8;
  static constexpr std::uint64_t kReferenceTsc = 1ull << 9;
  static constexpr std::uint64_t kGuestIdle = 1ull << 10;
  static constexpr std::uint64_t kFrequencyMsrs = 1ull << 11;
  static constexpr std::uint64_t kExtendedGvaRanges = 1ull << 15;
  static constexpr std::uint64_t kFastHypercallOutput = 1ull << 18;
  static constexpr std::uint64_t kStartVirtualProcessor = 1ull << 20;
  static constexpr std::uint64_t kDirectTimers = 1ull << 22;
  static constexpr std::uint64_t kExtendedProcessorMasks = 1ull << 24;
  static constexpr std::uint64_t kFlushCalls = 1ull << 25;
  static constexpr std::uint64_t kClusterIpi = 1ull << 26;
  static constexpr std::uint64_t kLongSpinWait = 1ull << 27;
  static constexpr std::uint64_t kVpRegisters = 1ull << 38;
  static constexpr std::uint64_t kMmioCalls = 1ull << 43;
  /// What a parent may name, whether this hypervisor has it or not: a guest sees in CPUID what it
  /// really has. All but the enlightened VMCS (32), which is nested virtualization's.
  static constexpr std::uint64_t kKnown = 0x0000'087E'FF54'8FFF;
};

}  // namespace hv
