// Proofs about the arithmetic of reference time, over the templates that ship.
//
// A word is an integer of unlimited size here, bounded by what the processor's words hold: each
// proof also shows that no intermediate result leaves these bounds, so that the processor computes
// the same. (As bit-vectors, a multiplication of this width is beyond the solver.)
#include <z3++.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "hv/timer/reference_time.h"

namespace {

/// An integer that remembers every intermediate result.
class BoundedWord {
 public:
  BoundedWord(const z3::expr& value, std::vector<z3::expr>* results)
      : value_(value), results_(results) {}
  [[nodiscard]] const z3::expr& value() const { return value_; }
  [[nodiscard]] std::vector<z3::expr>* results() const { return results_; }
  friend BoundedWord operator+(const BoundedWord& left, const BoundedWord& right) {
    return left.noted(left.value_ + right.value_);
  }
  friend BoundedWord operator-(const BoundedWord& left, const BoundedWord& right) {
    return left.noted(left.value_ - right.value_);
  }
  friend BoundedWord operator*(const BoundedWord& left, const BoundedWord& right) {
    return left.noted(left.value_ * right.value_);
  }
  [[nodiscard]] BoundedWord noted(const z3::expr& value) const {
    results_->push_back(value);
    return BoundedWord(value, results_);
  }

 private:
  z3::expr value_;
  std::vector<z3::expr>* results_;
};

/// One solver, its context, and the split of words into halves. A half is a fresh variable, bound
/// by what division with remainder means: the solver need not divide.
struct Proof {
  z3::context context;
  z3::solver solver{context};
  std::vector<z3::expr> results;
  int next_name = 0;

  z3::expr power(unsigned exponent) {
    const std::uint64_t half = std::uint64_t{1} << (exponent / 2);
    const std::uint64_t rest = std::uint64_t{1} << (exponent - exponent / 2);
    return context.int_val(std::to_string(half).c_str()) *
           context.int_val(std::to_string(rest).c_str());
  }
  z3::expr fresh(const char* name) {
    return context.int_const((name + std::to_string(next_name++)).c_str());
  }
  BoundedWord word(const char* name) {
    const z3::expr value = fresh(name);
    solver.add(value >= 0 && value < power(64));
    return BoundedWord(value, &results);
  }
  [[nodiscard]] bool holds(const z3::expr& claim) {
    solver.push();
    solver.add(!claim);
    const z3::check_result result = solver.check();
    solver.pop();
    return result == z3::unsat;
  }
  /// Every intermediate result fits a word of the processor.
  [[nodiscard]] bool nothing_overflows() {
    for (const z3::expr& result : results) {
      if (!holds(result >= 0 && result < power(64))) {
        return false;
      }
    }
    return true;
  }
};

Proof* running = nullptr;

/// The policy that makes the templates of reference_time.h speak of BoundedWord.
struct IntegerWords {
  using Word = BoundedWord;
  struct Halves {
    z3::expr low;
    z3::expr high;
  };
  static Halves split(const Word& word) {
    // The same word always splits into the same halves.
    for (const auto& [value, halves] : known) {
      if (z3::eq(value, word.value())) {
        return halves;
      }
    }
    const Halves halves{running->fresh("low"), running->fresh("high")};
    running->solver.add(halves.low >= 0 && halves.low < running->power(32) && halves.high >= 0 &&
                        word.value() == halves.high * running->power(32) + halves.low);
    known.emplace_back(word.value(), halves);
    return halves;
  }
  static Word low_half(const Word& word) { return Word(split(word).low, word.results()); }
  static Word high_half(const Word& word) { return Word(split(word).high, word.results()); }
  static Word number(std::uint64_t value) {
    return Word(running->context.int_val(std::to_string(value).c_str()), &running->results);
  }
  static Word select(const z3::expr& condition, const Word& yes, const Word& no) {
    return Word(z3::ite(condition, yes.value(), no.value()), yes.results());
  }
  static z3::expr not_below(const Word& left, const Word& right) {
    return left.value() >= right.value();
  }
  static std::vector<std::pair<z3::expr, Halves>> known;
};
std::vector<std::pair<z3::expr, IntegerWords::Halves>> IntegerWords::known;

/// The proof that the templates run in.
struct Running {
  Running() { running = &proof; }
  ~Running() {
    IntegerWords::known.clear();
    running = nullptr;
  }
  Proof proof;
};

}  // namespace

