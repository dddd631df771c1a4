// The arithmetic that decides how much a range of pages, a GPADL and the ring in it may be: no
// branch, no memory, any unsigned word of 32 bits. tests/proofs/gpadl_proof.cpp proves these
// templates themselves with Z3; a word type brings its own less, equal, both, negate, like,
// low_bits and whole_pages, found by argument.
#pragma once

#include <cstdint>

#include "vmbus/ring_arithmetic.h"

namespace vmbus::gpadl {

// The word that ships, and what it shares with the ring's.
using ring::both;
using ring::equal;
using ring::less;
using ring::like;
using ring::low_bits;
using ring::negate;

inline constexpr std::uint32_t kPageBytes = 4096;
/// A ring has a control page and data.
inline constexpr std::uint32_t kSmallestRingPages = 2;

[[nodiscard]] constexpr std::uint32_t whole_pages(std::uint32_t bytes) {
  return bytes / kPageBytes;
}

// --- A range -------------------------------------------------------------------------------------

/// It has bytes, and the first of them lies in its first page.
template <class U>
[[nodiscard]] constexpr auto range_is_valid(U byte_offset, U byte_count) {
  return both(negate(equal(byte_count, like(byte_count, 0))),
              less(byte_offset, like(byte_count, kPageBytes)));
}

/// How many pages the bytes touch; `byte_offset` is below the size of a page. Whole pages are
/// counted first: the sum of offset and count does not fit a word.
template <class U>
[[nodiscard]] constexpr U pages_touched(U byte_offset, U byte_count) {
  const U rest = low_bits(byte_count, like(byte_count, kPageBytes - 1));
  return whole_pages(byte_count) +
         whole_pages(rest + byte_offset + like(byte_count, kPageBytes - 1));
}

/// Whether a range of so many pages lies in `values`, its head included.
template <class U>
[[nodiscard]] constexpr auto range_fits(U pages, U values) {
  return less(pages, values);
}

/// What is left of `values` behind a range that fits.
template <class U>
[[nodiscard]] constexpr U values_behind(U pages, U values) {
  return values - pages - like(values, 1);
}

// --- What arrives --------------------------------------------------------------------------------

/// Whether a header may announce so many bytes of ranges: some, and whole words.
template <class U>
[[nodiscard]] constexpr auto announcement_is_valid(U range_bytes) {
  return both(negate(equal(range_bytes, like(range_bytes, 0))),
              equal(low_bits(range_bytes, like(range_bytes, 7)), like(range_bytes, 0)));
}

/// Whether `more` words may follow the `received` of `announced`.
template <class U>
[[nodiscard]] constexpr auto may_follow(U received, U more, U announced) {
  return negate(less(announced - received, more));
}

// --- The ring in it ------------------------------------------------------------------------------

/// Whether `pages` can be split into two rings, the second of which starts at `downstream`.
template <class U>
[[nodiscard]] constexpr auto splits_into_rings(U downstream, U pages) {
  const U least = like(pages, kSmallestRingPages);
  return both(both(negate(less(pages, least)), negate(less(downstream, least))),
              negate(less(pages - least, downstream)));
}

}  // namespace vmbus::gpadl
