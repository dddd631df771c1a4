// The synthetic MSRs (TLFS "MSR Address Space"; layouts in the chapters that each is from).
#pragma once

#include <cstdint>

#include "machine/address.h"

namespace hv {

inline constexpr std::uint32_t kMsrGuestOsId = 0x40000000;
inline constexpr std::uint32_t kMsrHypercall = 0x40000001;
inline constexpr std::uint32_t kMsrVpIndex = 0x40000002;
inline constexpr std::uint32_t kMsrReset = 0x40000003;
inline constexpr std::uint32_t kMsrVpRuntime = 0x40000010;
inline constexpr std::uint32_t kMsrTimeRefCount = 0x40000020;
inline constexpr std::uint32_t kMsrReferenceTsc = 0x40000021;
inline constexpr std::uint32_t kMsrTscFrequency = 0x40000022;
inline constexpr std::uint32_t kMsrApicFrequency = 0x40000023;
inline constexpr std::uint32_t kMsrNpiepConfig = 0x40000040;
inline constexpr std::uint32_t kMsrEoi = 0x40000070;
inline constexpr std::uint32_t kMsrIcr = 0x40000071;
inline constexpr std::uint32_t kMsrTpr = 0x40000072;
inline constexpr std::uint32_t kMsrVpAssistPage = 0x40000073;
inline constexpr std::uint32_t kMsrScontrol = 0x40000080;
inline constexpr std::uint32_t kMsrSversion = 0x40000081;
inline constexpr std::uint32_t kMsrSiefp = 0x40000082;
inline constexpr std::uint32_t kMsrSimp = 0x40000083;
inline constexpr std::uint32_t kMsrEom = 0x40000084;
inline constexpr std::uint32_t kMsrSirbp = 0x40000085;
inline constexpr std::uint32_t kMsrSint0 = 0x40000090;
inline constexpr std::uint32_t kMsrSint15 = 0x4000009F;
inline constexpr std::uint32_t kMsrStimer0Config = 0x400000B0;
inline constexpr std::uint32_t kMsrStimer0Count = 0x400000B1;
inline constexpr std::uint32_t kMsrStimer3Count = 0x400000B7;
inline constexpr std::uint32_t kMsrPowerStateTriggerC1 = 0x400000C1;
inline constexpr std::uint32_t kMsrPowerStateTriggerC3 = 0x400000C3;
inline constexpr std::uint32_t kMsrPowerStateConfigC1 = 0x400000D1;
inline constexpr std::uint32_t kMsrPowerStateConfigC3 = 0x400000D3;
inline constexpr std::uint32_t kMsrStatsPartitionRetail = 0x400000E0;
inline constexpr std::uint32_t kMsrStatsVpInternal = 0x400000E3;
inline constexpr std::uint32_t kMsrGuestIdle = 0x400000F0;
inline constexpr std::uint32_t kMsrCrashP0 = 0x40000100;
inline constexpr std::uint32_t kMsrCrashP4 = 0x40000104;
inline constexpr std::uint32_t kMsrCrashCtl = 0x40000105;
inline constexpr std::uint32_t kMsrReenlightenmentControl = 0x40000106;
inline constexpr std::uint32_t kMsrTscEmulationControl = 0x40000107;
inline constexpr std::uint32_t kMsrTscEmulationStatus = 0x40000108;
inline constexpr std::uint32_t kMsrUnhaltedTimerConfig = 0x40000114;
inline constexpr std::uint32_t kMsrUnhaltedTimerCount = 0x40000115;
inline constexpr std::uint32_t kMsrTscInvariantControl = 0x40000118;
inline constexpr std::uint32_t kMsrSyntheticFirst = 0x40000000;
inline constexpr std::uint32_t kMsrSyntheticLast = 0x400001FF;

/// The form that HYPERCALL, REFERENCE_TSC, VP_ASSIST_PAGE, SIEFP, SIMP and SIRBP share: bit 0
/// enables, 11:1 are preserved, 63:12 say where in the GPA space the page lies.
class OverlayPageRegister {
 public:
  static constexpr std::uint64_t kEnable = 1u << 0;
  /// HYPERCALL only: no write changes the register until the next reset.
  static constexpr std::uint64_t kLocked = 1u << 1;

  constexpr OverlayPageRegister() = default;
  constexpr explicit OverlayPageRegister(std::uint64_t value) : value_(value) {}
  constexpr OverlayPageRegister(machine::Gpn page, bool enabled)
      : value_((page.value() << machine::kPageShift) | (enabled ? kEnable : 0)) {}
  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }
  [[nodiscard]] constexpr bool enabled() const { return (value_ & kEnable) != 0; }
  [[nodiscard]] constexpr bool locked() const { return (value_ & kLocked) != 0; }
  [[nodiscard]] constexpr machine::Gpn page() const {
    return machine::Gpn(value_ >> machine::kPageShift);
  }
  friend constexpr bool operator==(OverlayPageRegister, OverlayPageRegister) = default;

 private:
  std::uint64_t value_ = 0;
};

// CRASH_CTL.
inline constexpr std::uint64_t kCrashNotify = 1ull << 63;
inline constexpr std::uint64_t kCrashMessage = 1ull << 62;
inline constexpr std::uint64_t kCrashMessageMaxBytes = 4096;
/// These, no dump (61), and which kernel it was that crashed (60:58); the others must be zero.
inline constexpr std::uint64_t kCrashControlBits = 0x3Full << 58;

/// REENLIGHTENMENT_CONTROL: vector, bit 16 enables, target VP in the upper half.
inline constexpr std::uint64_t kReenlightenmentBits = 0xFFFF'FFFF'0001'00FF;
inline constexpr std::uint64_t kTscEmulationEnable = 1u << 0;
/// TSC_INVARIANT_CONTROL: CPUID 0x80000007 tells that the counter is invariant.
inline constexpr std::uint64_t kTscInvariantShown = 1u << 0;

/// RESET: bit 0 restarts the partition; the others must be zero.
inline constexpr std::uint64_t kResetPartition = 1u << 0;

/// An open-source guest's GUEST_OS_ID: bit 63, an operating system type, a version.
[[nodiscard]] constexpr std::uint64_t open_source_guest_os_id(std::uint8_t os_type,
                                                              std::uint32_t version) {
  return (1ull << 63) | (static_cast<std::uint64_t>(os_type & 0x7F) << 56) |
         (static_cast<std::uint64_t>(version) << 16);
}

}  // namespace hv
