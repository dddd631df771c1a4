// How a hypercall is made and answered: call codes, input and result values (TLFS "Hypercall
// Interface").
#pragma once

#include <cstddef>
#include <cstdint>

#include "hv/tlfs/status.h"

namespace hv {

enum class CallCode : std::uint16_t {
  kSwitchVirtualAddressSpace = 0x0001,
  kFlushVirtualAddressSpace = 0x0002,
  kFlushVirtualAddressList = 0x0003,
  kGetLogicalProcessorRunTime = 0x0004,
  kNotifyLongSpinWait = 0x0008,
  kSendSyntheticClusterIpi = 0x000B,
  kFlushVirtualAddressSpaceEx = 0x0013,
  kFlushVirtualAddressListEx = 0x0014,
  kSendSyntheticClusterIpiEx = 0x0015,
  kCreatePartition = 0x0040,
  kInitializePartition = 0x0041,
  kFinalizePartition = 0x0042,
  kDeletePartition = 0x0043,
  kGetPartitionProperty = 0x0044,
  kSetPartitionProperty = 0x0045,
  kGetPartitionId = 0x0046,
  kGetNextChildPartition = 0x0047,
  kDepositMemory = 0x0048,
  kWithdrawMemory = 0x0049,
  kGetMemoryBalance = 0x004A,
  kMapGpaPages = 0x004B,
  kUnmapGpaPages = 0x004C,
  kInstallIntercept = 0x004D,
  kCreateVp = 0x004E,
  kDeleteVp = 0x004F,
  kGetVpRegisters = 0x0050,
  kSetVpRegisters = 0x0051,
  kTranslateVirtualAddress = 0x0052,
  kReadGpa = 0x0053,
  kWriteGpa = 0x0054,
  kClearVirtualInterrupt = 0x0056,
  kDeletePort = 0x0058,
  kGetPortProperty = 0x005A,
  kDisconnectPort = 0x005B,
  kPostMessage = 0x005C,
  kSignalEvent = 0x005D,
  kPostDebugData = 0x0069,
  kRetrieveDebugData = 0x006A,
  kResetDebugSession = 0x006B,
  kMapStatsPage = 0x006C,
  kUnmapStatsPage = 0x006D,
  kMapSparseGpaPages = 0x006E,
  kSetSystemProperty = 0x006F,
  kSetPortProperty = 0x0070,
  kOutputDebugCharacter = 0x0071,
  kAddLogicalProcessor = 0x0076,
  kGetSystemProperty = 0x007B,
  kMapDeviceInterrupt = 0x007C,
  kUnmapDeviceInterrupt = 0x007D,
  kRetargetDeviceInterrupt = 0x007E,
  kEnterSleepState = 0x0084,
  kNotifyPartitionEvent = 0x0087,
  kNotifyPortRingEmpty = 0x008B,
  kModifySparseGpaPages = 0x0090,
  kRegisterInterceptResult = 0x0091,
  kUnregisterInterceptResult = 0x0092,
  kAssertVirtualInterrupt = 0x0094,
  kCreatePort = 0x0095,
  kConnectPort = 0x0096,
  kStartVirtualProcessor = 0x0099,
  kGetVpIndexFromApicId = 0x009A,
  kTranslateVirtualAddressEx = 0x00AC,
  kFlushGuestPhysicalAddressSpace = 0x00AF,
  kFlushGuestPhysicalAddressList = 0x00B0,
  kSignalEventDirect = 0x00C0,
  kPostMessageDirect = 0x00C1,
  kDispatchVp = 0x00C2,
  kGetGpaPagesAccessStates = 0x00C9,
  kAcquireSparseSpaPageHostAccess = 0x00D7,
  kReleaseSparseSpaPageHostAccess = 0x00D8,
  kMapVpStatePage = 0x00E1,
  kUnmapVpStatePage = 0x00E2,
  kGetVpState = 0x00E3,
  kSetVpState = 0x00E4,
  kGetVpCpuidValues = 0x00F4,
  kGetPartitionPropertyEx = 0x0101,
  kMmioRead = 0x0106,
  kMmioWrite = 0x0107,
  kSetPartitionPropertyEx = 0x010A,
  kMapStatsPage2 = 0x0131,
  kExtCallQueryCapabilities = 0x8001,
  kExtCallGetBootZeroedMemory = 0x8002,
  kExtCallMemoryHeatHint = 0x8003,
};

/// The input value (RCX): bits 15:0 call code, 16 fast, 26:17 variable header size in qwords,
/// 31 nested, 43:32 rep count, 59:48 rep start index; the others must be zero.
class HypercallControl {
 public:
  static constexpr std::uint64_t kReservedBits = 0xF000'F000'7800'0000;
  static constexpr std::uint64_t kFast = 1u << 16;
  static constexpr std::uint64_t kNested = 1u << 31;
  static constexpr std::uint32_t kMaxReps = 0xFFF;

