// The arithmetic that decides space, wrap and signals in a ring: no branch, no memory, any unsigned
// word. tests/proofs/ring_proof.cpp proves these templates themselves with Z3; a word type brings
// its own less, equal, select, both, negate and like, found by argument.
//
// Throughout: `size` is the size of the data area, indices are below it, and equal indices mean an
// empty ring, so that at least one byte always stays free.
#pragma once

#include <cstdint>

namespace vmbus::ring {

// --- The word that ships -------------------------------------------------------------------------

[[nodiscard]] constexpr bool less(std::uint32_t a, std::uint32_t b) { return a < b; }
[[nodiscard]] constexpr bool equal(std::uint32_t a, std::uint32_t b) { return a == b; }
[[nodiscard]] constexpr bool both(bool a, bool b) { return (a & b) != 0; }
[[nodiscard]] constexpr bool negate(bool a) { return !a; }
[[nodiscard]] constexpr std::uint32_t select(bool condition, std::uint32_t a, std::uint32_t b) {
  return condition ? a : b;
}
/// A constant of the same kind as the first argument.
[[nodiscard]] constexpr std::uint32_t like(std::uint32_t, std::uint32_t value) { return value; }
[[nodiscard]] constexpr std::uint32_t low_bits(std::uint32_t a, std::uint32_t mask) {
  return a & mask;
}

// --- Space ---------------------------------------------------------------------------------------

/// Whether a peer's index may be used: inside the data area and a multiple of 8.
template <class U>
[[nodiscard]] constexpr auto index_is_valid(U index, U size) {
  return both(less(index, size), equal(low_bits(index, like(index, 7)), like(index, 0)));
}

/// Bytes between the writer and the reader, the one that must stay free included.
template <class U>
[[nodiscard]] constexpr U free_bytes(U read_index, U write_index, U size) {
  return select(less(write_index, read_index), read_index - write_index,
                size - (write_index - read_index));
}

/// Bytes that wait for the reader.
template <class U>
[[nodiscard]] constexpr U used_bytes(U read_index, U write_index, U size) {
  return select(less(write_index, read_index), size - (read_index - write_index),
                write_index - read_index);
}

/// Whether a packet of `bytes` may be written: strictly less than what is free, for a write that
/// reached the read index would make a full ring look empty.
template <class U>
[[nodiscard]] constexpr auto fits(U bytes, U free) {
  return less(bytes, free);
}

/// The index `bytes` further, around the end; `bytes` is at most `size`.
template <class U>
[[nodiscard]] constexpr U advance(U index, U bytes, U size) {
  const U moved = index + bytes;
  return select(less(moved, size), moved, moved - size);
}

/// How much of `bytes` lies before the end of the data area; the rest starts at 0.
template <class U>
[[nodiscard]] constexpr U bytes_before_wrap(U index, U bytes, U size) {
  const U room = size - index;
  return select(less(room, bytes), room, bytes);
}

/// `bytes` rounded up to a multiple of 8; at most 2^32 - 8.
template <class U>
[[nodiscard]] constexpr U round_up_to_8(U bytes) {
  const U padded = bytes + like(bytes, 7);
  return padded - low_bits(padded, like(bytes, 7));
}

// --- Signals -------------------------------------------------------------------------------------

/// After a write: the reader does not mask interrupts and had seen all that was there before.
template <class U>
[[nodiscard]] constexpr auto write_signals_reader(U interrupt_mask, U read_index,
                                                  U old_write_index) {
  return both(equal(interrupt_mask, like(interrupt_mask, 0)), equal(read_index, old_write_index));
}

/// After a read of `consumed` bytes left `free` bytes: the blocked writer waits for more than it
/// had and gets what it waits for. If the writer has refilled the freed room already, what was free
/// before counts as nothing.
template <class U>
[[nodiscard]] constexpr auto read_signals_writer(U pending_send_bytes, U free, U consumed) {
  const U before = select(less(free, consumed), like(free, 0), free - consumed);
  return both(negate(equal(pending_send_bytes, like(free, 0))),
              both(negate(less(pending_send_bytes, before)), less(pending_send_bytes, free)));
}

}  // namespace vmbus::ring
