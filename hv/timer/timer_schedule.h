// When a synthetic timer expires, and when again: the arithmetic of due times.
//
// Times are modulo 2^64: a time is reached when it is less than half of the range behind. Written
// over a policy for words, free of branches, so that what a solver proves (tests/proofs/) is the
// very source that runs.
#pragma once

#include <cstdint>

namespace hv {

/// A timer does not signal more often, whatever its period: its processor has more to do. 10 us.
inline constexpr std::uint64_t kShortestTimerInterval100ns = 100;
/// One that is so many periods late drops what it missed but for half of them.
inline constexpr unsigned kPeriodsDroppedShift = 4;
inline constexpr unsigned kPeriodsKeptShift = 3;
/// A longer period, of 29,000 years, never ends.
inline constexpr std::uint64_t kLongestTimerPeriod100ns = (1ull << 63) - 1;

/// 64-bit words of the processor.
struct TimerWords {
  using Word = std::uint64_t;
  static constexpr Word number(std::uint64_t value) { return value; }
  static constexpr Word select(bool condition, Word yes, Word no) { return condition ? yes : no; }
  static constexpr bool below(Word left, Word right) { return left < right; }
  static constexpr bool both(bool left, bool right) { return left && right; }
  static constexpr bool either(bool left, bool right) { return left || right; }
  static constexpr bool negation(bool condition) { return !condition; }
  static constexpr Word shift_right(Word value, unsigned bits) { return value >> bits; }
  static constexpr Word shift_left(Word value, unsigned bits) { return value << bits; }
  static constexpr Word remainder(Word value, Word divisor) { return value % divisor; }
};

template <class Arithmetic, class Word = typename Arithmetic::Word>
[[nodiscard]] constexpr auto is_reached(const Word& time, const Word& now) {
  return Arithmetic::below(now - time, Arithmetic::number(1ull << 63));
}

/// When a timer should expire, and when it does: the latter may be later, after missed periods.
template <class Word>
struct TimerDue {
  Word due;
  Word signal_at;
};

/// After a periodic timer has expired. It keeps in step with its first due time. One that is late
/// catches up by periods half as long; a lazy one skips what it missed, and also what would come
/// sooner than half a period from now. `due` is reached, and 0 < period <= the longest.
template <class Arithmetic, class Condition, class Word = typename Arithmetic::Word>
[[nodiscard]] constexpr TimerDue<Word> next_expiration(const Word& due, const Word& period,
                                                       const Condition& lazy, const Word& now) {
  using A = Arithmetic;
  const Word next = due + period;
  const auto late = is_reached<A, Word>(next, now);
  const Word behind = now - next;
  const Word rest = A::remainder(behind, period);
  const auto far_behind =
      A::negation(A::below(A::shift_right(behind, kPeriodsDroppedShift), period));
  const Word skipped = now - rest + period;
  const Word kept = now - rest - A::shift_left(period, kPeriodsKeptShift);
  const Word caught_up = A::select(lazy, skipped, A::select(far_behind, kept, next));
  const Word in_step = A::select(late, caught_up, next);
  const Word half = period - A::shift_right(period, 1);
  const auto too_close = A::both(lazy, A::below(in_step - now, half));
  const Word due_again = A::select(too_close, in_step + period, in_step);
  const Word shortest = A::number(kShortestTimerInterval100ns);
  const Word gap = A::select(A::below(half, shortest), shortest, half);
  const auto too_soon =
      A::either(is_reached<A, Word>(due_again, now), A::below(due_again - now, gap));
  return TimerDue<Word>{due_again, A::select(too_soon, now + gap, due_again)};
}

}  // namespace hv
