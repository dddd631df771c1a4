// The operations of the seam, as the trace hash and recordings number them. Numbers are never used
// again for something else.
#pragma once

#include <cstdint>

namespace sim {

enum class Operation : std::uint8_t {
  kCpuid = 1,
  kReadMsr = 2,
  kWriteMsr = 3,
  kIn = 4,
  kOut = 5,
  kReadTsc = 6,
  kFence = 7,
  kPause = 8,
  kDisableInterrupts = 9,
  kEnableInterrupts = 10,
  kInterruptsEnabled = 11,
  kStiHlt = 12,
  kSetInterruptHandler = 13,
  kProcessorLocal = 14,
  kSetProcessorLocal = 15,
  kArena = 16,
  kSpend = 17,
  kInterrupt = 18,

  kReadXmm = 19,

  kLoad = 20,
  kStore = 21,
  kExchange = 22,
  kCompareExchange = 23,
  kFetchOr = 24,
  kFetchAnd = 25,
  kReadMemory = 26,
  kWriteMemory = 27,
  kFillMemory = 28,

  kWriteXmm = 29,

  kSharedLoad = 30,
  kSharedStore = 31,
  kSharedExchange = 32,
  kSharedCompareExchange = 33,
  kSharedFetchAdd = 34,
  kSharedFetchOr = 35,
  kSharedFetchAnd = 36,

  kHypercall = 40,
  kImageBase = 41,
  kReadXcr0 = 42,
  kWriteXcr0 = 43,

  kVmxon = 50,
  kVmxoff = 51,
  kVmclear = 52,
  kVmptrld = 53,
  kVmread = 54,
  kVmwrite = 55,
  kWriteHostState = 56,
  kEnterGuest = 57,
  kInvept = 58,
  kInvvpid = 59,
  kDirectMap = 60,
  kStop = 61,
  kSaveExtendedState = 62,
  kRestoreExtendedState = 63,

  kChoose = 70,
  kAlways = 71,
  kSometimes = 72,
  kTrace = 73,
  kLockWanted = 74,
  kLockAcquired = 75,
  kLockReleased = 76,
};

[[nodiscard]] const char* name_of(Operation operation);

}  // namespace sim
