// The arithmetic of hypercalls, proved: the templates that ship (hv/hypercall/call_arithmetic.h),
// over 64-bit vectors. Each proof asks Z3 for a counterexample; there must be none.
#include <z3++.h>

#include <catch2/catch.hpp>
#include <cstdint>

#include "hv/hypercall/call_arithmetic.h"

namespace proofs {

/// A word and a truth value of Z3, of this namespace so that the templates find their operations by
/// argument.
struct Word {
  z3::expr value;
};
struct Truth {
  z3::expr value;
};

Word operator+(const Word& a, const Word& b) { return {a.value + b.value}; }
Word operator-(const Word& a, const Word& b) { return {a.value - b.value}; }
Word operator&(const Word& a, const Word& b) { return {a.value & b.value}; }
Word operator>>(const Word& a, int bits) { return {z3::lshr(a.value, bits)}; }
Truth less(const Word& a, const Word& b) { return {z3::ult(a.value, b.value)}; }
Truth equal(const Word& a, const Word& b) { return {a.value == b.value}; }
Truth both(const Truth& a, const Truth& b) { return {a.value && b.value}; }
Truth either(const Truth& a, const Truth& b) { return {a.value || b.value}; }
Truth negate(const Truth& a) { return {!a.value}; }
Word select(const Truth& condition, const Word& a, const Word& b) {
  return {z3::ite(condition.value, a.value, b.value)};
}
Word like(const Word& word, std::uint64_t value) { return {word.value.ctx().bv_val(value, 64)}; }

}  // namespace proofs

namespace {

namespace arithmetic = hv::call_arithmetic;
using proofs::Word;

struct Proof {
  z3::context context;
  z3::solver solver{context};

  Word word(const char* name) { return {context.bv_const(name, 64)}; }
  /// At most `most`.
  Word word(const char* name, std::uint64_t most) {
    const Word made = word(name);
    solver.add(z3::ule(made.value, context.bv_val(most, 64)));
    return made;
  }
  [[nodiscard]] z3::expr number(std::uint64_t value) { return context.bv_val(value, 64); }
  /// No counterexample; and what is assumed is not false by itself.
  [[nodiscard]] bool holds(const z3::expr& claim) {
    if (solver.check() != z3::sat) {
      return false;
    }
    solver.push();
    solver.add(!claim);
    const z3::check_result result = solver.check();
    solver.pop();
    return result == z3::unsat;
  }
};

constexpr std::uint64_t kMaxBlock = 1 << 16;

}  // namespace

TEST_CASE("a block placed well has all its bytes in one page", "[proofs][hypercall]") {
  Proof proof;
  const Word address = proof.word("address");
  const Word size = proof.word("size", kMaxBlock);
  const Word byte = proof.word("byte");
  proof.solver.add(z3::ult(byte.value, size.value));
  proof.solver.add(arithmetic::block_is_placed_well(address, size).value);
  const z3::expr page = z3::lshr(address.value, 12);
  CHECK(proof.holds(z3::lshr(address.value + byte.value, 12) == page));
  CHECK(proof.holds((address.value & proof.number(7)) == proof.number(0)));
}

TEST_CASE("a block that is aligned and in one page is placed well", "[proofs][hypercall]") {
  Proof proof;
  const Word address = proof.word("address");
  const Word size = proof.word("size", kMaxBlock);
  proof.solver.add((address.value & proof.number(7)) == proof.number(0));
  proof.solver.add(size.value != proof.number(0) && z3::ule(size.value, proof.number(4096)));
  proof.solver.add(z3::lshr(address.value + size.value - proof.number(1), 12) ==
                   z3::lshr(address.value, 12));
  CHECK(proof.holds(arithmetic::block_is_placed_well(address, size).value));
}

TEST_CASE("blocks that are apart have no byte in common, and others have", "[proofs][hypercall]") {
  Proof proof;
  const Word first = proof.word("first");
  const Word first_size = proof.word("first_size", kMaxBlock);
  const Word second = proof.word("second");
  const Word second_size = proof.word("second_size", kMaxBlock);
  proof.solver.add(arithmetic::block_is_placed_well(first, first_size).value);
  proof.solver.add(arithmetic::block_is_placed_well(second, second_size).value);
  const z3::expr apart = arithmetic::blocks_are_apart(first, first_size, second, second_size).value;
  const Word byte = proof.word("byte");
  const Word other = proof.word("other");
  const z3::expr common = z3::ult(byte.value, first_size.value) &&
                          z3::ult(other.value, second_size.value) &&
                          first.value + byte.value == second.value + other.value;
  CHECK(proof.holds(z3::implies(apart, !common)));
  // The byte in common is the first of one of them.
  const z3::expr both_there =
      first_size.value != proof.number(0) && second_size.value != proof.number(0);
  const z3::expr meets = z3::ult(second.value - first.value, first_size.value) ||
                         z3::ult(first.value - second.value, second_size.value);
  CHECK(proof.holds(z3::implies(!apart, both_there && meets)));
}

