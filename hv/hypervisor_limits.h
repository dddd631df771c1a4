// How many of each thing there can be. Tables of these sizes exist from boot on, or lie in the
// pages of the partition that needs them.
#pragma once

#include <cstdint>

#include "hv/tlfs/privileges.h"
#include "machine/boot.h"

namespace hv {

/// A computer with more is refused at boot.
inline constexpr std::uint32_t kMaxLogicalProcessors = 64;
inline constexpr std::uint32_t kMaxPartitions = 2048;
/// Of one partition.
inline constexpr std::uint32_t kMaxVirtualProcessors = 64;

/// A root VP's share of a processor against the 100 of a child's.
inline constexpr std::uint32_t kRootWeight = 1000;

/// What a guest needs that knows the interface (TLFS "Partition Privilege Flags", less what this
/// hypervisor does not have): its own registers, messages, events.
inline constexpr std::uint64_t kGuestPrivilegeBits =
    static_cast<std::uint64_t>(Privilege::kAccessVpRunTimeReg) |
    static_cast<std::uint64_t>(Privilege::kAccessPartitionReferenceCounter) |
    static_cast<std::uint64_t>(Privilege::kAccessSynicRegs) |
    static_cast<std::uint64_t>(Privilege::kAccessSyntheticTimerRegs) |
    static_cast<std::uint64_t>(Privilege::kAccessIntrCtrlRegs) |
    static_cast<std::uint64_t>(Privilege::kAccessHypercallMsrs) |
    static_cast<std::uint64_t>(Privilege::kAccessVpIndex) |
    static_cast<std::uint64_t>(Privilege::kAccessResetReg) |
    static_cast<std::uint64_t>(Privilege::kAccessStatsReg) |
    static_cast<std::uint64_t>(Privilege::kAccessPartitionReferenceTsc) |
    static_cast<std::uint64_t>(Privilege::kAccessGuestIdleReg) |
    static_cast<std::uint64_t>(Privilege::kAccessFrequencyRegs) |
    static_cast<std::uint64_t>(Privilege::kPostMessages) |
    static_cast<std::uint64_t>(Privilege::kSignalEvents) |
    static_cast<std::uint64_t>(Privilege::kExtendedGvaRanges) |
    static_cast<std::uint64_t>(Privilege::kFastHypercallOutput) |
    static_cast<std::uint64_t>(Privilege::kStartVirtualProcessor);

/// What a child has until its parent says otherwise (TLFS "Partition Privilege Flags", defaults).
inline constexpr std::uint64_t kDefaultPrivilegeBits =
    kGuestPrivilegeBits & ~(static_cast<std::uint64_t>(Privilege::kAccessPartitionReferenceTsc) |
                            static_cast<std::uint64_t>(Privilege::kPostMessages) |
                            static_cast<std::uint64_t>(Privilege::kSignalEvents));

/// What a parent may give a child.
inline constexpr std::uint64_t kGrantablePrivilegeBits =
    kGuestPrivilegeBits | static_cast<std::uint64_t>(Privilege::kAccessReenlightenmentControls) |
    static_cast<std::uint64_t>(Privilege::kAccessTscInvariantControls) |
    static_cast<std::uint64_t>(Privilege::kAccessPartitionId) |
    static_cast<std::uint64_t>(Privilege::kDebugging) |
    static_cast<std::uint64_t>(Privilege::kEnableExtendedHypercalls) |
    static_cast<std::uint64_t>(Privilege::kCreatePort) |
    static_cast<std::uint64_t>(Privilege::kConnectPort) |
    static_cast<std::uint64_t>(Privilege::kAccessStats) |
    static_cast<std::uint64_t>(Privilege::kAccessVpRegisters);

}  // namespace hv
