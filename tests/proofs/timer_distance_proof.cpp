// Proofs about the conversion between 100 ns and ticks of the time-stamp counter, over the template
// that ships: who sleeps for as many ticks as it says wakes when the time is reached, not before,
// and at most 1 us after it. For every counter from 10 MHz to 2^40 Hz, every time, and every
// distance up to 2^20 seconds; what lies farther away is never.
//
// Words are integers without bounds, and each result is shown to fit a word. Products of variables
// are what a solver is bad at: each step says which inequality is to be multiplied by what, is
// proved by itself, and is what the next may use.
#include <z3++.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "hv/timer/reference_time.h"

namespace {

class Proof;
Proof* running = nullptr;

class Proof {
 public:
  Proof() { running = this; }
  ~Proof() { running = nullptr; }
  Proof(const Proof&) = delete;
  Proof& operator=(const Proof&) = delete;

  z3::expr number(std::uint64_t value) { return context.int_val(std::to_string(value).c_str()); }
  /// 2^64.
  z3::expr whole() { return number(1ull << 32) * number(1ull << 32); }
  z3::expr fresh() { return context.int_const(("v" + std::to_string(next_name_++)).c_str()); }
  z3::expr word() {
    const z3::expr value = fresh();
    solver.add(value >= 0 && value < whole());
    return value;
  }
  [[nodiscard]] bool holds(const z3::expr& claim) {
    solver.push();
    solver.add(!claim);
    const z3::check_result result = solver.check();
    solver.pop();
    return result == z3::unsat;
  }
  /// From a few assumptions alone, so that the solver does not look elsewhere.
  [[nodiscard]] bool follows(const std::vector<z3::expr>& assumptions, const z3::expr& claim) {
    z3::solver alone(context);
    for (const z3::expr& assumption : assumptions) {
      alone.add(assumption);
    }
    alone.add(!claim);
    return alone.check() == z3::unsat;
  }
  void prove(const z3::expr& claim) {
    REQUIRE(holds(claim));
    solver.add(claim);
  }

  z3::context context;
  z3::solver solver{context};
  /// Of the template's operations, in order.
  std::vector<z3::expr> results;
  std::vector<std::pair<z3::expr, z3::expr>> products;

 private:
  int next_name_ = 0;
};

class Word {
 public:
  explicit Word(const z3::expr& value) : value_(value) {}
  [[nodiscard]] const z3::expr& value() const { return value_; }
  friend Word operator+(const Word& left, const Word& right) {
    return noted(left.value_ + right.value_);
  }
  /// A variable for each product, which the steps below say what they need to know of.
  friend Word operator*(const Word& left, const Word& right) {
    const z3::expr product = running->fresh();
    running->products.emplace_back(product, left.value_ * right.value_);
    return noted(product);
  }
  static Word noted(const z3::expr& value) {
    running->results.push_back(value);
    return Word(value);
  }

 private:
  z3::expr value_;
};

/// The policy that makes the template speak of integers. A quotient and its remainder are fresh
/// variables, bound by what division means.
struct Integers {
  using Word = ::Word;
  static Word number(std::uint64_t value) { return Word(running->number(value)); }
  static Word select(const z3::expr& condition, const Word& yes, const Word& no) {
    return Word(z3::ite(condition, yes.value(), no.value()));
  }
  static z3::expr not_below(const Word& left, const Word& right) {
    return left.value() >= right.value();
  }
  static z3::expr divide(const z3::expr& value, std::uint64_t divisor, z3::expr& rest) {
    const z3::expr quotient = running->fresh();
    rest = running->fresh();
    const z3::expr by = running->number(divisor);
    running->solver.add(quotient >= 0 && rest >= 0 && rest < by && value == quotient * by + rest);
    return quotient;
  }
  static Word quotient(const Word& value, std::uint64_t divisor) {
    z3::expr rest(running->context);
    return Word::noted(divide(value.value(), divisor, rest));
  }
  static Word remainder(const Word& value, std::uint64_t divisor) {
    z3::expr rest(running->context);
    static_cast<void>(divide(value.value(), divisor, rest));
    return Word::noted(rest);
  }
};

/// Any distance and frequency, and what the template makes of them.
struct Distance : Proof {
  Distance() {
    solver.add(frequency >= number(hv::kMinTscFrequencyHz));
    solver.add(frequency <= number(hv::kMaxTimedFrequencyHz));
    // Products: of the counted seconds, and of the rest; both with the frequency.
    REQUIRE(products.size() == 2);
    for (const auto& [product, factors] : products) {
      static_cast<void>(factors);
      solver.add(product >= 0);
    }
  }
  z3::expr distance = word();
  z3::expr frequency = word();
  z3::expr unit = number(hv::kReferenceTimeFrequencyHz);
  z3::expr ticks = hv::ticks_of_distance<Integers>(Word(distance), Word(frequency)).value();
  z3::expr far = distance >= unit * number(hv::kFarAwaySeconds);
  z3::expr seconds_product = products[0].first;
  z3::expr rest_product = products[1].first;

