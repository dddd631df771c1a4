// Proofs about the due times of synthetic timers, over the template that ships, for every time and
// every period that a guest can write. Words are bit-vectors: they wrap as the processor's do.
#include <z3++.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

#include "hv/timer/timer_schedule.h"

namespace {

constexpr unsigned kBits = 64;

z3::solver* current = nullptr;
int next_name = 0;

z3::expr number_of(std::uint64_t value) { return current->ctx().bv_val(value, kBits); }

/// The policy that makes the templates of timer_schedule.h speak of bit-vectors.
struct BitVectors {
  using Word = z3::expr;
  static Word number(std::uint64_t value) { return number_of(value); }
  static Word select(const z3::expr& condition, const Word& yes, const Word& no) {
    return z3::ite(condition, yes, no);
  }
  static z3::expr below(const Word& left, const Word& right) { return z3::ult(left, right); }
  static z3::expr both(const z3::expr& left, const z3::expr& right) { return left && right; }
  static z3::expr either(const z3::expr& left, const z3::expr& right) { return left || right; }
  static z3::expr negation(const z3::expr& condition) { return !condition; }
  static Word shift_right(const Word& value, unsigned bits) {
    return z3::lshr(value, number(bits));
  }
  static Word shift_left(const Word& value, unsigned bits) { return z3::shl(value, number(bits)); }
  /// All that the proofs need of a remainder, and what a solver does not divide for.
  static Word remainder(const Word& value, const Word& divisor) {
    const z3::expr rest =
        current->ctx().bv_const(("rest" + std::to_string(next_name++)).c_str(), kBits);
    current->add(z3::ult(rest, divisor) && z3::ule(rest, value));
    return rest;
  }
};

struct Expiring {
  Expiring() {
    current = &solver;
    // It has just expired: its due time is reached. And the period is one that ends.
    solver.add(hv::is_reached<BitVectors>(due, now));
    solver.add(period != 0 && z3::ule(period, number_of(hv::kLongestTimerPeriod100ns)));
  }
  ~Expiring() { current = nullptr; }
  Expiring(const Expiring&) = delete;
  Expiring& operator=(const Expiring&) = delete;

  z3::expr word(const char* name) { return context.bv_const(name, kBits); }
  /// Bits, not words: a solver for these alone is what makes the proofs quick.
  [[nodiscard]] bool holds(const z3::expr& claim) {
    z3::solver bits = z3::tactic(context, "qfbv").mk_solver();
    for (const z3::expr& assumption : solver.assertions()) {
      bits.add(assumption);
    }
    bits.add(!claim);
    return bits.check() == z3::unsat;
  }
  [[nodiscard]] hv::TimerDue<z3::expr> next() {
    return hv::next_expiration<BitVectors>(due, period, lazy, now);
  }
  z3::context context;
  z3::solver solver{context};
  z3::expr due = word("due");
  z3::expr period = word("period");
  z3::expr now = word("now");
  z3::expr lazy = context.bool_const("lazy");
};

}  // namespace

TEST_CASE("a time is reached or lies ahead, never both, wherever the counter wraps",
          "[proof][timer]") {
  Expiring timer;
  const z3::expr one = timer.word("one");
  const z3::expr other = timer.word("other");
  const z3::expr reached = hv::is_reached<BitVectors>(one, other);
  CHECK(timer.holds(hv::is_reached<BitVectors>(one, one)));
  CHECK(timer.holds(z3::implies(reached && one != other, !hv::is_reached<BitVectors>(other, one))));
  CHECK(timer.holds(z3::implies(!reached, z3::ule(one - other, number_of(1ull << 63)))));
}

TEST_CASE("after it expired, a periodic timer signals later, but within half of the range",
          "[proof][timer]") {
  Expiring timer;
  const auto next = timer.next();
  // So expiring comes to an end, and the processor runs between two signals.
  const z3::expr distance = next.signal_at - timer.now;
  CHECK(timer.holds(z3::uge(distance, number_of(hv::kShortestTimerInterval100ns))));
  CHECK(timer.holds(z3::implies(z3::ult(timer.period, number_of(1ull << 61)),
                                z3::ult(distance, number_of(1ull << 63)))));
}

TEST_CASE("a timer never signals before it is due", "[proof][timer]") {
  Expiring timer;
  const auto next = timer.next();
  CHECK(
      timer.holds(z3::implies(!timer.lazy, hv::is_reached<BitVectors>(next.due, next.signal_at))));
  // A lazy one either: what it adds to its due time is at most a period and a half.
  CHECK(timer.holds(z3::implies(timer.lazy && z3::ult(timer.period, number_of(1ull << 61)),
                                hv::is_reached<BitVectors>(next.due, next.signal_at))));
}

TEST_CASE("a timer that keeps up is due a period later, and signals then", "[proof][timer]") {
  Expiring timer;
  timer.solver.add(!hv::is_reached<BitVectors>(timer.due + timer.period, timer.now));
  const auto next = timer.next();
  CHECK(timer.holds(z3::implies(!timer.lazy, next.due == timer.due + timer.period)));
  const z3::expr ahead = timer.due + timer.period - timer.now;
  const z3::expr half = timer.period - z3::lshr(timer.period, number_of(1));
  CHECK(timer.holds(z3::implies(
      z3::uge(ahead, half) && z3::uge(ahead, number_of(hv::kShortestTimerInterval100ns)),
      next.signal_at == timer.due + timer.period)));
}

TEST_CASE("a lazy timer makes good nothing", "[proof][timer]") {
  Expiring timer;
  timer.solver.add(timer.lazy && z3::ult(timer.period, number_of(1ull << 61)));
  const auto next = timer.next();
  CHECK(timer.holds(!hv::is_reached<BitVectors>(next.due, timer.now)));
}

TEST_CASE("the timers' proofs notice a wrong claim", "[proof][timer]") {
  Expiring timer;
  const auto next = timer.next();
  CHECK_FALSE(timer.holds(next.signal_at == next.due));
  CHECK_FALSE(timer.holds(next.due == timer.due + timer.period));
}