TEST_CASE("the product of two words by halves is exact and overflows nowhere", "[proof][time]") {
  Running run;
  Proof& proof = run.proof;
  const BoundedWord left = proof.word("left");
  const BoundedWord right = proof.word("right");
  const BoundedWord high = hv::multiply_high<IntegerWords>(left, right);
  // The product of two halves is below 2^64 - 2^33 + 2: all that the bounds need, and what a
  // solver does not find by itself.
  std::vector<z3::expr> halves;
  for (const BoundedWord& word : {left, right}) {
    halves.push_back(IntegerWords::low_half(word).value());
    halves.push_back(IntegerWords::high_half(word).value());
  }
  const z3::expr limit = proof.power(32) - 1;
  for (std::size_t one = 0; one < 2; ++one) {
    for (std::size_t two = 2; two < 4; ++two) {
      const z3::expr product = halves[one] * halves[two];
      const z3::expr lemma = product >= 0 && product <= limit * limit;
      REQUIRE(proof.holds(lemma));
      proof.solver.add(lemma);
    }
  }
  CHECK(proof.nothing_overflows());
  const z3::expr product = left.value() * right.value();
  CHECK(proof.holds(high.value() * proof.power(64) <= product));
  CHECK(proof.holds(product < (high.value() + 1) * proof.power(64)));
}

TEST_CASE("a later counter value never shows an earlier time", "[proof][time]") {
  Running run;
  Proof& proof = run.proof;
  const BoundedWord scale = proof.word("scale");
  const BoundedWord early = proof.word("early");
  const BoundedWord late = proof.word("late");
  proof.solver.add(early.value() <= late.value());
  const BoundedWord early_time = hv::multiply_high<IntegerWords>(early, scale);
  const BoundedWord late_time = hv::multiply_high<IntegerWords>(late, scale);
  // What is shown of any two words above: the time is the product, rounded down.
  for (const auto& [tsc, time] : {std::pair(early, early_time), std::pair(late, late_time)}) {
    const z3::expr product = tsc.value() * scale.value();
    proof.solver.add(time.value() * proof.power(64) <= product);
    proof.solver.add(product < (time.value() + 1) * proof.power(64));
  }
  const z3::expr grows = (late.value() - early.value()) * scale.value() >= 0;
  REQUIRE(proof.holds(grows));
  proof.solver.add(grows);
  CHECK(proof.holds(early_time.value() <= late_time.value()));
}

TEST_CASE("a step of the long division keeps what it promises", "[proof][time]") {
  Running run;
  Proof& proof = run.proof;
  const BoundedWord divisor = proof.word("divisor");
  const BoundedWord remainder = proof.word("remainder");
  const BoundedWord quotient = proof.word("quotient");
  proof.solver.add(divisor.value() > 0 && divisor.value() < proof.power(63));
  proof.solver.add(remainder.value() < divisor.value());
  // The quotient has a bit to spare: it has had at most 63 steps.
  proof.solver.add(quotient.value() < proof.power(63));
  const auto next =
      hv::divide_step<IntegerWords>(hv::DivisionState<BoundedWord>{remainder, quotient}, divisor);
  CHECK(proof.nothing_overflows());
  CHECK(proof.holds(next.remainder.value() >= 0 && next.remainder.value() < divisor.value()));
  const z3::expr before = quotient.value() * divisor.value() + remainder.value();
  const z3::expr after = next.quotient.value() * divisor.value() + next.remainder.value();
  CHECK(proof.holds(after == 2 * before));
}

TEST_CASE("the proofs notice a wrong template", "[proof][time]") {
  Running run;
  Proof& proof = run.proof;
  const BoundedWord left = proof.word("left");
  // The sum of two words does not always fit.
  static_cast<void>(left + left);
  CHECK_FALSE(proof.nothing_overflows());
}
