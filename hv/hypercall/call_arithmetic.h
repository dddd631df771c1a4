// The arithmetic of hypercalls: where parameter blocks lie, how far a rep call goes at once, which
// qword of a VP set is whose. No branch, no memory, any unsigned word of 64 bits:
// tests/proofs/hypercall_proof.cpp proves these templates themselves with Z3; a word type brings
// its own less, equal, both, either, negate, select, like and operators, found by argument.
#pragma once

#include <bit>
#include <cstdint>

namespace hv::call_arithmetic {

// --- The word that ships -------------------------------------------------------------------------

[[nodiscard]] constexpr bool less(std::uint64_t a, std::uint64_t b) { return a < b; }
[[nodiscard]] constexpr bool equal(std::uint64_t a, std::uint64_t b) { return a == b; }
[[nodiscard]] constexpr bool both(bool a, bool b) { return (a & b) != 0; }
[[nodiscard]] constexpr bool either(bool a, bool b) { return (a | b) != 0; }
[[nodiscard]] constexpr bool negate(bool a) { return !a; }
[[nodiscard]] constexpr std::uint64_t select(bool condition, std::uint64_t a, std::uint64_t b) {
  return condition ? a : b;
}
[[nodiscard]] constexpr std::uint64_t count_bits(std::uint64_t set) {
  return static_cast<std::uint64_t>(std::popcount(set));
}
/// A constant of the same kind as the first argument.
[[nodiscard]] constexpr std::uint64_t like(std::uint64_t, std::uint64_t value) { return value; }

// --- Blocks in memory (TLFS "Hypercall Inputs") --------------------------------------------------

/// Whether `size` bytes (at most 2^16) from `address` on are aligned to 8 and in one page.
template <class U>
[[nodiscard]] constexpr auto block_is_placed_well(U address, U size) {
  const U offset = address & like(address, 4095);
  const auto aligned = equal(address & like(address, 7), like(address, 0));
  const auto in_page = negate(less(like(address, 4096), offset + size));
  return either(equal(size, like(size, 0)), both(aligned, in_page));
}

/// Whether two blocks, each placed well, have no byte in common. They may be at the very end of the
/// address space, so no sum of an address and a size is compared.
template <class U>
[[nodiscard]] constexpr auto blocks_are_apart(U first, U first_size, U second, U second_size) {
  const U forward = second - first;
  const U backward = first - second;
  const auto empty =
      either(equal(first_size, like(first_size, 0)), equal(second_size, like(second_size, 0)));
  return either(empty,
                both(negate(less(forward, first_size)), negate(less(backward, second_size))));
}

// --- Blocks in registers (TLFS "Extended Fast Hypercalls") ---------------------------------------

/// RDX and R8, then XMM0 to XMM5.
inline constexpr std::uint64_t kRegisterBytes = 112;

/// Where output begins: in the first pair of registers that the input leaves free.
template <class U>
[[nodiscard]] constexpr U fast_output_offset(U input_size) {
  const U padded = input_size + like(input_size, 15);
  return padded - (padded & like(input_size, 15));
}

/// Sizes are at most 2^16.
template <class U>
[[nodiscard]] constexpr auto fits_in_registers(U input_size, U output_size) {
  const U end = select(equal(output_size, like(output_size, 0)), input_size,
                       fast_output_offset(input_size) + output_size);
  return negate(less(like(end, kRegisterBytes), end));
}

// --- Rep calls -----------------------------------------------------------------------------------

/// Elements that a handler gets at once: those from `next` on, `next` < `count`, and at most
/// `most`.
template <class U>
[[nodiscard]] constexpr U elements_at_once(U next, U count, U most) {
  const U left = count - next;
  return select(less(left, most), left, most);
}

// --- VP sets (TLFS "Sparse Virtual Processor Set") -----------------------------------------------

inline constexpr std::uint32_t kVpsPerBank = 64;

/// The lowest one of the bits of a set that is not empty, by itself.
template <class U>
[[nodiscard]] constexpr U lowest_bit(U set) {
  return set & (like(set, 0) - set);
}
template <class U>
[[nodiscard]] constexpr U without_lowest_bit(U set) {
  return set & (set - like(set, 1));
}

template <class U>
[[nodiscard]] constexpr U banks_below(U bank_mask, U bank_bit) {
  return bank_mask & (bank_bit - like(bank_bit, 1));
}

/// Which qword of the set's variable header is the contents of the bank whose bit of the mask is
/// `bank_bit`: there is one for each bit of the mask, in ascending order.
template <class U>
[[nodiscard]] constexpr U bank_position(U bank_mask, U bank_bit) {
  return count_bits(banks_below(bank_mask, bank_bit));
}

}  // namespace hv::call_arithmetic
