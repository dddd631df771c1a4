// What each operation costs in virtual nanoseconds: about a current server. All costs are here.
#pragma once

#include <cstdint>

namespace sim::cost {

using Nanoseconds = std::uint64_t;

// Private to the processor.
inline constexpr Nanoseconds kPrivate = 1;         // interrupt flag, processor-local word
inline constexpr Nanoseconds kVmcsAccess = 8;      // VMREAD, VMWRITE
inline constexpr Nanoseconds kReadMsr = 40;        // RDMSR
inline constexpr Nanoseconds kWriteMsr = 80;       // WRMSR, x2APIC registers included
inline constexpr Nanoseconds kCpuid = 50;          // CPUID outside of a guest
inline constexpr Nanoseconds kReadTsc = 10;        // RDTSC
inline constexpr Nanoseconds kPause = 45;          // PAUSE
inline constexpr Nanoseconds kXmm = 2;             // XMM0 to XMM5 from or to memory
inline constexpr Nanoseconds kReadXcr0 = 5;        // XGETBV
inline constexpr Nanoseconds kWriteXcr0 = 25;      // XSETBV outside of a guest
inline constexpr Nanoseconds kHypercallEntry = 5;  // CALL of the page, before VMCALL exits

// Seen by others.
inline constexpr Nanoseconds kSharedLoad = 5;
inline constexpr Nanoseconds kSharedStore = 5;
inline constexpr Nanoseconds kSharedReadModifyWrite = 20;
inline constexpr Nanoseconds kFence = 20;
inline constexpr Nanoseconds kCopySetUp = 10;
inline constexpr Nanoseconds kCopyBytesPerNanosecond = 16;
inline constexpr Nanoseconds kPort = 1000;  // IN and OUT of a legacy device

// VMX.
inline constexpr Nanoseconds kVmxControl = 100;  // VMXON, VMCLEAR, VMPTRLD
inline constexpr Nanoseconds kVmEntry = 450;
inline constexpr Nanoseconds kVmExit = 550;
inline constexpr Nanoseconds kExtendedState = 40;  // XSAVEOPT, XRSTOR
inline constexpr Nanoseconds kInvalidate = 200;    // INVEPT, INVVPID

// Interrupts.
inline constexpr Nanoseconds kInterruptDelivery = 150;
inline constexpr Nanoseconds kIpi = 1000;
inline constexpr Nanoseconds kWakeUp = 500;  // out of HLT
/// Until the other processors follow the first one into the hypervisor, at most.
inline constexpr Nanoseconds kProcessorStartSpread = 50'000;

}  // namespace sim::cost
