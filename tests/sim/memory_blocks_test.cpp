#include "sim/memory_blocks.h"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <span>

using sim::MemoryBlocks;

namespace {

constexpr std::uint64_t kBlock = MemoryBlocks::kBlockBytes;

std::uint64_t first_word(const std::byte* block) {
  std::uint64_t word = 0;
  std::memcpy(&word, block, sizeof word);
  return word;
}

bool all_zero(const std::byte* block) {
  return std::ranges::all_of(std::span(block, kBlock),
                             [](std::byte byte) { return byte == std::byte{0}; });
}

/// The blocks, and what the first word of each that is there should be.
struct Checked {
  MemoryBlocks blocks;
  std::map<std::uint64_t, std::uint64_t> model;

  void add(std::uint64_t address, std::uint64_t word) {
    std::byte* const block = blocks.add(address);
    REQUIRE(all_zero(block));
    std::memcpy(block, &word, sizeof word);
    // Whatever comes to this place next must not see it.
    std::memset(block + kBlock - 8, 0xEE, 8);
    model[address] = word;
  }
  void remove(std::uint64_t address) {
    blocks.remove(address);
    model.erase(address);
  }
  [[nodiscard]] bool agrees(std::uint64_t address) const {
    const std::byte* const block = blocks.find(address);
    const auto expected = model.find(address);
    if (expected == model.end()) {
      return block == nullptr && all_zero(blocks.find_or_zero(address));
    }
    return block != nullptr && first_word(block) == expected->second &&
           blocks.find_or_zero(address + 5) == block + 5;
  }
};

}  // namespace

TEST_CASE("thousands of blocks are found while they come and go", "[sim][memory]") {
  // Many more than the table starts with, close together and far apart.
  Checked checked;
  const auto address_of = [](std::uint64_t number) {
    return (number % 2 == 0 ? number : number << 20) * kBlock;
  };
  constexpr std::uint64_t kCount = 4000;
  for (std::uint64_t number = 0; number < kCount; ++number) {
    checked.add(address_of(number), number + 1);
  }
  for (std::uint64_t number = 0; number < kCount; number += 3) {
    checked.remove(address_of(number));
  }
  for (std::uint64_t number = 0; number < kCount; number += 6) {
    checked.add(address_of(number), ~number);
  }
  bool agreed = true;
  for (std::uint64_t number = 0; number < kCount + 100; ++number) {
    agreed = agreed && checked.agrees(address_of(number));
  }
  CHECK(agreed);
}

TEST_CASE("any order of coming and going keeps every block", "[sim][memory]") {
  REQUIRE(rc::check("a table that is crowded", [] {
    Checked checked;
    // As full as it may be before it grows: the paths from a block's home are long.
    for (std::uint64_t number = 0; number < 700; ++number) {
      checked.add(number * kBlock, number);
    }
    for (int step = 0; step < 200; ++step) {
      const auto address = *rc::gen::inRange<std::uint64_t>(0, 760) * kBlock;
      if (checked.model.contains(address)) {
        checked.remove(address);
      } else if (checked.model.size() < 760) {
        checked.add(address, static_cast<std::uint64_t>(step) << 32);
      }
    }
    for (std::uint64_t number = 0; number < 760; ++number) {
      RC_ASSERT(checked.agrees(number * kBlock));
    }
  }));
}

TEST_CASE("the place of a block that went is used again", "[sim][memory]") {
  MemoryBlocks blocks;
  const std::byte* const first = blocks.add(0);
  blocks.remove(0);
  CHECK(blocks.add(77 * kBlock) == first);
  CHECK(blocks.add(78 * kBlock) != first);
}
