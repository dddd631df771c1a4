// The arithmetic of ranges and GPADLs, proved: the templates that ship, for every offset, count and
// length of list that 32 bits hold. Each proof asks Z3 for a counterexample; there must be none.
// What must be right is said over the integers, which have no end to wrap at.
#include <z3++.h>

#include <catch2/catch.hpp>

#include "vmbus/gpadl_arithmetic.h"

namespace proofs {

/// An integer in [0, 2^32), and a truth value, of this namespace so that the templates find their
/// operations by argument.
struct Word {
  z3::expr value;
};
struct Truth {
  z3::expr value;
};

z3::expr two_to_32(z3::context& context) { return context.int_val(std::int64_t{1} << 32); }

Word operator+(const Word& a, const Word& b) {
  const z3::expr sum = a.value + b.value;
  const z3::expr end = two_to_32(sum.ctx());
  return {z3::ite(sum < end, sum, sum - end)};
}
Word operator-(const Word& a, const Word& b) {
  const z3::expr difference = a.value - b.value;
  return {z3::ite(difference >= 0, difference, difference + two_to_32(difference.ctx()))};
}
Truth less(const Word& a, const Word& b) { return {a.value < b.value}; }
Truth equal(const Word& a, const Word& b) { return {a.value == b.value}; }
Truth both(const Truth& a, const Truth& b) { return {a.value && b.value}; }
Truth negate(const Truth& a) { return {!a.value}; }
Word like(const Word& word, std::uint32_t value) {
  return {word.value.ctx().int_val(std::int64_t{value})};
}
/// The masks of the templates are 2^n - 1 in every use.
Word low_bits(const Word& word, const Word& mask) { return {z3::mod(word.value, mask.value + 1)}; }
Word whole_pages(const Word& bytes) { return {bytes.value / 4096}; }

}  // namespace proofs

namespace {

using proofs::Word;
namespace gpadl = vmbus::gpadl;

class Claims {
 public:
  Word word(const char* name) {
    const z3::expr value = context.int_const(name);
    solver.add(value >= 0 && value < proofs::two_to_32(context));
    return {value};
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

  z3::context context;
  z3::solver solver{context};
};

/// A range that is valid.
struct Range : Claims {
  Range() { solver.add(gpadl::range_is_valid(offset, count).value); }
  Word offset{word("offset")};
  Word count{word("count")};
  Word pages{gpadl::pages_touched(offset, count)};
};

}  // namespace

TEST_CASE("a range is valid exactly if it has bytes that begin in its first page",
          "[proof][gpadl]") {
  Claims c;
  const Word offset = c.word("offset");
  const Word count = c.word("count");
  c.proves(gpadl::range_is_valid(offset, count).value == (count.value > 0 && offset.value < 4096));
}

TEST_CASE("the pages of a range hold all of its bytes, and none of them is without any",
          "[proof][gpadl]") {
  Range r;
  const z3::expr end = r.offset.value + r.count.value;  // Of integers: nothing wraps.
  r.proves(r.pages.value * 4096 >= end);
  r.proves((r.pages.value - 1) * 4096 < end);
  r.proves(r.pages.value >= 1 && r.pages.value <= 0x100001);
}

TEST_CASE("a range that fits lies in its list with its head, and the rest is what is left",
          "[proof][gpadl]") {
  Range r;
  const Word values = r.word("values");
  r.solver.add(gpadl::range_fits(r.pages, values).value);
  r.proves(r.pages.value + 1 <= values.value);
  r.proves(gpadl::values_behind(r.pages, values).value + r.pages.value + 1 == values.value);
}

TEST_CASE("a range that does not fit has fewer page numbers than it needs", "[proof][gpadl]") {
  Range r;
  const Word values = r.word("values");
  r.solver.add(!gpadl::range_fits(r.pages, values).value);
  r.proves(values.value < r.pages.value + 1);
}

TEST_CASE("ranges that follow each other never reach beyond the list", "[proof][gpadl]") {
  Claims c;
  const Word values = c.word("values");
  const Word first = c.word("first");
  const Word second = c.word("second");
  c.solver.add(gpadl::range_fits(first, values).value);
  const Word left = gpadl::values_behind(first, values);
  c.solver.add(gpadl::range_fits(second, left).value);
  c.proves(first.value + second.value + 2 <= values.value);
  c.proves(gpadl::values_behind(second, left).value ==
           values.value - first.value - second.value - 2);
}

TEST_CASE("a header announces whole words, at least one", "[proof][gpadl]") {
  Claims c;
  const Word bytes = c.word("bytes");
  c.proves(gpadl::announcement_is_valid(bytes).value ==
           (bytes.value > 0 && z3::mod(bytes.value, 8) == 0));
}

TEST_CASE("what has arrived never exceeds what was announced, body after body", "[proof][gpadl]") {
  Claims c;
  const Word announced = c.word("announced");
  const Word received = c.word("received");
  const Word more = c.word("more");
  c.solver.add(received.value <= announced.value);
  // Exactly what fits is taken: not a word more, none that fits refused.
  c.proves(gpadl::may_follow(received, more, announced).value ==
           (received.value + more.value <= announced.value));
  c.solver.add(gpadl::may_follow(received, more, announced).value);
  const Word sum = received + more;
  c.proves(sum.value == received.value + more.value);
  c.proves(sum.value <= announced.value);
}

TEST_CASE("both rings of a GPADL have a control page and data, and share none", "[proof][gpadl]") {
  Claims c;
  const Word downstream = c.word("downstream");
  const Word pages = c.word("pages");
  c.proves(gpadl::splits_into_rings(downstream, pages).value ==
           (downstream.value >= 2 && pages.value - downstream.value >= 2));
}

TEST_CASE("the proofs can fail: offset and count do not fit one word", "[proof][gpadl]") {
  Range r;
  const Word end = r.offset + r.count;
  r.solver.add(end.value != r.offset.value + r.count.value);
  CHECK(r.solver.check() == z3::sat);
}
