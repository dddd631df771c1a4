// Words and blocks of physical memory on identity page tables: what guest.h says of a Gpa and
// vmx_root.h of a Spa is the same instructions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/address.h"

namespace metal {

template <class Word, class Tag>
[[gnu::always_inline]] inline Word* word_at(machine::Address<Tag> address) {
  return reinterpret_cast<Word*>(address.value());
}

template <class Word, class Tag>
[[gnu::always_inline]] inline Word load(machine::Address<Tag> address) {
  return __atomic_load_n(word_at<Word>(address), __ATOMIC_ACQUIRE);
}

template <class Word, class Tag>
[[gnu::always_inline]] inline void store(machine::Address<Tag> address, Word value) {
  __atomic_store_n(word_at<Word>(address), value, __ATOMIC_RELEASE);
}

template <class Word, class Tag>
[[gnu::always_inline]] inline Word exchange(machine::Address<Tag> address, Word value) {
  return __atomic_exchange_n(word_at<Word>(address), value, __ATOMIC_SEQ_CST);
}

template <class Word, class Tag>
[[gnu::always_inline]] inline Word compare_exchange(machine::Address<Tag> address, Word expected,
                                                    Word desired) {
  return __sync_val_compare_and_swap(word_at<Word>(address), expected, desired);
}

template <class Word, class Tag>
[[gnu::always_inline]] inline Word fetch_or(machine::Address<Tag> address, Word bits) {
  return __atomic_fetch_or(word_at<Word>(address), bits, __ATOMIC_SEQ_CST);
}

template <class Word, class Tag>
[[gnu::always_inline]] inline Word fetch_and(machine::Address<Tag> address, Word bits) {
  return __atomic_fetch_and(word_at<Word>(address), bits, __ATOMIC_SEQ_CST);
}

[[gnu::always_inline]] inline void copy_bytes(void* to, const void* from, std::size_t size_bytes) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size_bytes) : : "memory");
}

[[gnu::always_inline]] inline void fill_bytes(void* to, std::size_t size_bytes, std::uint8_t byte) {
  asm volatile("rep stosb" : "+D"(to), "+c"(size_bytes) : "a"(byte) : "memory");
}

}  // namespace metal
