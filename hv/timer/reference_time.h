// The arithmetic of partition reference time: 100 ns units from a time-stamp counter.
//
// Written over a policy for unsigned words, free of branches, so that what a solver proves
// (tests/proofs/) is the very source that runs.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "hv/tlfs/reference_tsc.h"
#include "machine/invariant.h"

namespace hv {

/// 64-bit words of the processor.
struct MachineWords {
  using Word = std::uint64_t;
  static constexpr Word low_half(Word value) { return value & 0xFFFF'FFFF; }
  static constexpr Word high_half(Word value) { return value >> 32; }
  static constexpr Word number(std::uint64_t value) { return value; }
  /// `condition` ? `yes` : `no`.
  static constexpr Word select(bool condition, Word yes, Word no) { return condition ? yes : no; }
  static constexpr bool not_below(Word left, Word right) { return left >= right; }
  static constexpr Word quotient(Word value, std::uint64_t divisor) { return value / divisor; }
  static constexpr Word remainder(Word value, std::uint64_t divisor) { return value % divisor; }
};

/// The upper half of the 128-bit product of two words, by their 32-bit halves. No partial sum
/// exceeds a word.
template <class Arithmetic, class Word = typename Arithmetic::Word>
[[nodiscard]] constexpr Word multiply_high(const Word& left, const Word& right) {
  const Word left_low = Arithmetic::low_half(left);
  const Word left_high = Arithmetic::high_half(left);
  const Word right_low = Arithmetic::low_half(right);
  const Word right_high = Arithmetic::high_half(right);
  const Word low = left_low * right_low;
  const Word middle = left_high * right_low + Arithmetic::high_half(low);
  const Word cross = left_low * right_high + Arithmetic::low_half(middle);
  return left_high * right_high + Arithmetic::high_half(middle) + Arithmetic::high_half(cross);
}

template <class Word>
struct DivisionState {
  Word remainder;
  Word quotient;
};

/// One step of long division: brings down a zero bit. With remainder < divisor < 2^63 it holds
/// again afterwards, and divisor * quotient + remainder has doubled.
template <class Arithmetic, class Word = typename Arithmetic::Word>
[[nodiscard]] constexpr DivisionState<Word> divide_step(const DivisionState<Word>& state,
                                                        const Word& divisor) {
  const Word doubled = state.remainder + state.remainder;
  const auto fits = Arithmetic::not_below(doubled, divisor);
  const Word subtrahend = Arithmetic::select(fits, divisor, Arithmetic::number(0));
  const Word digit = Arithmetic::select(fits, Arithmetic::number(1), Arithmetic::number(0));
  return DivisionState<Word>{doubled - subtrahend, state.quotient + state.quotient + digit};
}

/// The slowest counter for which the scale fits a word.
inline constexpr std::uint64_t kMinTscFrequencyHz = kReferenceTimeFrequencyHz + 1;
inline constexpr std::uint64_t kMaxTscFrequencyHz = (1ull << 63) - 1;

/// TscScale: floor(2^64 * 10^7 / frequency).
[[nodiscard]] constexpr std::uint64_t reference_scale(std::uint64_t tsc_frequency_hz) {
  DivisionState<std::uint64_t> state{kReferenceTimeFrequencyHz, 0};
  for (int bit = 0; bit < 64; ++bit) {
    state = divide_step<MachineWords>(state, tsc_frequency_hz);
  }
  return state.quotient;
}
static_assert(reference_scale(2'500'000'000) == 73786976294838206);

/// The time of a counter value (TLFS "Partition Reference TSC Mechanism").
[[nodiscard]] constexpr std::uint64_t reference_time(std::uint64_t tsc, std::uint64_t scale,
                                                     std::uint64_t offset) {
  return multiply_high<MachineWords>(tsc, scale) + offset;
}

/// The fastest counter for which the product below fits a word.
inline constexpr std::uint64_t kMaxTimedFrequencyHz = 1ull << 40;
inline constexpr std::uint64_t kFarAwaySeconds = 1u << 20;

/// How many ticks a clock takes to show `distance_100ns` more than it does: at least enough,
/// whatever it has of the next unit already; the largest word for what is too far away. One unit
/// more than asked for covers what rounding took away; the scale is rounded down, so that over a
/// long distance the clock loses a unit more.
template <class Arithmetic, class Word = typename Arithmetic::Word>
[[nodiscard]] constexpr Word ticks_of_distance(const Word& distance_100ns,
                                               const Word& frequency_hz) {
  const Word one = Arithmetic::number(1);
  const Word seconds = Arithmetic::quotient(distance_100ns, kReferenceTimeFrequencyHz);
  const Word rest = Arithmetic::remainder(distance_100ns, kReferenceTimeFrequencyHz) + one;
  const auto far = Arithmetic::not_below(seconds, Arithmetic::number(kFarAwaySeconds));
  const Word counted = Arithmetic::select(far, Arithmetic::number(0), seconds);
  const Word per_unit = Arithmetic::quotient(frequency_hz, kReferenceTimeFrequencyHz) + one;
  const Word upper = counted * frequency_hz;
  const Word lower = Arithmetic::quotient(rest * frequency_hz, kReferenceTimeFrequencyHz);
  const Word ticks = upper + lower + per_unit + per_unit;
  return Arithmetic::select(far, Arithmetic::number(~0ull), ticks);
}

/// A clock in 100 ns units over a counter of constant rate. Time counts from when it is started.
class ReferenceClock {
 public:
  constexpr ReferenceClock() = default;
  /// The clock shows `time_100ns` at counter value `tsc`.
  constexpr ReferenceClock(std::uint64_t tsc_frequency_hz, std::uint64_t tsc,
                           std::uint64_t time_100ns)
      : frequency_hz_(tsc_frequency_hz), scale_(reference_scale(tsc_frequency_hz)) {
    offset_ = time_100ns - reference_time(tsc, scale_, 0);
  }
  [[nodiscard]] constexpr std::uint64_t scale() const { return scale_; }
  /// Modulo 2^64.
  [[nodiscard]] constexpr std::uint64_t offset() const { return offset_; }
  [[nodiscard]] constexpr std::uint64_t time_at(std::uint64_t tsc) const {
    return reference_time(tsc, scale_, offset_);
  }
  /// How many ticks after `tsc` the clock shows `due_100ns` or more: at least enough, at most 1 us
  /// too many; 0 when it does already; the largest word for what is too far away.
  [[nodiscard]] constexpr std::uint64_t ticks_until(std::uint64_t due_100ns,
                                                    std::uint64_t tsc) const {
    const std::uint64_t distance = due_100ns - time_at(tsc);
    if (distance == 0 || (distance >> 63) != 0) {
      return 0;
    }
    return ticks_of_distance<MachineWords>(distance, frequency_hz_);
  }

 private:
  std::uint64_t frequency_hz_ = kMinTscFrequencyHz;
  std::uint64_t scale_ = 0;
  std::uint64_t offset_ = 0;
};

}  // namespace hv
