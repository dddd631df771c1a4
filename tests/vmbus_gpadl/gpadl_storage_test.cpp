#include <rapidcheck.h>

#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "vmbus/gpadl_storage.h"

using namespace vmbus;

TEST_CASE("storage gives words that nobody else has", "[vmbus][gpadl]") {
  std::array<std::uint64_t, 64> memory{};
  FixedGpadlStorage storage(memory);
  const auto first = storage.allocate(10);
  const auto second = storage.allocate(20);
  REQUIRE(first.size() == 10);
  REQUIRE(second.size() == 20);
  CHECK(first.data() + first.size() <= second.data());
  CHECK(storage.used_words() == 32);
}

TEST_CASE("storage that is used up says so, and serves again once something is released",
          "[vmbus][gpadl]") {
  std::array<std::uint64_t, 64> memory{};
  FixedGpadlStorage storage(memory);
  CHECK(storage.allocate(64).empty());
  const auto all = storage.allocate(63);
  REQUIRE(all.size() == 63);
  CHECK(storage.allocate(1).empty());
  storage.release(all);
  CHECK(storage.allocate(63).size() == 63);
}

TEST_CASE("neighbours that are released become one block again", "[vmbus][gpadl]") {
  std::array<std::uint64_t, 64> memory{};
  FixedGpadlStorage storage(memory);
  const auto a = storage.allocate(15);
  const auto b = storage.allocate(15);
  const auto c = storage.allocate(15);
  storage.release(b);
  storage.release(a);
  CHECK(storage.allocate(31).size() == 31);
  storage.release(c);
  CHECK(storage.used_words() == 32);
}

TEST_CASE("whatever the order of requests, blocks never overlap and nothing is lost",
          "[vmbus][gpadl][property]") {
  REQUIRE(rc::check([] {
    std::vector<std::uint64_t> memory(300);
    FixedGpadlStorage storage(memory);
    std::vector<std::pair<std::span<std::uint64_t>, std::uint64_t>> held;
    const auto steps = *rc::gen::inRange<std::uint64_t>(1, 80);
    for (std::uint64_t step = 0; step < steps; ++step) {
      if (!held.empty() && *rc::gen::arbitrary<bool>()) {
        const auto index = *rc::gen::inRange<std::size_t>(0, held.size());
        for (const std::uint64_t word : held[index].first) {
          RC_ASSERT(word == held[index].second);
        }
        storage.release(held[index].first);
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(index));
      } else {
        const auto span = storage.allocate(*rc::gen::inRange<std::size_t>(1, 60));
        for (std::uint64_t& word : span) {
          word = step + 1;
        }
        if (!span.empty()) {
          held.emplace_back(span, step + 1);
        }
      }
    }
    for (const auto& [span, value] : held) {
      storage.release(span);
    }
    RC_ASSERT(storage.used_words() == 0);
    RC_ASSERT(storage.allocate(299).size() == 299);
  }));
}
