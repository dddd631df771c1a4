// The synthetic interrupt controller's registers and pages (TLFS "Synthetic Interrupt Controller").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hv {

inline constexpr std::uint32_t kSintCount = 16;
inline constexpr std::uint64_t kScontrolEnable = 1u << 0;
inline constexpr std::uint64_t kSynicVersion = 1;

/// SINT0..SINT15.
struct SintRegister {
  static constexpr std::uint64_t kVectorMask = 0xFF;
  static constexpr std::uint64_t kMasked = 1u << 16;
  static constexpr std::uint64_t kAutoEoi = 1u << 17;
  static constexpr std::uint64_t kPolling = 1u << 18;
  static constexpr std::uint64_t kAsIntercept = 1u << 19;
  static constexpr std::uint64_t kProxy = 1u << 20;
  static constexpr std::uint64_t kReset = kMasked;
  static constexpr std::uint8_t kMinVector = 16;

  std::uint64_t value = kReset;
  [[nodiscard]] constexpr std::uint8_t vector() const {
    return static_cast<std::uint8_t>(value & kVectorMask);
  }
  [[nodiscard]] constexpr bool masked() const { return (value & kMasked) != 0; }
  [[nodiscard]] constexpr bool auto_eoi() const { return (value & kAutoEoi) != 0; }
  [[nodiscard]] constexpr bool polling() const { return (value & kPolling) != 0; }
  [[nodiscard]] constexpr bool as_intercept() const { return (value & kAsIntercept) != 0; }
  [[nodiscard]] constexpr bool proxy() const { return (value & kProxy) != 0; }
  friend constexpr bool operator==(SintRegister, SintRegister) = default;
};
static_assert(sizeof(SintRegister) == 8);

// The event flags page: 16 areas of 256 bytes; flag f of an area is bit f % 8 of byte f / 8.
inline constexpr std::uint32_t kEventFlagsPerSint = 2048;
inline constexpr std::uint32_t kEventFlagsAreaBytes = kEventFlagsPerSint / 8;
static_assert(kEventFlagsAreaBytes * kSintCount == 4096);

/// One of the 16 rings of the event ring page, of a root's processor: ring n belongs to SINT n.
struct EventRingLayout {
  static constexpr std::uint32_t kEntries = 63;
  /// Set by the hypervisor when it signals, cleared by the root when it has emptied the ring.
  std::uint8_t signal_masked = 0;
  std::uint8_t ring_full = 0;
  std::uint16_t reserved = 0;
  /// Port ids; 0 is an empty entry.
  std::array<std::uint32_t, kEntries> entries{};
};
static_assert(sizeof(EventRingLayout) == 256);
static_assert(offsetof(EventRingLayout, ring_full) == 1);
static_assert(offsetof(EventRingLayout, entries) == 4);
static_assert(sizeof(EventRingLayout) * kSintCount == 4096);

/// The head of the VP assist page (TLFS "Virtual Processor Assist Page").
struct VpAssistPage {
  static constexpr std::uint32_t kNoEoiRequired = 1u << 0;
  std::uint32_t apic_assist = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(VpAssistPage) == 8);

}  // namespace hv
