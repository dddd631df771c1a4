// VMCS field encodings, typed by width (SDM vol. 3 appendix B). Fields that only an exit writes
// have types of their own, so that writing one does not compile.
#pragma once

#include <cstdint>

namespace machine {

enum class Vmcs16 : std::uint32_t {
  kVpid = 0x0000,
  kGuestEsSelector = 0x0800,
  kGuestCsSelector = 0x0802,
  kGuestSsSelector = 0x0804,
  kGuestDsSelector = 0x0806,
  kGuestFsSelector = 0x0808,
  kGuestGsSelector = 0x080A,
  kGuestLdtrSelector = 0x080C,
  kGuestTrSelector = 0x080E,
  kHostEsSelector = 0x0C00,
  kHostCsSelector = 0x0C02,
  kHostSsSelector = 0x0C04,
  kHostDsSelector = 0x0C06,
  kHostFsSelector = 0x0C08,
  kHostGsSelector = 0x0C0A,
  kHostTrSelector = 0x0C0C,
};

enum class Vmcs64 : std::uint32_t {
  kIoBitmapA = 0x2000,
  kIoBitmapB = 0x2002,
  kMsrBitmap = 0x2004,
  kVmExitMsrStoreAddress = 0x2006,
  kVmExitMsrLoadAddress = 0x2008,
  kVmEntryMsrLoadAddress = 0x200A,
  kTscOffset = 0x2010,
  kVirtualApicAddress = 0x2012,
  kApicAccessAddress = 0x2014,
  kEptPointer = 0x201A,
  kVmcsLinkPointer = 0x2800,
  kGuestDebugctl = 0x2802,
  kGuestPat = 0x2804,
  kGuestEfer = 0x2806,
  kGuestPdpte0 = 0x280A,
  kGuestPdpte1 = 0x280C,
  kGuestPdpte2 = 0x280E,
  kGuestPdpte3 = 0x2810,
  kHostPat = 0x2C00,
  kHostEfer = 0x2C02,
};

enum class VmcsReadOnly64 : std::uint32_t {
  kGuestPhysicalAddress = 0x2400,
};

enum class Vmcs32 : std::uint32_t {
  kPinBasedControls = 0x4000,
  kProcessorBasedControls = 0x4002,
  kExceptionBitmap = 0x4004,
  kPageFaultErrorCodeMask = 0x4006,
  kPageFaultErrorCodeMatch = 0x4008,
  kCr3TargetCount = 0x400A,
  kVmExitControls = 0x400C,
  kVmExitMsrStoreCount = 0x400E,
  kVmExitMsrLoadCount = 0x4010,
  kVmEntryControls = 0x4012,
  kVmEntryMsrLoadCount = 0x4014,
  kVmEntryInterruptionInformation = 0x4016,
  kVmEntryExceptionErrorCode = 0x4018,
  kVmEntryInstructionLength = 0x401A,
  kTprThreshold = 0x401C,
  kSecondaryProcessorBasedControls = 0x401E,
  kGuestEsLimit = 0x4800,
  kGuestCsLimit = 0x4802,
  kGuestSsLimit = 0x4804,
  kGuestDsLimit = 0x4806,
  kGuestFsLimit = 0x4808,
  kGuestGsLimit = 0x480A,
  kGuestLdtrLimit = 0x480C,
  kGuestTrLimit = 0x480E,
  kGuestGdtrLimit = 0x4810,
  kGuestIdtrLimit = 0x4812,
  kGuestEsAccessRights = 0x4814,
  kGuestCsAccessRights = 0x4816,
  kGuestSsAccessRights = 0x4818,
  kGuestDsAccessRights = 0x481A,
  kGuestFsAccessRights = 0x481C,
  kGuestGsAccessRights = 0x481E,
  kGuestLdtrAccessRights = 0x4820,
  kGuestTrAccessRights = 0x4822,
  kGuestInterruptibilityState = 0x4824,
  kGuestActivityState = 0x4826,
  kGuestSmbase = 0x4828,
  kGuestSysenterCs = 0x482A,
  kPreemptionTimerValue = 0x482E,
  kHostSysenterCs = 0x4C00,
};

enum class VmcsReadOnly32 : std::uint32_t {
  kVmInstructionError = 0x4400,
  kExitReason = 0x4402,
  kExitInterruptionInformation = 0x4404,
  kExitInterruptionErrorCode = 0x4406,
  kIdtVectoringInformation = 0x4408,
  kIdtVectoringErrorCode = 0x440A,
  kExitInstructionLength = 0x440C,
  kExitInstructionInformation = 0x440E,
};

enum class VmcsNatural : std::uint32_t {
  kCr0GuestHostMask = 0x6000,
  kCr4GuestHostMask = 0x6002,
  kCr0ReadShadow = 0x6004,
  kCr4ReadShadow = 0x6006,
  kGuestCr0 = 0x6800,
  kGuestCr3 = 0x6802,
  kGuestCr4 = 0x6804,
  kGuestEsBase = 0x6806,
  kGuestCsBase = 0x6808,
  kGuestSsBase = 0x680A,
  kGuestDsBase = 0x680C,
  kGuestFsBase = 0x680E,
  kGuestGsBase = 0x6810,
  kGuestLdtrBase = 0x6812,
  kGuestTrBase = 0x6814,
  kGuestGdtrBase = 0x6816,
  kGuestIdtrBase = 0x6818,
  kGuestDr7 = 0x681A,
  kGuestRsp = 0x681C,
  kGuestRip = 0x681E,
  kGuestRflags = 0x6820,
  kGuestPendingDebugExceptions = 0x6822,
  kGuestSysenterEsp = 0x6824,
  kGuestSysenterEip = 0x6826,
  kHostCr0 = 0x6C00,
  kHostCr3 = 0x6C02,
  kHostCr4 = 0x6C04,
  kHostFsBase = 0x6C06,
  kHostGsBase = 0x6C08,
  kHostTrBase = 0x6C0A,
  kHostGdtrBase = 0x6C0C,
  kHostIdtrBase = 0x6C0E,
  kHostSysenterEsp = 0x6C10,
  kHostSysenterEip = 0x6C12,
  kHostRsp = 0x6C14,
  kHostRip = 0x6C16,
};

enum class VmcsReadOnlyNatural : std::uint32_t {
  kExitQualification = 0x6400,
  kGuestLinearAddress = 0x640A,
};

}  // namespace machine