TEST_CASE("an answer in registers begins at a pair, after the input, and ends in XMM5",
          "[proofs][hypercall]") {
  Proof proof;
  const Word input = proof.word("input", kMaxBlock);
  const Word output = proof.word("output", kMaxBlock);
  const z3::expr begin = arithmetic::fast_output_offset(input).value;
  const z3::expr fits = arithmetic::fits_in_registers(input, output).value;
  const z3::expr most = proof.number(arithmetic::kRegisterBytes);
  CHECK(proof.holds(z3::urem(begin, proof.number(16)) == proof.number(0)));
  CHECK(proof.holds(z3::uge(begin, input.value) && z3::ult(begin - input.value, proof.number(16))));
  CHECK(proof.holds(z3::implies(fits, z3::ule(input.value, most))));
  CHECK(proof.holds(
      z3::implies(fits && output.value != proof.number(0), z3::ule(begin + output.value, most))));
  CHECK(proof.holds(
      z3::implies(output.value == proof.number(0), fits == z3::ule(input.value, most))));
}

TEST_CASE("a rep call gets on, never past its count, and each element comes once",
          "[proofs][hypercall]") {
  Proof proof;
  const Word count = proof.word("count", 0xFFF);
  const Word next = proof.word("next", 0xFFF);
  const Word most = proof.word("most", 0xFFF);
  const Word completed = proof.word("completed");
  proof.solver.add(z3::ult(next.value, count.value));
  proof.solver.add(most.value != proof.number(0));
  const z3::expr at_once = arithmetic::elements_at_once(next, count, most).value;
  CHECK(proof.holds(at_once != proof.number(0) && z3::ule(at_once, most.value)));
  CHECK(proof.holds(z3::ule(next.value + at_once, count.value)));
  // What a handler completes of them begins where the last invocation ended, and the sum stays the
  // absolute count that the interface wants, in its twelve bits.
  proof.solver.add(z3::ule(completed.value, at_once));
  const z3::expr after = next.value + completed.value;
  const Word element = proof.word("element");
  const z3::expr now = z3::uge(element.value, next.value) && z3::ult(element.value, after);
  const z3::expr later = z3::uge(element.value, after) && z3::ult(element.value, count.value);
  const z3::expr before = z3::ult(element.value, next.value);
  CHECK(proof.holds(!(now && later) && !(now && before) && !(before && later)));
  CHECK(proof.holds(z3::implies(z3::ult(element.value, count.value), before || now || later)));
  CHECK(proof.holds(z3::ule(after, proof.number(0xFFF))));
}

TEST_CASE("going through a set visits each of its bits once, in ascending order",
          "[proofs][hypercall]") {
  Proof proof;
  const Word set = proof.word("set");
  proof.solver.add(set.value != proof.number(0));
  const z3::expr first = arithmetic::lowest_bit(set).value;
  const z3::expr rest = arithmetic::without_lowest_bit(set).value;
  CHECK(proof.holds((first & (first - proof.number(1))) == proof.number(0)));
  CHECK(proof.holds(first != proof.number(0)));
  CHECK(proof.holds((first | rest) == set.value && (first & rest) == proof.number(0)));
  // Nothing that is left is below what is visited now; and it ends, for what is left is less.
  CHECK(proof.holds((rest & (first - proof.number(1))) == proof.number(0)));
  CHECK(proof.holds(z3::ult(rest, set.value)));
}

// bank_position() is the number of the banks that banks_below() leaves.
TEST_CASE("each bank of a VP set has a qword of its own, in ascending order",
          "[proofs][hypercall]") {
  Proof proof;
  const Word mask = proof.word("mask");
  const Word bit = proof.word("bit");
  const Word higher = proof.word("higher");
  const auto is_bank = [&](const Word& one) {
    return one.value != proof.number(0) &&
           (one.value & (one.value - proof.number(1))) == proof.number(0) &&
           (mask.value & one.value) == one.value;
  };
  const auto counted = [&](const Word& one) { return arithmetic::banks_below(mask, one).value; };
  proof.solver.add(is_bank(bit));
  // A part of the mask without the bank itself: the position is less than the number of banks.
  CHECK(proof.holds((counted(bit) & ~mask.value) == proof.number(0)));
  CHECK(proof.holds((counted(bit) & bit.value) == proof.number(0)));
  CHECK(proof.holds(z3::implies(arithmetic::lowest_bit(mask).value == bit.value,
                                counted(bit) == proof.number(0))));
  // A bank further up counts this one and all that this one counts.
  proof.solver.add(is_bank(higher) && z3::ult(bit.value, higher.value));
  CHECK(proof.holds(((counted(bit) | bit.value) & ~counted(higher)) == proof.number(0)));
  // Neighbours among the banks are neighbours among the qwords.
  const z3::expr between =
      mask.value & (higher.value - proof.number(1)) & ~(bit.value | (bit.value - proof.number(1)));
  proof.solver.add(between == proof.number(0));
  CHECK(proof.holds((counted(bit) | bit.value) == counted(higher)));
}
