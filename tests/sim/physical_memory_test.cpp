#include "sim/physical_memory.h"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <utility>
#include <vector>

#include "sim/memory_operations.h"

using machine::Spa;
using sim::PhysicalMemory;

namespace {

constexpr std::uint64_t kSize = 16 * machine::kPageSize;

std::vector<std::byte> all_of(const PhysicalMemory& memory) {
  std::vector<std::byte> bytes(memory.size_bytes());
  memory.read(Spa(0), bytes);
  return bytes;
}

struct Range {
  std::uint64_t at = 0;
  std::uint64_t size = 0;
};

Range any_range() {
  const auto at = *rc::gen::inRange<std::uint64_t>(0, kSize);
  const auto size = *rc::gen::element<std::uint64_t>(1, 8, 100, 256, 300, 4096, 5000, 20000);
  return {at, std::min(size, kSize - at)};
}

/// One random operation, on the memory and on the bytes that it stands for.
void change(PhysicalMemory& memory, std::vector<std::byte>& model) {
  const Range range = any_range();
  const auto value = static_cast<std::byte>(*rc::gen::element(0, 0, 1, 0xCC));
  const auto begin = model.begin() + static_cast<std::ptrdiff_t>(range.at);
  const auto end = begin + static_cast<std::ptrdiff_t>(range.size);
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      memory.fill(Spa(range.at), range.size, value);
      std::fill(begin, end, value);
      break;
    case 1: {
      std::vector<std::byte> bytes(range.size);
      bytes[range.size / 2] = value;
      memory.write(Spa(range.at), bytes);
      std::ranges::copy(bytes, begin);
      break;
    }
    case 2: {
      const std::uint64_t at = range.at & ~std::uint64_t{7};
      const auto word = *rc::gen::arbitrary<std::uint64_t>();
      sim::store_word(memory.word(Spa(at), 8), word);
      sim::store_word(model.data() + at, word);
      break;
    }
    default: {
      std::byte* const page = memory.whole_page(Spa(range.at));
      page[range.at % machine::kPageSize] = value;
      model[range.at] = value;
      break;
    }
  }
}

}  // namespace

TEST_CASE("memory holds what was written, however it is kept", "[sim][memory]") {
  REQUIRE(rc::check("any operations", [] {
    PhysicalMemory memory(kSize);
    std::vector<std::byte> model(kSize);
    const auto operations = *rc::gen::inRange(0, 60);
    for (int index = 0; index < operations; ++index) {
      change(memory, model);
      const auto at = *rc::gen::inRange<std::uint64_t>(0, kSize / 8) * 8;
      RC_ASSERT(sim::load_word<std::uint64_t>(std::as_const(memory).word(Spa(at), 8)) ==
                sim::load_word<std::uint64_t>(model.data() + at));
    }
    RC_ASSERT(all_of(memory) == model);
  }));
}

TEST_CASE("a page that was asked for in one piece stays where it is", "[sim][memory]") {
  PhysicalMemory memory(kSize);
  sim::store_word<std::uint64_t>(memory.word(Spa(0x2008), 8), 7);
  std::byte* const page = memory.whole_page(Spa(0x2345));
  CHECK(sim::load_word<std::uint64_t>(page + 8) == 7);
  memory.fill(Spa(0x1000), 3 * machine::kPageSize, std::byte{0});
  page[100] = std::byte{9};
  std::vector<std::byte> bytes(1);
  memory.read(Spa(0x2064), bytes);
  CHECK(bytes[0] == std::byte{9});
  CHECK(memory.whole_page(Spa(0x2000)) == page);
}

TEST_CASE("filling part of a page with zeros leaves the rest to the next fill", "[sim][memory]") {
  PhysicalMemory memory(kSize);
  for (const std::uint64_t at : {0x1008, 0x1F00}) {
    sim::store_word<std::uint64_t>(memory.word(Spa(at), 8), at);
  }
  memory.fill(Spa(0x1000), 0x100, std::byte{0});
  CHECK(sim::load_word<std::uint64_t>(std::as_const(memory).word(Spa(0x1008), 8)) == 0);
  CHECK(sim::load_word<std::uint64_t>(std::as_const(memory).word(Spa(0x1F00), 8)) == 0x1F00);
  memory.fill(Spa(0x1000), machine::kPageSize, std::byte{0});
  CHECK(std::ranges::count(all_of(memory), std::byte{0}) == static_cast<std::ptrdiff_t>(kSize));
}

TEST_CASE("there is no RAM in the gap below 4 GiB nor behind the end", "[sim][memory]") {
  PhysicalMemory memory(PhysicalMemory::kGapBegin + machine::kPageSize);
  CHECK(memory.contains(Spa(PhysicalMemory::kGapBegin - 8), 8));
  CHECK_FALSE(memory.contains(Spa(PhysicalMemory::kGapBegin - 8), 9));
  CHECK(memory.word(Spa(PhysicalMemory::kGapBegin), 8) == nullptr);
  CHECK(memory.word(Spa(PhysicalMemory::kGapEnd), 8) != nullptr);
  CHECK_FALSE(memory.contains(Spa(PhysicalMemory::kGapEnd), 2 * machine::kPageSize));
}