  constexpr explicit HypercallControl(std::uint64_t value) : value_(value) {}
  constexpr explicit HypercallControl(CallCode code) : value_(static_cast<std::uint64_t>(code)) {}

  [[nodiscard]] constexpr HypercallControl fast() const { return HypercallControl(value_ | kFast); }
  [[nodiscard]] constexpr HypercallControl with_reps(std::uint32_t count,
                                                     std::uint32_t start = 0) const {
    return HypercallControl((value_ & ~kRepBits) |
                            (static_cast<std::uint64_t>(count & kMaxReps) << 32) |
                            (static_cast<std::uint64_t>(start & kMaxReps) << 48));
  }
  [[nodiscard]] constexpr HypercallControl with_variable_header(std::uint32_t qwords) const {
    return HypercallControl((value_ & ~kVariableHeaderBits) |
                            (static_cast<std::uint64_t>(qwords & 0x3FF) << 17));
  }

  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }
  [[nodiscard]] constexpr std::uint16_t code() const {
    return static_cast<std::uint16_t>(value_ & 0xFFFF);
  }
  [[nodiscard]] constexpr bool is_fast() const { return (value_ & kFast) != 0; }
  [[nodiscard]] constexpr bool is_nested() const { return (value_ & kNested) != 0; }
  [[nodiscard]] constexpr std::uint32_t variable_header_qwords() const {
    return static_cast<std::uint32_t>((value_ >> 17) & 0x3FF);
  }
  [[nodiscard]] constexpr std::uint32_t rep_count() const {
    return static_cast<std::uint32_t>((value_ >> 32) & kMaxReps);
  }
  [[nodiscard]] constexpr std::uint32_t rep_start() const {
    return static_cast<std::uint32_t>((value_ >> 48) & kMaxReps);
  }
  [[nodiscard]] constexpr bool reserved_bits_are_zero() const {
    return (value_ & kReservedBits) == 0;
  }
  friend constexpr bool operator==(HypercallControl, HypercallControl) = default;

 private:
  static constexpr std::uint64_t kRepBits = 0x0FFF'0FFF'0000'0000;
  static constexpr std::uint64_t kVariableHeaderBits = 0x3FFull << 17;
  std::uint64_t value_;
};

/// The result value (RAX): bits 15:0 status, 43:32 reps completed, counted from element 0.
class HypercallResult {
 public:
  constexpr explicit HypercallResult(std::uint64_t value) : value_(value) {}
  constexpr explicit HypercallResult(Status status, std::uint32_t reps_completed = 0)
      : value_(static_cast<std::uint64_t>(status) |
               (static_cast<std::uint64_t>(reps_completed & 0xFFF) << 32)) {}
  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }
  [[nodiscard]] constexpr Status status() const { return static_cast<Status>(value_ & 0xFFFF); }
  [[nodiscard]] constexpr std::uint32_t reps_completed() const {
    return static_cast<std::uint32_t>((value_ >> 32) & 0xFFF);
  }
  friend constexpr bool operator==(HypercallResult, HypercallResult) = default;

 private:
  std::uint64_t value_;
};

/// Bytes that a fast call carries in RDX and R8.
inline constexpr std::size_t kFastInputBytes = 16;
/// Bytes that a fast call carries in RDX, R8 and XMM0..XMM5, input and output together.
inline constexpr std::size_t kXmmFastInputBytes = 112;
/// Input and output blocks are aligned to this and lie within one page.
inline constexpr std::uint64_t kHypercallBlockAlignment = 8;

}  // namespace hv
