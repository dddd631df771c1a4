// The ring's arithmetic against counting on fingers, for every pair of indices of small rings.
#include <catch2/catch.hpp>
#include <set>

#include "vmbus/ring_arithmetic.h"

using namespace vmbus::ring;

namespace {

/// Walks from one index to another, byte by byte.
std::uint32_t walk(std::uint32_t from, std::uint32_t to, std::uint32_t size) {
  std::uint32_t steps = 0;
  while (from != to) {
    from = from + 1 == size ? 0 : from + 1;
    ++steps;
  }
  return steps;
}

}  // namespace

TEST_CASE("what is used is the walk from reader to writer, what is free the rest",
          "[vmbus][ring]") {
  for (const std::uint32_t size : {8u, 16u, 24u, 64u, 72u}) {
    for (std::uint32_t read = 0; read < size; ++read) {
      for (std::uint32_t write = 0; write < size; ++write) {
        const std::uint32_t used = walk(read, write, size);
        REQUIRE(used_bytes(read, write, size) == used);
        REQUIRE(free_bytes(read, write, size) == size - used);
      }
    }
  }
}

TEST_CASE("a packet that fits never makes the indices meet", "[vmbus][ring]") {
  constexpr std::uint32_t kSize = 64;
  for (std::uint32_t read = 0; read < kSize; read += 8) {
    for (std::uint32_t write = 0; write < kSize; write += 8) {
      for (std::uint32_t bytes = 8; bytes <= kSize; bytes += 8) {
        const std::uint32_t after = advance(write, bytes, kSize);
        if (fits(bytes, free_bytes(read, write, kSize))) {
          REQUIRE(after != read);
          REQUIRE(after < kSize);
          REQUIRE(used_bytes(read, after, kSize) == used_bytes(read, write, kSize) + bytes);
        }
      }
    }
  }
}

TEST_CASE("an index of a peer is valid inside the data and on a multiple of 8", "[vmbus][ring]") {
  constexpr std::uint32_t kSize = 4096;
  std::set<std::uint32_t> valid;
  for (std::uint32_t index = 0; index < 2 * kSize; ++index) {
    if (index_is_valid(index, kSize)) {
      valid.insert(index);
    }
  }
  REQUIRE(valid.size() == kSize / 8);
  REQUIRE(*valid.rbegin() == kSize - 8);
  CHECK_FALSE(index_is_valid(0xFFFFFFF8u, kSize));
  CHECK_FALSE(index_is_valid(kSize, kSize));
}

TEST_CASE("a copy is split exactly at the end of the data", "[vmbus][ring]") {
  constexpr std::uint32_t kSize = 32;
  for (std::uint32_t index = 0; index < kSize; ++index) {
    for (std::uint32_t bytes = 0; bytes <= kSize; ++bytes) {
      const std::uint32_t first = bytes_before_wrap(index, bytes, kSize);
      REQUIRE(first <= bytes);
      REQUIRE(index + first <= kSize);
      REQUIRE((first == bytes || index + first == kSize));
    }
  }
}

TEST_CASE("rounding up to 8 adds less than 8", "[vmbus][ring]") {
  for (std::uint32_t bytes = 0; bytes < 100; ++bytes) {
    REQUIRE(round_up_to_8(bytes) % 8 == 0);
    REQUIRE(round_up_to_8(bytes) - bytes < 8);
  }
  CHECK(round_up_to_8(0xFFFFFFF8u) == 0xFFFFFFF8u);
}

TEST_CASE("a write signals a reader that wants it and had seen everything", "[vmbus][ring]") {
  CHECK(write_signals_reader(0u, 40u, 40u));
  CHECK_FALSE(write_signals_reader(1u, 40u, 40u));
  CHECK_FALSE(write_signals_reader(0u, 32u, 40u));
  CHECK_FALSE(write_signals_reader(0x80000000u, 40u, 40u));
}

TEST_CASE("a read signals when what is free crosses what the writer waits for", "[vmbus][ring]") {
  struct Row {
    std::uint32_t pending, free, consumed;
    bool signals;
  };
  const Row rows[] = {
      {0, 100, 50, false},    // nobody waits
      {64, 64, 24, false},    // free is not strictly more than what is waited for
      {64, 72, 24, true},     // 48 before, 72 now
      {64, 88, 24, true},     // exactly what is waited for before: it did not fit
      {64, 96, 24, false},    // it fitted already
      {64, 24, 24, false},    // still too little
      {8, 16, 4096, true},    // the writer has refilled what was freed
      {64, 40, 4096, false},  // the same, and it is blocked again
  };
  for (const Row& row : rows) {
    CAPTURE(row.pending, row.free, row.consumed);
    CHECK(read_signals_writer(row.pending, row.free, row.consumed) == row.signals);
  }
}
