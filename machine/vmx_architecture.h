// VT-x as the processor defines it: control bits, exit reasons, event formats, capability MSRs
// (SDM vol. 3 chapters 24-28 and appendices A and C). Facts only: used by hv/vtx to program the
// processor and by the simulator to be one.
#pragma once

#include <cstdint>

namespace machine::vmx {

// Pin-based controls (SDM vol. 3 24.6.1).
inline constexpr std::uint32_t kPinExternalInterruptExiting = 1u << 0;
inline constexpr std::uint32_t kPinNmiExiting = 1u << 3;
inline constexpr std::uint32_t kPinVirtualNmis = 1u << 5;
inline constexpr std::uint32_t kPinPreemptionTimer = 1u << 6;

// Primary processor-based controls (24.6.2).
inline constexpr std::uint32_t kInterruptWindowExiting = 1u << 2;
inline constexpr std::uint32_t kUseTscOffsetting = 1u << 3;
inline constexpr std::uint32_t kHltExiting = 1u << 7;
inline constexpr std::uint32_t kInvlpgExiting = 1u << 9;
inline constexpr std::uint32_t kMwaitExiting = 1u << 10;
inline constexpr std::uint32_t kRdpmcExiting = 1u << 11;
inline constexpr std::uint32_t kRdtscExiting = 1u << 12;
inline constexpr std::uint32_t kCr3LoadExiting = 1u << 15;
inline constexpr std::uint32_t kCr3StoreExiting = 1u << 16;
inline constexpr std::uint32_t kCr8LoadExiting = 1u << 19;
inline constexpr std::uint32_t kCr8StoreExiting = 1u << 20;
inline constexpr std::uint32_t kUseTprShadow = 1u << 21;
inline constexpr std::uint32_t kNmiWindowExiting = 1u << 22;
inline constexpr std::uint32_t kMovDrExiting = 1u << 23;
inline constexpr std::uint32_t kUnconditionalIoExiting = 1u << 24;
inline constexpr std::uint32_t kUseIoBitmaps = 1u << 25;
inline constexpr std::uint32_t kUseMsrBitmaps = 1u << 28;
inline constexpr std::uint32_t kMonitorExiting = 1u << 29;
inline constexpr std::uint32_t kPauseExiting = 1u << 30;
inline constexpr std::uint32_t kActivateSecondaryControls = 1u << 31;

// Secondary processor-based controls (24.6.2).
inline constexpr std::uint32_t kEnableEpt = 1u << 1;
inline constexpr std::uint32_t kEnableRdtscp = 1u << 3;
inline constexpr std::uint32_t kEnableVpid = 1u << 5;
inline constexpr std::uint32_t kWbinvdExiting = 1u << 6;
inline constexpr std::uint32_t kUnrestrictedGuest = 1u << 7;
inline constexpr std::uint32_t kEnableInvpcid = 1u << 12;
inline constexpr std::uint32_t kEnableXsaves = 1u << 20;

// VM-exit controls (24.7.1) and VM-entry controls (24.8.1).
inline constexpr std::uint32_t kExitSaveDebugControls = 1u << 2;
inline constexpr std::uint32_t kExitHostAddressSpaceSize = 1u << 9;
inline constexpr std::uint32_t kExitAcknowledgeInterrupt = 1u << 15;
inline constexpr std::uint32_t kExitSavePat = 1u << 18;
inline constexpr std::uint32_t kExitLoadPat = 1u << 19;
inline constexpr std::uint32_t kExitSaveEfer = 1u << 20;
inline constexpr std::uint32_t kExitLoadEfer = 1u << 21;
inline constexpr std::uint32_t kExitSavePreemptionTimer = 1u << 22;
inline constexpr std::uint32_t kEntryLoadDebugControls = 1u << 2;
inline constexpr std::uint32_t kEntryIa32eModeGuest = 1u << 9;
inline constexpr std::uint32_t kEntryLoadPat = 1u << 14;
inline constexpr std::uint32_t kEntryLoadEfer = 1u << 15;

/// Basic exit reasons (appendix C).
enum class ExitReason : std::uint16_t {
  kExceptionOrNmi = 0,
  kExternalInterrupt = 1,
  kTripleFault = 2,
  kInit = 3,
  kStartupIpi = 4,
  kInterruptWindow = 7,
  kNmiWindow = 8,
  kTaskSwitch = 9,
  kCpuid = 10,
  kHlt = 12,
  kInvd = 13,
  kInvlpg = 14,
  kRdpmc = 15,
  kRdtsc = 16,
  kVmcall = 18,
  kVmclear = 19,
  kVmlaunch = 20,
  kVmptrld = 21,
  kVmptrst = 22,
  kVmread = 23,
  kVmresume = 24,
  kVmwrite = 25,
  kVmxoff = 26,
  kVmxon = 27,
  kControlRegister = 28,
  kDebugRegister = 29,
  kIoInstruction = 30,
  kRdmsr = 31,
  kWrmsr = 32,
  kEntryFailureGuestState = 33,
  kEntryFailureMsrLoading = 34,
  kMwait = 36,
  kMonitor = 39,
  kPause = 40,
  kEntryFailureMachineCheck = 41,
  kTprBelowThreshold = 43,
  kEptViolation = 48,
  kEptMisconfiguration = 49,
  kInvept = 50,
  kRdtscp = 51,
  kPreemptionTimer = 52,
  kInvvpid = 53,
  kWbinvd = 54,
  kXsetbv = 55,
};
/// Bit 31 of the exit-reason field: the entry itself failed.
inline constexpr std::uint32_t kExitReasonEntryFailure = 1u << 31;

// Interruption information (24.8.3, 24.9.2): vector 7:0, type 10:8, error code valid 11, valid 31.
inline constexpr std::uint32_t kEventValid = 1u << 31;
inline constexpr std::uint32_t kEventErrorCodeValid = 1u << 11;
inline constexpr std::uint32_t kEventTypeShift = 8;
inline constexpr std::uint32_t kEventTypeExternalInterrupt = 0;
inline constexpr std::uint32_t kEventTypeNmi = 2;
inline constexpr std::uint32_t kEventTypeHardwareException = 3;
inline constexpr std::uint32_t kEventTypeSoftwareInterrupt = 4;
inline constexpr std::uint32_t kEventTypeSoftwareException = 6;

// Interruptibility state (24.4.2) and activity state.
inline constexpr std::uint32_t kBlockingBySti = 1u << 0;
inline constexpr std::uint32_t kBlockingByMovSs = 1u << 1;
inline constexpr std::uint32_t kBlockingBySmi = 1u << 2;
inline constexpr std::uint32_t kBlockingByNmi = 1u << 3;
inline constexpr std::uint32_t kActivityActive = 0;
inline constexpr std::uint32_t kActivityHlt = 1;
inline constexpr std::uint32_t kActivityShutdown = 2;
inline constexpr std::uint32_t kActivityWaitForSipi = 3;

// VM-instruction errors (30.4).
inline constexpr std::uint32_t kErrorVmclearInvalidAddress = 2;
inline constexpr std::uint32_t kErrorVmclearVmxonPointer = 3;
inline constexpr std::uint32_t kErrorVmlaunchNonClearVmcs = 4;
inline constexpr std::uint32_t kErrorVmresumeNonLaunchedVmcs = 5;
inline constexpr std::uint32_t kErrorInvalidControlFields = 7;
inline constexpr std::uint32_t kErrorInvalidHostState = 8;
inline constexpr std::uint32_t kErrorVmptrldInvalidAddress = 9;
inline constexpr std::uint32_t kErrorVmptrldVmxonPointer = 10;
inline constexpr std::uint32_t kErrorVmptrldWrongRevision = 11;
inline constexpr std::uint32_t kErrorUnsupportedField = 12;
inline constexpr std::uint32_t kErrorWriteReadOnlyField = 13;
inline constexpr std::uint32_t kErrorVmxonInRoot = 15;
inline constexpr std::uint32_t kErrorEntryWithMovSsBlocking = 26;
inline constexpr std::uint32_t kErrorInvalidInveptOperand = 28;

// EPT entries (28.2.2) and EPTP (24.6.11).
inline constexpr std::uint64_t kEptRead = 1u << 0;
inline constexpr std::uint64_t kEptWrite = 1u << 1;
inline constexpr std::uint64_t kEptExecute = 1u << 2;
inline constexpr std::uint64_t kEptMemoryTypeShift = 3;
inline constexpr std::uint64_t kEptIgnorePat = 1u << 6;
inline constexpr std::uint64_t kEptLargePage = 1u << 7;
inline constexpr std::uint64_t kEptAccessed = 1u << 8;
inline constexpr std::uint64_t kEptDirty = 1u << 9;
inline constexpr std::uint64_t kEptAddressMask = 0x000FFFFFFFFFF000;
inline constexpr std::uint64_t kMemoryTypeUncacheable = 0;
inline constexpr std::uint64_t kMemoryTypeWriteBack = 6;
inline constexpr std::uint64_t kEptpWalkLength4 = 3u << 3;
inline constexpr std::uint64_t kEptpEnableAccessedDirty = 1u << 6;

// Exit instruction information of INS and OUTS (table 27-8).
inline constexpr std::uint32_t kAddressSizeShift = 7;
inline constexpr std::uint32_t kAddressSize16 = 0;
inline constexpr std::uint32_t kAddressSize32 = 1;
inline constexpr std::uint32_t kAddressSize64 = 2;

// Exit qualification of EPT violations (27.2.1, table 27-7).
inline constexpr std::uint64_t kEptViolationRead = 1u << 0;
inline constexpr std::uint64_t kEptViolationWrite = 1u << 1;
inline constexpr std::uint64_t kEptViolationFetch = 1u << 2;
inline constexpr std::uint64_t kEptViolationReadable = 1u << 3;
inline constexpr std::uint64_t kEptViolationWritable = 1u << 4;
inline constexpr std::uint64_t kEptViolationExecutable = 1u << 5;
inline constexpr std::uint64_t kEptViolationLinearValid = 1u << 7;
inline constexpr std::uint64_t kEptViolationLinearTranslated = 1u << 8;

}  // namespace machine::vmx
