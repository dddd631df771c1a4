#include "partitions/kernel/heap.h"

#include <rapidcheck.h>
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <span>
#include <vector>

using kernel::Heap;

TEST_CASE("blocks are aligned, do not overlap and are used again", "[kernel][heap]") {
  CHECK(rc::check("any order of allocations and frees", [] {
    std::vector<std::byte> region(1 << 16);
    Heap heap(std::span<std::byte>(region).subspan(3));
    struct Block {
      std::byte* place;
      std::size_t size;
      unsigned char fill;
    };
    std::vector<Block> blocks;
    const auto steps = *rc::gen::container<std::vector<std::pair<std::uint16_t, bool>>>(
        rc::gen::pair(rc::gen::inRange<std::uint16_t>(1, 3000), rc::gen::arbitrary<bool>()));
    unsigned char fill = 0;
    for (const auto& [size, frees] : steps) {
      if (frees && !blocks.empty()) {
        const Block block = blocks[size % blocks.size()];
        RC_ASSERT(std::all_of(block.place, block.place + block.size,
                              [&](std::byte value) { return value == std::byte{block.fill}; }));
        heap.free(block.place, block.size);
        std::swap(blocks[size % blocks.size()], blocks.back());
        blocks.pop_back();
        continue;
      }
      auto* place = static_cast<std::byte*>(heap.try_allocate(size));
      if (place == nullptr) {
        continue;
      }
      RC_ASSERT(reinterpret_cast<std::uintptr_t>(place) % Heap::kAlignment == 0);
      RC_ASSERT(place >= region.data() && place + size <= region.data() + region.size());
      std::memset(place, ++fill, size);
      blocks.push_back({place, size, fill});
    }
    RC_ASSERT(heap.blocks_in_use() == blocks.size());
  }));
}

TEST_CASE("a heap that is used up says so, and serves again after a free", "[kernel][heap]") {
  std::vector<std::byte> region(4096);
  Heap heap(region);
  std::vector<void*> blocks;
  while (void* block = heap.try_allocate(512)) {
    blocks.push_back(block);
  }
  CHECK(blocks.size() >= 7);
  CHECK(heap.try_allocate(512) == nullptr);
  heap.free(blocks.back(), 512);
  CHECK(heap.try_allocate(500) == blocks.back());
  CHECK(heap.try_allocate(std::size_t{2} << 20) == nullptr);
}

TEST_CASE("what others use up leaves the kernel a reserve", "[kernel][heap]") {
  std::vector<std::byte> region(64 * 1024);
  Heap heap(region);
  while (heap.try_allocate(512) != nullptr) {
  }
  CHECK(heap.try_create<std::uint64_t>(7u) == nullptr);
  std::vector<void*> blocks;
  for (int block = 0; block < 7; ++block) {
    blocks.push_back(heap.allocate(512));
  }
  heap.free(blocks.back(), 512);
  CHECK(heap.try_allocate(512) == blocks.back());
  auto* const word = heap.create<std::uint64_t>(7u);
  CHECK(*word == 7);
  heap.destroy(word);
  CHECK(heap.try_create<std::uint64_t>(8u) == word);
}
