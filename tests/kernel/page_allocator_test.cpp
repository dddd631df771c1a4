#include "partitions/kernel/page_allocator.h"

#include <rapidcheck.h>
#include <catch2/catch.hpp>
#include <set>
#include <vector>

using kernel::Heap;
using kernel::PageAllocator;
using machine::Gpn;

namespace {

struct Pages {
  std::vector<std::byte> region = std::vector<std::byte>(1 << 18);
  Heap heap{region};
  PageAllocator pages{heap};
};

}  // namespace

TEST_CASE("pages that were taken out are never given", "[kernel][pages]") {
  Pages setup;
  setup.pages.add(Gpn(0), 16);
  setup.pages.remove(Gpn(0), 1);
  setup.pages.remove(Gpn(4), 4);
  CHECK(setup.pages.free_pages() == 11);
  CHECK(setup.pages.allocate(3) == Gpn(1));
  CHECK(setup.pages.allocate(8) == Gpn(8));
  CHECK_FALSE(setup.pages.allocate(1).has_value());
}

TEST_CASE("an aligned run is found behind an odd start", "[kernel][pages]") {
  Pages setup;
  setup.pages.add(Gpn(3), 20);
  CHECK(setup.pages.allocate(8, 8) == Gpn(8));
  CHECK_FALSE(setup.pages.allocate(8, 8).has_value());
  CHECK(setup.pages.allocate(4, 4) == Gpn(4));
  CHECK(setup.pages.free_pages() == 8);
}

TEST_CASE("pages come back in any portions and join", "[kernel][pages]") {
  Pages setup;
  setup.pages.add(Gpn(0), 64);
  REQUIRE(setup.pages.allocate(64) == Gpn(0));
  for (const std::uint64_t page : {5u, 3u, 4u, 63u, 0u}) {
    setup.pages.free(Gpn(page), 1);
  }
  CHECK(setup.pages.allocate(3) == Gpn(3));
  CHECK(setup.pages.free_pages() == 2);
}

TEST_CASE("no page has two owners and none is lost", "[kernel][pages]") {
  CHECK(rc::check("any order of allocations and frees", [] {
    Pages setup;
    constexpr std::uint64_t kCount = 256;
    setup.pages.add(Gpn(100), kCount);
    std::set<std::uint64_t> owned;
    const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
        rc::gen::pair(rc::gen::inRange(1, 9), rc::gen::inRange(0, 3)));
    for (const auto& [count, kind] : steps) {
      if (kind == 0 && !owned.empty()) {
        const std::uint64_t page =
            *std::next(owned.begin(), count % static_cast<int>(owned.size()));
        owned.erase(page);
        setup.pages.free(Gpn(page), 1);
        continue;
      }
      const std::uint64_t alignment = kind == 1 ? 8 : 1;
      const auto first = setup.pages.allocate(static_cast<std::uint64_t>(count), alignment);
      if (!first) {
        continue;
      }
      RC_ASSERT(first->value() % alignment == 0);
      for (int index = 0; index < count; ++index) {
        const std::uint64_t page = first->value() + static_cast<std::uint64_t>(index);
        RC_ASSERT(page >= 100 && page < 100 + kCount);
        RC_ASSERT(owned.insert(page).second);
      }
    }
    RC_ASSERT(setup.pages.free_pages() + owned.size() == kCount);
  }));
}
