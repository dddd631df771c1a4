// The common link set of machine/: words that the processors of one program share (shared.h).
//
// Their addresses are private to the build and never hashed.
#include "machine/shared.h"
#include "sim/computer.h"

namespace machine {

using sim::Operation;
namespace cost = sim::cost;

namespace {

template <class Word>
Word load(const Word* word) {
  sim::Computer& self = *sim::current_computer;
  self.pass(cost::kSharedLoad);
  self.observe(word);
  return static_cast<Word>(self.record(Operation::kSharedLoad, sizeof(Word), 0, *word));
}

template <class Word>
void store(Word* word, Word value) {
  sim::Computer& self = *sim::current_computer;
  self.pass(cost::kSharedStore);
  self.publish(word);
  *word = static_cast<Word>(self.record(Operation::kSharedStore, sizeof(Word), 0, value));
}

template <class Word, class Change>
Word modify(Operation kind, Word* word, Word first, Word second, Change change) {
  sim::Computer& self = *sim::current_computer;
  self.pass(cost::kSharedReadModifyWrite);
  self.observe(word);
  self.publish(word);
  const Word before = *word;
  *word = change(before);
  return static_cast<Word>(self.record(kind, first, second, before));
}

template <class Word>
Word compare_exchange(Word* word, Word expected, Word desired) {
  return modify(Operation::kSharedCompareExchange, word, expected, desired,
                [&](Word before) { return before == expected ? desired : before; });
}

}  // namespace

std::uint32_t shared_load_u32(const std::uint32_t* word) { return load(word); }
std::uint64_t shared_load_u64(const std::uint64_t* word) { return load(word); }
void shared_store_u32(std::uint32_t* word, std::uint32_t value) { store(word, value); }
void shared_store_u64(std::uint64_t* word, std::uint64_t value) { store(word, value); }

std::uint32_t shared_exchange_u32(std::uint32_t* word, std::uint32_t value) {
  return modify(Operation::kSharedExchange, word, value, 0u, [&](std::uint32_t) { return value; });
}
std::uint64_t shared_exchange_u64(std::uint64_t* word, std::uint64_t value) {
  return modify(Operation::kSharedExchange, word, value, std::uint64_t{0},
                [&](std::uint64_t) { return value; });
}
std::uint32_t shared_compare_exchange_u32(std::uint32_t* word, std::uint32_t expected,
                                          std::uint32_t desired) {
  return compare_exchange(word, expected, desired);
}
std::uint64_t shared_compare_exchange_u64(std::uint64_t* word, std::uint64_t expected,
                                          std::uint64_t desired) {
  return compare_exchange(word, expected, desired);
}
std::uint32_t shared_fetch_add_u32(std::uint32_t* word, std::uint32_t value) {
  return modify(Operation::kSharedFetchAdd, word, value, 0u,
                [&](std::uint32_t before) { return before + value; });
}
std::uint64_t shared_fetch_add_u64(std::uint64_t* word, std::uint64_t value) {
  return modify(Operation::kSharedFetchAdd, word, value, std::uint64_t{0},
                [&](std::uint64_t before) { return before + value; });
}
std::uint64_t shared_fetch_or_u64(std::uint64_t* word, std::uint64_t bits) {
  return modify(Operation::kSharedFetchOr, word, bits, std::uint64_t{0},
                [&](std::uint64_t before) { return before | bits; });
}
std::uint64_t shared_fetch_and_u64(std::uint64_t* word, std::uint64_t bits) {
  return modify(Operation::kSharedFetchAnd, word, bits, std::uint64_t{0},
                [&](std::uint64_t before) { return before & bits; });
}

}  // namespace machine
