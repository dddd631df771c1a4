// The ring's arithmetic, proved: the templates that ship, over 32-bit words, for every ring size
// that a GPADL can describe and more. Each proof asks Z3 for a counterexample; there must be none.
// A claim is put to Z3 over bounded integers, where sums are easy, and, where that ends in
// reasonable time, over bit-vectors, which need no model of the wrap at 2^32.
#include <z3++.h>

#include <catch2/catch.hpp>

#include "vmbus/ring_arithmetic.h"

namespace proofs {

/// A 32-bit word of Z3: a bit-vector, or an integer in [0, 2^32).
struct Word {
  z3::expr value;
};

/// A truth value of Z3, of this namespace so that the templates find its operations by argument.
struct Truth {
  z3::expr value;
};

z3::expr two_to_32(z3::context& context) { return context.int_val(std::int64_t{1} << 32); }

/// The unsigned comparison; z3::expr's own is signed for bit-vectors.
z3::expr below(const z3::expr& a, const z3::expr& b) {
  return a.is_bv() ? z3::ult(a, b) : z3::expr(a < b);
}
z3::expr at_most(const z3::expr& a, const z3::expr& b) { return !below(b, a); }
z3::expr number_like(const z3::expr& word, std::uint32_t value) {
  z3::context& context = word.ctx();
  return word.is_bv() ? context.bv_val(value, 32) : context.int_val(std::int64_t{value});
}

Word operator+(const Word& a, const Word& b) {
  const z3::expr sum = a.value + b.value;
  if (sum.is_bv()) {
    return {sum};
  }
  const z3::expr end = two_to_32(sum.ctx());
  return {z3::ite(sum < end, sum, sum - end)};
}
Word operator-(const Word& a, const Word& b) {
  const z3::expr difference = a.value - b.value;
  if (difference.is_bv()) {
    return {difference};
  }
  return {z3::ite(difference >= 0, difference, difference + two_to_32(difference.ctx()))};
}
Truth less(const Word& a, const Word& b) { return {below(a.value, b.value)}; }
Truth equal(const Word& a, const Word& b) { return {a.value == b.value}; }
Truth both(const Truth& a, const Truth& b) { return {a.value && b.value}; }
Truth negate(const Truth& a) { return {!a.value}; }
Word select(const Truth& condition, const Word& a, const Word& b) {
  return {z3::ite(condition.value, a.value, b.value)};
}
Word like(const Word& word, std::uint32_t value) { return {number_like(word.value, value)}; }
/// The masks of the templates are 2^n - 1 in every use: for an integer, a remainder.
Word low_bits(const Word& word, const Word& mask) {
  if (word.value.is_bv()) {
    return {word.value & mask.value};
  }
  return {z3::mod(word.value, mask.value + 1)};
}

}  // namespace proofs

namespace {

using proofs::at_most;
using proofs::below;
using proofs::Word;
namespace ring = vmbus::ring;

enum class Theory { kIntegers, kBitVectors };

/// A ring of any size up to 2^31 bytes that is a multiple of 8, and two valid indices in it.
struct Ring {
  explicit Ring(Theory chosen) : theory(chosen) {
    solver.add(at_most(size.value, number(1u << 31)) && at_most(number(8), size.value));
    solver.add(is_multiple_of_8(size));
    solver.add(ring::index_is_valid(read, size).value);
    solver.add(ring::index_is_valid(write, size).value);
  }

  z3::expr number(std::uint32_t value) { return proofs::number_like(size.value, value); }
  Word word(const char* name) {
    if (theory == Theory::kBitVectors) {
      return {context.bv_const(name, 32)};
    }
    const z3::expr value = context.int_const(name);
    solver.add(value >= 0 && value < proofs::two_to_32(context));
    return {value};
  }
  z3::expr is_multiple_of_8(const Word& word) {
    return low_bits(word, Word{number(7)}).value == number(0);
  }
  /// A packet length: a multiple of 8 that is at most the ring.
  Word length(const char* name) {
    const Word result = word(name);
    solver.add(is_multiple_of_8(result) && at_most(result.value, size.value));
    return result;
  }
  void proves(const z3::expr& claim) {
    // What is assumed must be possible, or anything would follow.
    REQUIRE(solver.check() == z3::sat);
    solver.push();
    solver.add(!claim);
    const z3::check_result result = solver.check();
    if (result == z3::sat) {
      UNSCOPED_INFO("counterexample: " << solver.get_model());
    }
    CHECK(result == z3::unsat);
    solver.pop();
  }

