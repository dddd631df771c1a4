// The arithmetic that decides which pages a repetition of a memory call is about: no branch, no
// memory, any unsigned word. tests/proofs/gpa_range_proof.cpp proves these templates themselves
// with Z3; a word type brings its own at_most, both, equal, low_bits and like, found by argument.
//
// Throughout: an element covers `pages_each` pages (1 or 512), elements lie one behind the other
// from `first`, which a guest chose, and `page_count` pages are all that there are.
#pragma once

#include <cstdint>

namespace hv::gpa_range {

// --- The word that ships -------------------------------------------------------------------------

[[nodiscard]] constexpr bool at_most(std::uint64_t a, std::uint64_t b) { return a <= b; }
[[nodiscard]] constexpr bool equal(std::uint64_t a, std::uint64_t b) { return a == b; }
[[nodiscard]] constexpr bool both(bool a, bool b) { return (a & b) != 0; }
/// A constant of the same kind as the first argument.
[[nodiscard]] constexpr std::uint64_t like(std::uint64_t, std::uint64_t value) { return value; }
[[nodiscard]] constexpr std::uint64_t low_bits(std::uint64_t a, std::uint64_t mask) {
  return a & mask;
}

// --- Ranges --------------------------------------------------------------------------------------

/// Whether the whole element `index`, below 2^12, lies in the space, for any `first`.
template <class U>
[[nodiscard]] constexpr auto contains_element(U first, U index, U pages_each, U page_count) {
  const U end = (index + like(index, 1)) * pages_each;
  // Where the first claim is false the second is about a difference that wrapped.
  return both(at_most(end, page_count), at_most(first, page_count - end));
}

/// Where an element that the space contains begins.
template <class U>
[[nodiscard]] constexpr U element_page(U first, U index, U pages_each) {
  return first + index * pages_each;
}

/// Whether a page may begin an element; `pages_each` is a power of two.
template <class U>
[[nodiscard]] constexpr auto is_aligned(U page, U pages_each) {
  return equal(low_bits(page, pages_each - like(page, 1)), like(page, 0));
}

/// Whether `byte_count` bytes at an address, at least one and at most a page, lie in one page of
/// 4096 bytes.
template <class U>
[[nodiscard]] constexpr auto is_in_one_page(U address, U byte_count) {
  const U in_page = low_bits(address, like(address, 4095));
  return both(at_most(like(address, 1), byte_count),
              both(at_most(byte_count, like(address, 4096)),
                   at_most(in_page, like(address, 4096) - byte_count)));
}

}  // namespace hv::gpa_range
