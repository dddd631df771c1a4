// The partition privilege mask (TLFS HV_PARTITION_PRIVILEGE_MASK; CPUID 0x40000003 EAX and EBX).
#pragma once

#include <cstdint>

namespace hv {

enum class Privilege : std::uint64_t {
  kAccessVpRunTimeReg = 1ull << 0,
  kAccessPartitionReferenceCounter = 1ull << 1,
  kAccessSynicRegs = 1ull << 2,
  kAccessSyntheticTimerRegs = 1ull << 3,
  kAccessIntrCtrlRegs = 1ull << 4,
  kAccessHypercallMsrs = 1ull << 5,
  kAccessVpIndex = 1ull << 6,
  kAccessResetReg = 1ull << 7,
  kAccessStatsReg = 1ull << 8,
  kAccessPartitionReferenceTsc = 1ull << 9,
  kAccessGuestIdleReg = 1ull << 10,
  kAccessFrequencyRegs = 1ull << 11,
  kAccessDebugRegs = 1ull << 12,
  kAccessReenlightenmentControls = 1ull << 13,
  kAccessRootSchedulerReg = 1ull << 14,
  kAccessTscInvariantControls = 1ull << 15,
  kCreatePartitions = 1ull << 32,
  kAccessPartitionId = 1ull << 33,
  kAccessMemoryPool = 1ull << 34,
  kAdjustMessageBuffers = 1ull << 35,
  kPostMessages = 1ull << 36,
  kSignalEvents = 1ull << 37,
  kCreatePort = 1ull << 38,
  kConnectPort = 1ull << 39,
  kAccessStats = 1ull << 40,
  kDebugging = 1ull << 43,
  kCpuManagement = 1ull << 44,
  kConfigureProfiler = 1ull << 45,
  kExtendedGvaRanges = 1ull << 47,
  kAccessVsm = 1ull << 48,
  kAccessVpRegisters = 1ull << 49,
  kFastHypercallOutput = 1ull << 51,
  kEnableExtendedHypercalls = 1ull << 52,
  kStartVirtualProcessor = 1ull << 53,
  kIsolation = 1ull << 54,
};

/// A set of privileges; its bits are the interface's.
class PrivilegeMask {
 public:
  constexpr PrivilegeMask() = default;
  constexpr explicit PrivilegeMask(std::uint64_t bits) : bits_(bits) {}
  [[nodiscard]] constexpr std::uint64_t bits() const { return bits_; }
  [[nodiscard]] constexpr bool has(Privilege privilege) const {
    return (bits_ & static_cast<std::uint64_t>(privilege)) != 0;
  }
  [[nodiscard]] constexpr PrivilegeMask with(Privilege privilege) const {
    return PrivilegeMask(bits_ | static_cast<std::uint64_t>(privilege));
  }
  friend constexpr bool operator==(PrivilegeMask, PrivilegeMask) = default;

 private:
  std::uint64_t bits_ = 0;
};

}  // namespace hv
