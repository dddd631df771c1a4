// The arithmetic of memory calls, proved: the templates that ship, over words of 64 bits as the
// processor has them, for every page number that a guest can name and every space there can be.
// What is claimed is said in words so wide that nothing wraps. Each proof asks Z3 for a
// counterexample; there must be none.
#include <z3++.h>

#include <catch2/catch.hpp>

#include "hv/memory/gpa_range.h"

namespace proofs {

struct Word {
  z3::expr value;
};
/// Of this namespace, so that the templates find its operations by argument.
struct Truth {
  z3::expr value;
};

Word operator+(const Word& a, const Word& b) { return {a.value + b.value}; }
Word operator-(const Word& a, const Word& b) { return {a.value - b.value}; }
Word operator*(const Word& a, const Word& b) { return {a.value * b.value}; }
Truth at_most(const Word& a, const Word& b) { return {z3::ule(a.value, b.value)}; }
Truth equal(const Word& a, const Word& b) { return {a.value == b.value}; }
Truth both(const Truth& a, const Truth& b) { return {a.value && b.value}; }
Word low_bits(const Word& a, const Word& mask) { return {a.value & mask.value}; }
Word like(const Word& word, std::uint64_t value) {
  return {word.value.ctx().bv_val(value, word.value.get_sort().bv_size())};
}

}  // namespace proofs

namespace {

using proofs::Word;

constexpr unsigned kBits = 64;
constexpr unsigned kWideBits = 96;
constexpr std::uint64_t kPagesPerLargePage = 512;
constexpr std::uint64_t kMaxReps = 1 << 12;
/// 48 bits of address.
constexpr std::uint64_t kMaxPageCount = 1ull << 36;

struct Proof {
  z3::context context;
  z3::solver solver{context};

  Word word(const char* name) { return {context.bv_const(name, kBits)}; }
  Word number(std::uint64_t value) { return {context.bv_val(value, kBits)}; }
  z3::expr wide(const Word& word) { return z3::zext(word.value, kWideBits - kBits); }
  z3::expr wide(std::uint64_t value) { return context.bv_val(value, kWideBits); }
  void assume(const z3::expr& fact) { solver.add(fact); }
  [[nodiscard]] bool holds(const z3::expr& claim) {
    solver.push();
    solver.add(!claim);
    const z3::check_result result = solver.check();
    solver.pop();
    return result == z3::unsat;
  }
};

/// An element of a list: any first page, any index that a control word can hold.
struct Element {
  explicit Element(Proof& proof, std::uint64_t its_pages)
      : first(proof.word("first")),
        index(proof.word("index")),
        pages(proof.number(its_pages)),
        page_count(proof.word("page_count")),
        true_begin(proof.wide(first) + proof.wide(index) * proof.wide(its_pages)),
        true_end(true_begin + proof.wide(its_pages)) {
    proof.assume(z3::ult(index.value, proof.number(kMaxReps).value));
    proof.assume(z3::ule(page_count.value, proof.number(kMaxPageCount).value));
  }
  Word first;
  Word index;
  Word pages;
  Word page_count;
  z3::expr true_begin;
  z3::expr true_end;
};

}  // namespace

TEST_CASE("an element is contained just if all its pages are, however far its list begins",
          "[proof][memory]") {
  for (const std::uint64_t pages : {std::uint64_t{1}, kPagesPerLargePage}) {
    Proof proof;
    const Element element(proof, pages);
    const z3::expr contained = hv::gpa_range::contains_element(element.first, element.index,
                                                               element.pages, element.page_count)
                                   .value;
    CHECK(proof.holds(contained == z3::ule(element.true_end, proof.wide(element.page_count))));
  }
}

TEST_CASE("the page of a contained element is the true one, and its address wraps nowhere",
          "[proof][memory]") {
  for (const std::uint64_t pages : {std::uint64_t{1}, kPagesPerLargePage}) {
    Proof proof;
    const Element element(proof, pages);
    proof.assume(hv::gpa_range::contains_element(element.first, element.index, element.pages,
                                                 element.page_count)
                     .value);
    const Word page = hv::gpa_range::element_page(element.first, element.index, element.pages);
    CHECK(proof.holds(proof.wide(page) == element.true_begin));
    // The last byte of the element, as an address.
    const z3::expr last = z3::shl(element.true_end, 12) - 1;
    CHECK(proof.holds(z3::ult(last, proof.wide(1ull << 48))));
  }
}

TEST_CASE("elements of one list that are contained do not overlap", "[proof][memory]") {
  Proof proof;
  const Element element(proof, kPagesPerLargePage);
  const Word next = element.index + proof.number(1);
  proof.assume(
      hv::gpa_range::contains_element(element.first, next, element.pages, element.page_count)
          .value);
  // Who contains the next contains this one, and it ends where the next begins.
  CHECK(proof.holds(hv::gpa_range::contains_element(element.first, element.index, element.pages,
                                                    element.page_count)
                        .value));
  const Word after = hv::gpa_range::element_page(element.first, next, element.pages);
  CHECK(proof.holds(proof.wide(after) == element.true_end));
}

TEST_CASE("an aligned page is a multiple of the large page", "[proof][memory]") {
  Proof proof;
  const Word page = proof.word("page");
  const z3::expr aligned = hv::gpa_range::is_aligned(page, proof.number(kPagesPerLargePage)).value;
  CHECK(
      proof.holds(aligned == (z3::urem(page.value, proof.number(kPagesPerLargePage).value) == 0)));
  CHECK(proof.holds(hv::gpa_range::is_aligned(page, proof.number(1)).value));
}

TEST_CASE("bytes in one page have one page number", "[proof][memory]") {
  Proof proof;
  const Word address = proof.word("address");
  const Word count = proof.word("count");
  const z3::expr claim = hv::gpa_range::is_in_one_page(address, count).value;
  const z3::expr last = proof.wide(address) + proof.wide(count) - 1;
  const z3::expr truth = count.value != 0 && z3::ule(count.value, proof.number(4096).value) &&
                         z3::lshr(last, 12) == z3::lshr(proof.wide(address), 12);
  CHECK(proof.holds(claim == truth));
}

TEST_CASE("the proofs notice arithmetic that wraps", "[proof][memory]") {
  Proof proof;
  const Element element(proof, 1);
  // The end computed first, as one would at first.
  const z3::expr naive =
      z3::ule((element.first + element.index + proof.number(1)).value, element.page_count.value);
  CHECK_FALSE(proof.holds(naive == z3::ule(element.true_end, proof.wide(element.page_count))));
}