  Theory theory;
  z3::context context;
  z3::solver solver{context};
  Word size{word("size")};
  Word read{word("read")};
  Word write{word("write")};
};

}  // namespace

TEST_CASE("free and used add up to the ring, and something is always free", "[proof][ring]") {
  Ring r(GENERATE(Theory::kIntegers, Theory::kBitVectors));
  const Word free = ring::free_bytes(r.read, r.write, r.size);
  const Word used = ring::used_bytes(r.read, r.write, r.size);
  r.proves((free + used).value == r.size.value);
  r.proves(at_most(free.value, r.size.value) && at_most(r.number(8), free.value));
  r.proves(below(used.value, r.size.value));
  r.proves((used.value == r.number(0)) == (r.read.value == r.write.value));
}

TEST_CASE("an index that advances stays valid", "[proof][ring]") {
  Ring r(GENERATE(Theory::kIntegers, Theory::kBitVectors));
  const Word bytes = r.length("bytes");
  r.proves(ring::index_is_valid(ring::advance(r.write, bytes, r.size), r.size).value);
  r.proves(at_most(r.write.value, (r.write + bytes).value));  // 2^32 is out of reach
}

TEST_CASE("an index that advances is the sum but for a whole ring", "[proof][ring]") {
  Ring r(Theory::kIntegers);
  const Word bytes = r.length("bytes");
  const Word moved = ring::advance(r.write, bytes, r.size);
  const z3::expr sum = (r.write + bytes).value;
  r.proves(moved.value == sum || (moved + r.size).value == sum);
}

TEST_CASE("a write that fits never makes a full ring look empty", "[proof][ring]") {
  Ring r(Theory::kIntegers);
  const Word bytes = r.length("bytes");
  const Word free = ring::free_bytes(r.read, r.write, r.size);
  r.solver.add(ring::fits(bytes, free).value);
  const Word moved = ring::advance(r.write, bytes, r.size);
  r.proves(bytes.value == r.number(0) || moved.value != r.read.value);
  r.proves(ring::used_bytes(r.read, moved, r.size).value ==
           (ring::used_bytes(r.read, r.write, r.size) + bytes).value);
  r.proves(ring::free_bytes(r.read, moved, r.size).value == (free - bytes).value);
}

TEST_CASE("no byte of a write that fits waits for the reader", "[proof][ring]") {
  Ring r(Theory::kIntegers);
  const Word bytes = r.length("bytes");
  const Word byte = r.word("byte");
  const Word used = ring::used_bytes(r.read, r.write, r.size);
  r.solver.add(ring::fits(bytes, ring::free_bytes(r.read, r.write, r.size)).value);
  r.solver.add(below(byte.value, bytes.value));
  const Word at = ring::advance(r.write, byte, r.size);
  r.proves(at_most(used.value, ring::used_bytes(r.read, at, r.size).value));
}

TEST_CASE("a read of what is used frees exactly that", "[proof][ring]") {
  Ring r(Theory::kIntegers);
  const Word bytes = r.length("bytes");
  const Word used = ring::used_bytes(r.read, r.write, r.size);
  r.solver.add(at_most(bytes.value, used.value));
  const Word moved = ring::advance(r.read, bytes, r.size);
  r.proves(ring::index_is_valid(moved, r.size).value);
  r.proves(ring::used_bytes(moved, r.write, r.size).value == (used - bytes).value);
}

