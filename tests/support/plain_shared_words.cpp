// machine::Shared<T> for unit tests that run on one thread without a machine.
#include "machine/shared.h"

namespace machine {

std::uint32_t shared_load_u32(const std::uint32_t* word) { return *word; }
std::uint64_t shared_load_u64(const std::uint64_t* word) { return *word; }
void shared_store_u32(std::uint32_t* word, std::uint32_t value) { *word = value; }
void shared_store_u64(std::uint64_t* word, std::uint64_t value) { *word = value; }

std::uint32_t shared_exchange_u32(std::uint32_t* word, std::uint32_t value) {
  const std::uint32_t old = *word;
  *word = value;
  return old;
}
std::uint64_t shared_exchange_u64(std::uint64_t* word, std::uint64_t value) {
  const std::uint64_t old = *word;
  *word = value;
  return old;
}
std::uint32_t shared_compare_exchange_u32(std::uint32_t* word, std::uint32_t expected,
                                          std::uint32_t desired) {
  const std::uint32_t old = *word;
  *word = old == expected ? desired : old;
  return old;
}
std::uint64_t shared_compare_exchange_u64(std::uint64_t* word, std::uint64_t expected,
                                          std::uint64_t desired) {
  const std::uint64_t old = *word;
  *word = old == expected ? desired : old;
  return old;
}
std::uint32_t shared_fetch_add_u32(std::uint32_t* word, std::uint32_t value) {
  const std::uint32_t old = *word;
  *word = old + value;
  return old;
}
std::uint64_t shared_fetch_add_u64(std::uint64_t* word, std::uint64_t value) {
  const std::uint64_t old = *word;
  *word = old + value;
  return old;
}
std::uint64_t shared_fetch_or_u64(std::uint64_t* word, std::uint64_t bits) {
  const std::uint64_t old = *word;
  *word = old | bits;
  return old;
}
std::uint64_t shared_fetch_and_u64(std::uint64_t* word, std::uint64_t bits) {
  const std::uint64_t old = *word;
  *word = old & bits;
  return old;
}

}  // namespace machine
