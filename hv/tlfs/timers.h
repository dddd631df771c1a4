// Synthetic timers (TLFS "Timers").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hv {

inline constexpr std::uint32_t kSyntheticTimerCount = 4;

/// STIMERn_CONFIG.
struct TimerConfig {
  static constexpr std::uint64_t kEnable = 1u << 0;
  static constexpr std::uint64_t kPeriodic = 1u << 1;
  static constexpr std::uint64_t kLazy = 1u << 2;
  static constexpr std::uint64_t kAutoEnable = 1u << 3;
  static constexpr unsigned kVectorShift = 4;
  static constexpr std::uint64_t kDirect = 1u << 12;
  static constexpr unsigned kSintShift = 16;
  static constexpr std::uint64_t kReservedBits = ~0xF'1FFFull;

  std::uint64_t value = 0;
  [[nodiscard]] constexpr bool enabled() const { return (value & kEnable) != 0; }
  [[nodiscard]] constexpr bool periodic() const { return (value & kPeriodic) != 0; }
  [[nodiscard]] constexpr bool lazy() const { return (value & kLazy) != 0; }
  [[nodiscard]] constexpr bool auto_enable() const { return (value & kAutoEnable) != 0; }
  [[nodiscard]] constexpr bool direct() const { return (value & kDirect) != 0; }
  [[nodiscard]] constexpr std::uint8_t vector() const {
    return static_cast<std::uint8_t>((value >> kVectorShift) & 0xFF);
  }
  [[nodiscard]] constexpr std::uint8_t sint() const {
    return static_cast<std::uint8_t>((value >> kSintShift) & 0xF);
  }
  /// A timer that posts messages through a SINT, or interrupts with a vector directly.
  [[nodiscard]] static constexpr TimerConfig message(std::uint8_t sint, std::uint64_t flags) {
    return TimerConfig{flags | (static_cast<std::uint64_t>(sint & 0xF) << kSintShift)};
  }
  [[nodiscard]] static constexpr TimerConfig direct(std::uint8_t vector, std::uint64_t flags) {
    return TimerConfig{flags | kDirect | (static_cast<std::uint64_t>(vector) << kVectorShift)};
  }
  friend constexpr bool operator==(TimerConfig, TimerConfig) = default;
};
static_assert(sizeof(TimerConfig) == 8);

/// STIME_UNHALTED_TIMER_CONFIG: 7:0 vector, 2 for an NMI, bit 8 enables.
struct UnhaltedTimerConfig {
  static constexpr std::uint64_t kVectorMask = 0xFF;
  static constexpr std::uint64_t kEnable = 1u << 8;
  static constexpr std::uint8_t kNmi = 2;
  static constexpr std::uint8_t kMinVector = 16;
  /// In the VP assist page: set when it has expired.
  static constexpr std::uint32_t kExpiredOffset = 56;

  std::uint64_t value = 0;
  [[nodiscard]] constexpr bool enabled() const { return (value & kEnable) != 0; }
  [[nodiscard]] constexpr std::uint8_t vector() const {
    return static_cast<std::uint8_t>(value & kVectorMask);
  }
  [[nodiscard]] constexpr bool is_legal() const {
    return (value & ~(kVectorMask | kEnable)) == 0 &&
           (!enabled() || vector() == kNmi || vector() >= kMinVector);
  }
};

/// The payload of a TimerExpired message.
struct TimerExpiredPayload {
  std::uint32_t timer_index = 0;
  std::uint32_t reserved = 0;
  std::uint64_t expiration_time_100ns = 0;
  std::uint64_t delivery_time_100ns = 0;
};
static_assert(sizeof(TimerExpiredPayload) == 24);
static_assert(offsetof(TimerExpiredPayload, expiration_time_100ns) == 8);
static_assert(offsetof(TimerExpiredPayload, delivery_time_100ns) == 16);

/// HV_STIMER_STATE, one timer of the state that HvCallGetVpState saves.
struct SyntheticTimerState {
  static constexpr std::uint32_t kUndeliveredMessage = 1u << 0;
  std::uint32_t flags = 0;
  std::uint32_t reserved = 0;
  std::uint64_t config = 0;
  std::uint64_t count = 0;
  /// Of a periodic timer that runs: when it is due next.
  std::uint64_t adjustment = 0;
  std::uint64_t undelivered_expiration_time_100ns = 0;
};
static_assert(sizeof(SyntheticTimerState) == 40);
static_assert(offsetof(SyntheticTimerState, config) == 8);
static_assert(offsetof(SyntheticTimerState, undelivered_expiration_time_100ns) == 32);

/// HV_SYNTHETIC_TIMERS_STATE.
struct SyntheticTimersState {
  std::array<SyntheticTimerState, kSyntheticTimerCount> timers{};
  std::array<std::uint64_t, 5> reserved{};
};
static_assert(sizeof(SyntheticTimersState) == 200);

}  // namespace hv