TEST_CASE("both parts of a copy lie inside the data and make up the whole", "[proof][ring]") {
  Ring r(GENERATE(Theory::kIntegers, Theory::kBitVectors));
  const Word bytes = r.word("bytes");
  r.solver.add(at_most(bytes.value, r.size.value));
  const Word first = ring::bytes_before_wrap(r.write, bytes, r.size);
  const Word second = bytes - first;
  const z3::expr end = (r.write + first).value;
  r.proves(at_most(first.value, bytes.value));
  r.proves(at_most(r.write.value, end) && at_most(end, r.size.value));
  // The second part starts at 0 and ends before the copy began.
  r.proves(at_most(second.value, r.write.value));
  r.proves(second.value == r.number(0) || end == r.size.value);
}

TEST_CASE("only an index inside the data on a multiple of 8 is valid", "[proof][ring]") {
  Ring r(GENERATE(Theory::kIntegers, Theory::kBitVectors));
  const Word index = r.word("index");
  r.proves(ring::index_is_valid(index, r.size).value ==
           (below(index.value, r.size.value) && r.is_multiple_of_8(index)));
}

TEST_CASE("a length is rounded up to the next multiple of 8", "[proof][ring]") {
  Ring r(GENERATE(Theory::kIntegers, Theory::kBitVectors));
  const Word bytes = r.word("bytes");
  r.solver.add(at_most(bytes.value, r.number(0xFFFFFFF8)));
  const Word rounded = ring::round_up_to_8(bytes);
  r.proves(r.is_multiple_of_8(rounded));
  r.proves(at_most(bytes.value, rounded.value));
  r.proves(below((rounded - bytes).value, r.number(8)));
}

TEST_CASE("a write signals exactly when the ring was empty and the reader wants it",
          "[proof][ring]") {
  Ring r(GENERATE(Theory::kIntegers, Theory::kBitVectors));
  const Word mask = r.word("mask");
  const z3::expr was_empty = ring::used_bytes(r.read, r.write, r.size).value == r.number(0);
  r.proves(ring::write_signals_reader(mask, r.read, r.write).value ==
           (mask.value == r.number(0) && was_empty));
}

TEST_CASE("a read signals exactly when what is free crosses what is waited for", "[proof][ring]") {
  Ring r(GENERATE(Theory::kIntegers, Theory::kBitVectors));
  const Word consumed = r.length("consumed");
  const Word pending = r.word("pending");
  // The state after the read; the writer has written nothing meanwhile.
  const Word free = ring::free_bytes(r.read, r.write, r.size);
  r.solver.add(at_most(consumed.value, free.value));
  const Word before = free - consumed;
  const z3::expr waits = pending.value != r.number(0);
  const z3::expr crossed = at_most(before.value, pending.value) && below(pending.value, free.value);
  r.proves(ring::read_signals_writer(pending, free, consumed).value == (waits && crossed));
}

TEST_CASE("a writer that waits for what fits now is signalled unless it fitted before",
          "[proof][ring]") {
  Ring r(GENERATE(Theory::kIntegers, Theory::kBitVectors));
  const Word consumed = r.word("consumed");  // anything: the writer may have refilled the ring
  const Word pending = r.word("pending");
  const Word free = ring::free_bytes(r.read, r.write, r.size);
  r.solver.add(pending.value != r.number(0) && below(pending.value, free.value));
  r.solver.add(at_most((free - pending).value, consumed.value));
  r.proves(ring::read_signals_writer(pending, free, consumed).value);
}

TEST_CASE("the proofs can fail: a packet that takes all that is free empties the ring",
          "[proof][ring]") {
  Ring r(GENERATE(Theory::kIntegers, Theory::kBitVectors));
  const Word bytes = r.length("bytes");
  const Word free = ring::free_bytes(r.read, r.write, r.size);
  r.solver.add(at_most(bytes.value, free.value));  // instead of ring::fits
  const Word moved = ring::advance(r.write, bytes, r.size);
  r.solver.add(bytes.value != r.number(0) && moved.value == r.read.value);
  CHECK(r.solver.check() == z3::sat);
}
