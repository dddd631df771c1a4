// The hypervisor's CPUID leaves (TLFS "Feature and Interface Discovery").
#pragma once

#include <cstdint>

namespace hv {

inline constexpr std::uint32_t kCpuidHypervisorPresent = 1u << 31;  // CPUID.1:ECX

inline constexpr std::uint32_t kCpuidVendor = 0x40000000;
inline constexpr std::uint32_t kCpuidInterface = 0x40000001;
inline constexpr std::uint32_t kCpuidVersion = 0x40000002;
inline constexpr std::uint32_t kCpuidFeatures = 0x40000003;
inline constexpr std::uint32_t kCpuidRecommendations = 0x40000004;
inline constexpr std::uint32_t kCpuidLimits = 0x40000005;
inline constexpr std::uint32_t kCpuidHardwareFeatures = 0x40000006;
inline constexpr std::uint32_t kCpuidCpuManagement = 0x40000007;
inline constexpr std::uint32_t kCpuidReserved8 = 0x40000008;
inline constexpr std::uint32_t kCpuidNestedPrivileges = 0x40000009;
inline constexpr std::uint32_t kCpuidNestedOptimizations = 0x4000000A;
inline constexpr std::uint32_t kCpuidIsolation = 0x4000000C;
inline constexpr std::uint32_t kCpuidLeafMin = 0x40000000;
inline constexpr std::uint32_t kCpuidLeafMax = 0x400000FF;

// Leaf 0x40000000: "Microsoft Hv", which guests compare byte by byte.
inline constexpr std::uint32_t kVendorEbx = 0x7263694D;
inline constexpr std::uint32_t kVendorEcx = 0x666F736F;
inline constexpr std::uint32_t kVendorEdx = 0x76482074;
/// Leaf 0x40000001 EAX: "Hv#1".
inline constexpr std::uint32_t kInterfaceHv1 = 0x31237648;

/// Leaf 0x40000003 EDX.
struct FeaturesEdx {
  static constexpr std::uint32_t kGuestDebugging = 1u << 1;
  static constexpr std::uint32_t kPerformanceMonitors = 1u << 2;
  static constexpr std::uint32_t kXmmHypercallInput = 1u << 4;
  static constexpr std::uint32_t kGuestIdleState = 1u << 5;
  static constexpr std::uint32_t kHypervisorSleepState = 1u << 6;
  static constexpr std::uint32_t kNumaDistanceQuery = 1u << 7;
  static constexpr std::uint32_t kFrequencyMsrs = 1u << 8;
  static constexpr std::uint32_t kSyntheticMachineCheck = 1u << 9;
  static constexpr std::uint32_t kGuestCrashMsrs = 1u << 10;
  static constexpr std::uint32_t kDebugMsrs = 1u << 11;
  static constexpr std::uint32_t kDisableHypervisor = 1u << 13;
  static constexpr std::uint32_t kExtendedGvaRanges = 1u << 14;
  static constexpr std::uint32_t kXmmHypercallOutput = 1u << 15;
  static constexpr std::uint32_t kSintPolling = 1u << 17;
  static constexpr std::uint32_t kHypercallMsrLock = 1u << 18;
  static constexpr std::uint32_t kDirectSyntheticTimers = 1u << 19;
  static constexpr std::uint32_t kTimeUnhaltedTimer = 1u << 23;
};

/// Leaf 0x40000004 EAX.
struct Recommendations {
  static constexpr std::uint32_t kAddressSpaceSwitchCall = 1u << 0;
  static constexpr std::uint32_t kLocalFlushCall = 1u << 1;
  static constexpr std::uint32_t kRemoteFlushCall = 1u << 2;
  static constexpr std::uint32_t kApicMsrs = 1u << 3;
  static constexpr std::uint32_t kResetMsr = 1u << 4;
  static constexpr std::uint32_t kRelaxedTiming = 1u << 5;
  static constexpr std::uint32_t kX2ApicMsrs = 1u << 8;
  static constexpr std::uint32_t kAutoEoiDeprecated = 1u << 9;
  static constexpr std::uint32_t kSyntheticClusterIpi = 1u << 10;
  static constexpr std::uint32_t kExProcessorMasks = 1u << 11;
  static constexpr std::uint32_t kNested = 1u << 12;
  static constexpr std::uint32_t kEnlightenedVmcs = 1u << 14;
  static constexpr std::uint32_t kMmioCalls = 1u << 21;
};

/// Leaf 0x40000006 EAX.
struct HardwareFeatures {
  static constexpr std::uint32_t kApicOverlayAssist = 1u << 0;
  static constexpr std::uint32_t kMsrBitmaps = 1u << 1;
  static constexpr std::uint32_t kSecondLevelTranslation = 1u << 3;
  static constexpr std::uint32_t kUnrestrictedGuest = 1u << 17;
};

/// Leaf 0x40000007 EAX.
struct CpuManagementFeatures {
  static constexpr std::uint32_t kStartLogicalProcessor = 1u << 0;
  static constexpr std::uint32_t kCreateRootVp = 1u << 1;
};

}  // namespace hv
