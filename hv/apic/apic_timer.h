// The local APIC's timer: one-shot, periodic and TSC-deadline mode (SDM vol. 3 10.5.4).
#pragma once

#include <cstdint>
#include <optional>

namespace hv {

enum class ApicTimerMode : std::uint8_t { kOneShot = 0, kPeriodic = 1, kTscDeadline = 2 };

/// Its input clock is the guest's time-stamp counter; `now` is that counter.
class ApicTimer {
 public:
  void reset() { *this = ApicTimer(); }

  [[nodiscard]] std::uint32_t initial_count() const { return initial_count_; }
  [[nodiscard]] std::uint32_t divide_configuration() const { return divide_configuration_; }
  [[nodiscard]] std::uint32_t current_count(std::uint64_t now) const;
  /// IA32_TSC_DEADLINE: 0 when not armed or in another mode.
  [[nodiscard]] std::uint64_t tsc_deadline() const { return tsc_deadline_; }

  /// A change between the counting modes and TSC-deadline stops the timer.
  void set_mode(ApicTimerMode mode);
  /// Ignored in TSC-deadline mode. 0 stops.
  void set_initial_count(std::uint32_t count, std::uint64_t now);
  void set_divide_configuration(std::uint32_t configuration, std::uint64_t now);
  /// A counting timer goes on from `left`, which is not above its initial count; 0 is one that has
  /// stopped. Ignored in TSC-deadline mode.
  void continue_from(std::uint32_t initial_count, std::uint32_t left, std::uint64_t now);
  /// Ignored in the counting modes. 0 stops.
  void set_tsc_deadline(std::uint64_t deadline);

  /// When expire() will be true; nothing while stopped.
  [[nodiscard]] std::optional<std::uint64_t> deadline() const;
  /// Whether the timer ran out by `now`. It moves on: a periodic timer to the first end of a period
  /// that is still to come.
  [[nodiscard]] bool expire(std::uint64_t now);

 private:
  [[nodiscard]] std::uint64_t divisor() const;
  [[nodiscard]] std::uint64_t period() const { return initial_count_ * divisor(); }

  ApicTimerMode mode_ = ApicTimerMode::kOneShot;
  bool counting_ = false;
  std::uint8_t divide_configuration_ = 0;
  std::uint32_t initial_count_ = 0;
  std::uint64_t started_at_ = 0;
  std::uint64_t tsc_deadline_ = 0;
};

}  // namespace hv