  /// What is multiplied, each factor between 0 and a bound.
  void bound(std::size_t index, const z3::expr& left_most, const z3::expr& right_most) {
    const z3::expr left = fresh();
    const z3::expr right = fresh();
    // The lemma, of any two numbers.
    REQUIRE(follows({left >= 0, right >= 0, left <= left_most, right <= right_most,
                     left * (right_most - right) >= 0, (left_most - left) * right_most >= 0},
                    left * right <= left_most * right_most));
    solver.add(products[index].first <= left_most * right_most);
  }
  void bound_products() {
    const z3::expr most = number(hv::kMaxTimedFrequencyHz);
    bound(0, number(hv::kFarAwaySeconds - 1), most);
    bound(1, unit, most);
  }
  /// The sum of the products is the distance, and one unit, times the frequency.
  void join_products(const z3::expr& distance_product) {
    // distance = seconds * unit + rest: of any such numbers.
    const z3::expr seconds = fresh();
    const z3::expr rest = fresh();
    const z3::expr rate = fresh();
    REQUIRE(follows(
        {}, (seconds * unit + rest) * rate + rate == (seconds * rate) * unit + (rest + 1) * rate));
    solver.add(
        z3::implies(!far, distance_product + frequency == seconds_product * unit + rest_product));
  }
};

}  // namespace

TEST_CASE("no result on the way from a distance to ticks leaves a word", "[proof][timer]") {
  Distance any;
  any.bound_products();
  for (const z3::expr& result : any.results) {
    CHECK(any.holds(result >= 0 && result < any.whole()));
  }
}

TEST_CASE("the parts of a distance are what is multiplied", "[proof][timer]") {
  // That the bounds and the sum which the other proofs use speak of the template's factors.
  Distance any;
  const z3::expr seconds = any.results[0];
  const z3::expr rest = any.results[1];
  CHECK(any.holds(seconds * any.unit <= any.distance));
  CHECK(any.holds(any.distance < (seconds + 1) * any.unit));
  CHECK(any.holds(rest == any.distance - seconds * any.unit));
  CHECK(any.holds(z3::implies(!any.far, any.products[0].second == seconds * any.frequency)));
  CHECK(any.holds(z3::implies(any.far, any.products[0].second == 0)));
  CHECK(any.holds(any.products[1].second == (rest + 1) * any.frequency));
  CHECK(any.holds(any.far == (seconds >= any.number(hv::kFarAwaySeconds))));
}

TEST_CASE("what is too far away is never, and nothing else is", "[proof][timer]") {
  Distance any;
  any.bound_products();
  CHECK(any.holds(any.far == (any.ticks == any.whole() - 1)));
}

TEST_CASE("a sleep of as many ticks ends when the time is reached, and at most 1 us later",
          "[proof][timer]") {
  Distance any;
  any.bound_products();
  const z3::expr distance_product = any.fresh();  // distance * frequency
  any.join_products(distance_product);
  any.solver.add(!any.far);
  const z3::expr& ticks = any.ticks;
  const z3::expr& frequency = any.frequency;
  // Step 1, linear: in units of 1/frequency, two units more than asked for and at most five.
  any.prove(ticks * any.unit >= distance_product + 2 * frequency);
  any.prove(ticks * any.unit <= distance_product + 5 * frequency);
  any.prove(ticks >= 0 && ticks < any.whole());

  // Step 2: with the scale, floor(2^64 * unit / frequency), of any numbers for which step 1 holds.
  const z3::expr t = any.fresh();
  const z3::expr f = any.fresh();
  const z3::expr d = any.fresh();
  const z3::expr scale = any.fresh();
  const z3::expr lost = any.fresh();    // by rounding the scale
  const z3::expr scaled = any.fresh();  // t * scale
  const z3::expr whole = any.whole();
  const z3::expr exact = scale * f + lost == whole * any.unit;
  REQUIRE(any.follows({exact}, (t * scale) * f == whole * (t * any.unit) - t * lost));
  const std::vector<z3::expr> about = {f > 0,
                                       t >= 0,
                                       t < whole,
                                       lost >= 0,
                                       lost < f,
                                       t * lost >= 0,
                                       t * lost <= t * f,
                                       t * f <= whole * f,
                                       scaled * f == whole * (t * any.unit) - t * lost,
                                       t * any.unit >= d * f + 2 * f,
                                       t * any.unit <= d * f + 5 * f};
  const auto with = [&](const z3::expr& more) {
    std::vector<z3::expr> all = about;
    all.push_back(more);
    return all;
  };
  // Multiplied by f, which is positive: if it were less, the product would be, too.
  CHECK(any.follows(with(z3::implies(scaled < whole * (d + 1), scaled * f < whole * (d + 1) * f)),
                    scaled >= whole * (d + 1)));
  CHECK(any.follows(with(z3::implies(scaled > whole * (d + 5), scaled * f > whole * (d + 5) * f)),
                    scaled <= whole * (d + 5)));

  // Step 3, linear: the clock shows the upper word of the counter times the scale.
  const z3::expr before = any.fresh();
  const z3::expr shown = any.fresh();
  const z3::expr shown_then = any.fresh();
  const std::vector<z3::expr> clock = {shown * whole <= before,
                                       before < (shown + 1) * whole,
                                       shown_then * whole <= before + scaled,
                                       before + scaled < (shown_then + 1) * whole,
                                       scaled >= whole * (d + 1),
                                       scaled <= whole * (d + 5)};
  CHECK(any.follows(clock, shown_then >= shown + d));
  CHECK(any.follows(clock, shown_then <= shown + d + 10));
}

TEST_CASE("the proofs of the conversion notice a wrong claim", "[proof][timer]") {
  Distance any;
  any.bound_products();
  const z3::expr distance_product = any.fresh();
  any.join_products(distance_product);
  any.solver.add(!any.far);
  CHECK_FALSE(any.holds(any.ticks * any.unit >= distance_product + 4 * any.frequency));
  CHECK_FALSE(any.holds(any.ticks * any.unit <= distance_product + 2 * any.frequency));
}
